//! Names of files: they sort by age, whatever the clock does.

use crate::audit::time::compact;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use time::PrimitiveDateTime;
use time::macros::format_description;

const PREFIX: &str = "decisions-";
const SUFFIX: &str = ".ndjson";

/// Whether a file of this name is one of a log.
pub(super) fn is_log(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Makes the names of one boot's files: their time, which never steps back behind that of a file that is there, the boot, and a number.
pub(super) struct Names {
    boot: String,
    number: u64,
    latest: String,
}

impl Names {
    /// Names of `boot`, all after `newest`, a file of an earlier boot.
    pub(super) fn after(newest: Option<&Path>, boot: &str) -> Self {
        let latest = newest.and_then(time).and_then(|time| later(&time)).unwrap_or_default();
        Self { boot: boot.to_owned(), number: 0, latest }
    }

    pub(super) fn next(&mut self, directory: &Path, now: SystemTime) -> PathBuf {
        self.latest = std::mem::take(&mut self.latest).max(compact(now));
        let name = format!("{PREFIX}{}-{}-{:06}{SUFFIX}", self.latest, self.boot, self.number);
        self.number += 1;
        directory.join(name)
    }
}

/// The time in a name, as it is written there.
fn time(path: &Path) -> Option<String> {
    let rest = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    rest.split_once('-').map(|(time, _)| time.to_owned())
}

/// The next second: two boots do not share one.
fn later(time: &str) -> Option<String> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = PrimitiveDateTime::parse(time, format).ok()?.assume_utc();
    Some(compact(SystemTime::from(at) + Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn names_rise_though_the_clock_steps_back() {
        let at = |second: u64| UNIX_EPOCH + Duration::from_secs(951_782_399 + second);
        let dir = Path::new("/d");
        let mut first = Names::after(None, "ff");
        let mut names = vec![first.next(dir, at(0)), first.next(dir, at(100)), first.next(dir, at(50))];
        assert_eq!(names[0], Path::new("/d/decisions-20000228T235959Z-ff-000000.ndjson"));
        let mut second = Names::after(names.last().map(PathBuf::as_path), "00");
        names.extend([second.next(dir, at(100)), second.next(dir, at(0)), second.next(dir, at(200))]);
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        let strange = Names::after(Some(Path::new("/d/decisions-x-y.ndjson")), "00").next(dir, at(0));
        assert!(strange.to_str().unwrap().contains("20000228T235959Z"));
    }
}
