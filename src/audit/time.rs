//! RFC 3339 in UTC, written by hand: a record has up to four times, and the writer has two microseconds for all of it.

use super::json::eight_digits;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers of up to eight digits are below.
const EIGHT: u32 = 100_000_000;
const DAY: i64 = 86_400;
/// The last second of the year 9999: RFC 3339 has four digits for the year.
const LAST: i64 = 253_402_300_799;
/// The first second of the year 0.
const FIRST: i64 = -62_167_219_200;

/// Writes times; remembers the second that it wrote last, which the next record mostly shares.
#[derive(Default)]
pub(super) struct Stamps {
    second: Option<i64>,
    prefix: Vec<u8>,
}

impl Stamps {
    /// Appends `2026-07-01T12:34:56.000000789Z`.
    pub(super) fn nanos(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let (second, nanos) = split(at);
        if self.second != Some(second) {
            self.prefix.clear();
            seconds(&mut self.prefix, second);
            self.second = Some(second);
        }
        out.extend_from_slice(&self.prefix);
        out.push(b'.');
        out.push(b'0' + (nanos / EIGHT) as u8);
        eight_digits(out, u64::from(nanos % EIGHT));
        out.push(b'Z');
    }
}

/// Appends `2026-07-01T12:34:56Z`.
pub(super) fn whole_second(out: &mut Vec<u8>, at: SystemTime) {
    seconds(out, split(at).0);
    out.push(b'Z');
}

/// `20260701T123456Z`: sorts by time and suits a file name.
pub(super) fn compact(at: SystemTime) -> String {
    let mut out = Vec::with_capacity(20);
    whole_second(&mut out, at);
    out.retain(|byte| !matches!(byte, b'-' | b':'));
    String::from_utf8(out).unwrap_or_default()
}

fn split(at: SystemTime) -> (i64, u32) {
    let (second, nanos) = match at.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(LAST), since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let whole = -i64::try_from(before.as_secs()).unwrap_or(LAST);
            if before.subsec_nanos() == 0 { (whole, 0) } else { (whole - 1, 1_000_000_000 - before.subsec_nanos()) }
        }
    };
    (second.clamp(FIRST, LAST), nanos)
}

fn seconds(out: &mut Vec<u8>, second: i64) {
    let (year, month, day) = civil(second.div_euclid(DAY));
    let of_day = second.rem_euclid(DAY) as u32;
    digits(out, year, 4);
    for (before, number) in [(b'-', month), (b'-', day), (b'T', of_day / 3_600), (b':', of_day / 60 % 60), (b':', of_day % 60)] {
        out.push(before);
        digits(out, number, 2);
    }
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// Appends `number` with leading zeros.
fn digits(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let end = out.len() + width;
    out.resize(end, b'0');
    for byte in out.iter_mut().rev().take(width) {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    fn text(at: SystemTime) -> String {
        let mut out = Vec::new();
        Stamps::default().nanos(&mut out, at);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_times() {
        assert_eq!(text(UNIX_EPOCH), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(UNIX_EPOCH - Duration::from_nanos(1)), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text(UNIX_EPOCH + Duration::new(951_782_400, 7)), "2000-02-29T00:00:00.000000007Z");
        assert_eq!(text(UNIX_EPOCH + Duration::from_secs(u64::MAX >> 2)), "9999-12-31T23:59:59.000000000Z");
        assert_eq!(compact(UNIX_EPOCH + Duration::from_secs(951_782_400)), "20000229T000000Z");
    }

    proptest! {
        #[test]
        fn every_time_is_what_a_library_reads(second in FIRST..LAST, nanos in 0_u32..1_000_000_000) {
            let at = OffsetDateTime::from_unix_timestamp(second).unwrap() + Duration::from_nanos(u64::from(nanos));
            prop_assert_eq!(OffsetDateTime::parse(&text(at.into()), &Rfc3339).unwrap(), at);
        }
    }
}
