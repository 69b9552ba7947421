//! How values are written for people.

use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, RFC 3339, to the second.
pub(super) fn date(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at).truncate_to_second();
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

/// A moment of an answer; AWS gives seconds since 1970.
pub(super) fn moment(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// A duration as the configuration writes it: in the largest unit that leaves no rest, and of which there are several.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = units.iter().find(|(unit, _)| seconds >= 2 * unit && seconds.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_write_them() {
        let spans =
            [(0, "0s"), (60, "60s"), (121, "121s"), (600, "10m"), (3_600, "60m"), (86_400, "24h"), (90_000, "25h"), (604_800, "7d")];
        for (seconds, text) in spans {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(date(moment(784_111_777).unwrap()), "1994-11-06T08:49:37Z");
        assert_eq!(moment(-1), None);
    }
}
