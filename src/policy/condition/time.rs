//! `time`: the hours of the week in which something is allowed.

use crate::policy::Truth;
use crate::policy::canonical_json::object;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A test of the local time in one zone. Rules that say the same share one.
///
/// What came out is kept together with the seconds for which it holds, up to the next edge of the window, in one word: a decision is one load, and
/// neither a stepped clock nor a machine that slept nor a question about another day gets an answer that is not its own.
#[derive(Debug)]
pub(in crate::policy) struct TimeTest {
    zone: Zone,
    days: Days,
    /// `None`: the whole day.
    between: Option<Between>,
    known: AtomicU64,
}

/// A zone of the time zone database.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Zone(TimeZone);

/// Days of the week, one bit each, Monday first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Days(u8);

/// From a minute of the day to another, which is not in it any more; where it is the earlier one, to that of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Between {
    from: u16,
    to: u16,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Zone {
    /// A zone by its name, such as `UTC` or `Europe/Berlin`.
    pub(in crate::policy) fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())?;
        zone.iana_name().is_some().then_some(Self(zone))
    }

    fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }
}

impl Days {
    pub(in crate::policy) const EVERY: Self = Self(0x7f);

    /// Reads `mon` or `mon-fri`; a range may go over the end of the week.
    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (day(first)?, day(last)?);
        let of = |day: Weekday| Self(1 << day.to_monday_zero_offset());
        let range = std::iter::successors(Some(first), |day| Some(day.next())).take_while(|day| *day != last);
        Some(range.map(of).fold(of(last), Self::and))
    }

    pub(in crate::policy) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day.to_monday_zero_offset() != 0
    }
}

const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn day(name: &str) -> Option<Weekday> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, day)| *day)
}

impl Between {
    /// `None` where both are the same: that may mean all day and never.
    pub(in crate::policy) fn new(from: u16, to: u16) -> Option<Self> {
        (from != to && from < DAY && to <= DAY).then_some(Self { from, to })
    }

    /// Reads `06:00` as minutes of the day; up to `24:00`.
    pub(in crate::policy) fn minute(text: &str) -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let two = |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u16>().ok())?;
        let (hour, minute) = (two(hour)?, two(minute)?);
        (minute < 60).then_some(hour * 60 + minute).filter(|minutes| *minutes <= DAY)
    }
}

impl TimeTest {
    pub(in crate::policy) fn new(zone: Zone, days: Days, between: Option<Between>) -> Self {
        Self { zone, days, between, known: AtomicU64::new(0) }
    }

    /// Unknown is only a time that calendars do not have.
    pub(super) fn holds(&self, now: SystemTime) -> Truth {
        let Some(second) = seconds(now) else { return Truth::Unknown };
        // Relaxed: the word is all there is to it.
        if let Some(holds) = Known(self.known.load(Ordering::Relaxed)).at(second) {
            return holds.into();
        }
        let Some((holds, until)) = self.look(second) else { return Truth::Unknown };
        if let Some(known) = until.and_then(|until| Known::new(second, until, holds)) {
            self.known.store(known.0, Ordering::Relaxed);
        }
        holds.into()
    }

    #[cfg(test)]
    pub(super) fn keep_for_ever(&self) {
        let known = Known::new(0, (1 << 31) - 1, self.look(0).unwrap().0).unwrap();
        self.known.store(known.0, Ordering::Relaxed);
    }

    /// When what it says at `now` may end.
    pub(in crate::policy) fn holds_until(&self, now: SystemTime) -> Option<SystemTime> {
        let (_, until) = self.look(seconds(now)?)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(until?).ok()?))
    }

    /// Whether it holds at a second of Unix time, and the first one after it at which that may change.
    fn look(&self, second: i64) -> Option<(bool, Option<i64>)> {
        let now = Timestamp::from_second(second).ok()?;
        let local = self.zone.0.to_datetime(now);
        Some((self.contains(local), self.edge(now, local.date())))
    }

    /// Local time decides: what is left out when clocks go forward is left out, and what comes twice when they go back counts twice.
    fn contains(&self, local: DateTime) -> bool {
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        let today = local.weekday();
        match self.between {
            None => self.days.has(today),
            Some(Between { from, to }) if from < to => self.days.has(today) && (from..to).contains(&minute),
            // A window over midnight belongs to the day on which it begins.
            Some(Between { from, to }) => (minute >= from && self.days.has(today)) || (minute < to && self.days.has(today.previous())),
        }
    }

    /// The first second after `now` at which a day or the window begins or ends, today or tomorrow, or at which the clocks of the zone are set.
    fn edge(&self, now: Timestamp, today: Date) -> Option<i64> {
        let minutes = [Some(0), self.between.map(|between| between.from), self.between.map(|between| between.to % DAY)];
        let days = [Some(today), today.tomorrow().ok()];
        let locals = days.into_iter().flatten().flat_map(|day| minutes.into_iter().flatten().map(move |minute| at(day, minute)));
        let instants = locals.flat_map(|local| {
            let ambiguous = self.zone.0.to_ambiguous_timestamp(local);
            [ambiguous.earlier().ok(), ambiguous.later().ok()]
        });
        let set = self.zone.0.following(now).next().map(|transition| transition.timestamp());
        instants.chain([set]).flatten().filter(|instant| *instant > now).map(Timestamp::as_second).min()
    }

    /// The same for tests that say the same.
    pub(in crate::policy) fn json(&self) -> Value {
        let days: Vec<&str> = NAMES.iter().filter(|(_, day)| self.days.has(*day)).map(|(name, _)| *name).collect();
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let between = self.between.map(|Between { from, to }| [clock(from), clock(to)]);
        object([("tz", json!(self.zone.name())), ("days", json!(days)), ("between", json!(between))])
    }
}

fn at(day: Date, minute: u16) -> DateTime {
    let part = |number: u16| i8::try_from(number).unwrap_or_default();
    day.at(part(minute / 60), part(minute % 60), 0, 0)
}

fn seconds(now: SystemTime) -> Option<i64> {
    i64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Seconds of Unix time for which an answer holds, and the answer: 32 bits for the first, 31 for how many, 1 for the answer. Zero: nothing is known.
#[derive(Debug, Clone, Copy)]
struct Known(u64);

impl Known {
    /// `None` where a number does not fit: nothing is kept then.
    fn new(from: i64, until: i64, holds: bool) -> Option<Self> {
        let (from, len) = (u32::try_from(from).ok()?, u32::try_from(until.checked_sub(from)?).ok()?);
        (len < 1 << 31).then(|| Self(u64::from(from) << 32 | u64::from(len) << 1 | u64::from(holds)))
    }

    fn at(self, second: i64) -> Option<bool> {
        let (from, len) = ((self.0 >> 32).cast_signed(), (self.0 >> 1 & 0x7fff_ffff).cast_signed());
        (from..from + len).contains(&second).then_some(self.0 & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(zone: &str, days: &str, between: Option<(&str, &str)>) -> TimeTest {
        let minute = |text| Between::minute(text).unwrap();
        let between = between.map(|(from, to)| Between::new(minute(from), minute(to)).unwrap());
        TimeTest::new(Zone::named(zone).unwrap(), Days::parse(days).unwrap(), between)
    }

    fn moment(text: &str) -> SystemTime {
        crate::policy::moment::parse(text).unwrap()
    }

    #[test]
    fn windows_are_local_and_may_go_over_midnight() {
        let table = [
            (("UTC", "mon-fri", Some(("06:00", "20:00"))), "2026-11-20T06:00:00Z", true),
            (("UTC", "mon-fri", Some(("06:00", "20:00"))), "2026-11-20T05:59:59.999Z", false),
            (("UTC", "mon-fri", Some(("06:00", "20:00"))), "2026-11-20T20:00:00Z", false),
            (("UTC", "mon-fri", Some(("06:00", "20:00"))), "2026-11-21T12:00:00Z", false),
            (("UTC", "sat", None), "2026-11-21T23:59:59Z", true),
            (("UTC", "sat", None), "2026-11-22T00:00:00Z", false),
            (("UTC", "fri-mon", None), "2026-11-22T12:00:00Z", true),
            (("UTC", "fri-mon", None), "2026-11-24T12:00:00Z", false),
            (("UTC", "fri", Some(("22:00", "06:00"))), "2026-11-20T23:00:00Z", true),
            (("UTC", "fri", Some(("22:00", "06:00"))), "2026-11-21T05:59:00Z", true),
            (("UTC", "fri", Some(("22:00", "06:00"))), "2026-11-20T05:00:00Z", false),
            (("UTC", "fri", Some(("22:00", "06:00"))), "2026-11-21T22:30:00Z", false),
            (("UTC", "mon-sun", Some(("20:00", "24:00"))), "2026-11-20T23:59:59Z", true),
            (("Europe/Berlin", "mon-sun", Some(("06:00", "20:00"))), "2026-11-20T05:30:00Z", true),
            (("Europe/Berlin", "mon-sun", Some(("06:00", "20:00"))), "2026-07-20T04:30:00Z", true),
            (("Europe/Berlin", "mon-sun", Some(("06:00", "20:00"))), "2026-07-20T03:30:00Z", false),
            (("Pacific/Auckland", "sat", None), "2026-11-20T11:30:00Z", true),
        ];
        for ((zone, days, between), at, inside) in table {
            assert_eq!(test(zone, days, between).holds(moment(at)), inside.into(), "{zone} {days} {between:?} {at}");
        }
    }

    /// Clocks go forward at 01:00 UTC on 2026-03-29 and back at 01:00 UTC on 2026-10-25.
    #[test]
    fn clocks_that_are_set_move_windows() {
        let night = test("Europe/Berlin", "sun", Some(("02:30", "03:30")));
        for (at, inside) in [
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", true),
            ("2026-03-29T01:30:00Z", false),
            ("2026-10-25T00:29:59Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:00:00Z", false),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T02:30:00Z", false),
        ] {
            assert_eq!(night.holds(moment(at)), inside.into(), "{at}");
        }
    }

    /// What is kept is what would be found anew, in zones of every kind, every five minutes over days on which clocks are set.
    #[test]
    fn what_is_kept_holds_to_the_next_edge() {
        let zones =
            ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana"];
        let windows = [
            ("mon-sun", Some(("01:45", "02:15"))),
            ("sun", Some(("23:30", "02:30"))),
            ("sat", None),
            ("mon-sun", Some(("00:00", "24:00"))),
        ];
        for zone in zones {
            for (days, between) in windows {
                let kept = test(zone, days, between);
                for begin in [
                    "2026-02-14T00:00:00Z",
                    "2026-03-07T12:00:00Z",
                    "2026-03-28T12:00:00Z",
                    "2026-04-04T06:00:00Z",
                    "2026-10-24T12:00:00Z",
                    "2026-10-31T12:00:00Z",
                ] {
                    for minute in (0..36 * 60).step_by(5) {
                        let now = moment(begin) + Duration::from_secs(60 * minute);
                        let anew = test(zone, days, between).holds(now);
                        assert_eq!(kept.holds(now), anew, "{zone} {days} {between:?} {begin} + {minute} min");
                    }
                }
            }
        }
    }

    #[test]
    fn another_time_gets_its_own_answer() {
        let hours = test("UTC", "mon-sun", Some(("06:00", "20:00")));
        let (day, night) = (moment("2026-11-20T12:00:00Z"), moment("2026-11-20T03:00:00Z"));
        for (at, inside) in [(day, true), (night, false), (day + Duration::from_secs(86_400), true), (night, false), (day, true)] {
            assert_eq!(hours.holds(at), inside.into());
        }
        assert_eq!(hours.holds_until(day), Some(moment("2026-11-20T20:00:00Z")));
        assert_eq!(hours.holds(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), Truth::Unknown);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(200 * 365 * 86_400);
        assert_eq!(hours.holds(far), test("UTC", "mon-sun", Some(("06:00", "20:00"))).holds(far));
        assert!(Known::new(0, 1 << 31, true).is_none() && Known::new(1 << 32, 5, true).is_none());
    }

    #[test]
    fn what_is_no_window_is_refused() {
        assert!(Zone::named("Mars/Base").is_none() && Zone::named("").is_none() && Zone::named("Etc/Unknown").is_none());
        for text in ["", "Mon", "monday", "mon-", "-fri", "mon-fri-sun"] {
            assert!(Days::parse(text).is_none(), "{text:?}");
        }
        for text in ["6:00", "06:60", "24:01", "0600", "+6:00", "06:0", "25:00"] {
            assert!(Between::minute(text).is_none(), "{text:?}");
        }
        assert!(Between::new(5, 5).is_none() && Between::new(DAY, 5).is_none());
    }
}
