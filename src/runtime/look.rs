//! Whether files may have changed since they were read, by what the file system says of them: what is large is not read over and over to see.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Two changes further apart than this never leave a file with the same time: file systems keep at least whole seconds.
const GRAIN: Duration = Duration::from_millis(1_100);

/// How files looked at one moment. Take it before they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look(Vec<Option<Seen>>);

/// What cannot stay the same when a file is replaced or written to: nobody sets the time of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Look {
    /// Looks at files, through symbolic links; they need not exist.
    pub fn at(files: &[PathBuf]) -> Self {
        let seen = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            let changed = (metadata.ctime(), metadata.ctime_nsec());
            Some(Seen { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.len(), changed })
        };
        Self(files.iter().map(seen).collect())
    }

    /// Whether another look that says the same means that nothing has changed since: no file was changed so shortly before `now`, when this one was taken, that
    /// a further change could have got the same time.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let before = now.checked_sub(GRAIN).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let before = before.and_then(|before| i64::try_from(before.as_secs()).ok());
        self.0.iter().flatten().all(|seen| before.is_some_and(|before| seen.changed.0 < before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn whatever_happens_to_a_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a"), dir.path().join("link"));
        let files = [file.clone(), link.clone()];
        let mut looks = vec![Look::at(&files)];
        let mut look = |what: &dyn Fn()| {
            what();
            looks.push(Look::at(&files));
            let [.., before, now] = looks.as_slice() else { panic!("two looks") };
            assert_ne!(before, now);
            assert_eq!(*now, Look::at(&files));
        };
        look(&|| fs::write(&file, "one").unwrap());
        look(&|| fs::write(&file, "longer").unwrap());
        look(&|| {
            fs::write(dir.path().join("b"), "length").unwrap();
            fs::rename(dir.path().join("b"), &file).unwrap();
        });
        look(&|| std::os::unix::fs::symlink(&file, &link).unwrap());
        look(&|| fs::remove_file(&file).unwrap());
    }

    #[test]
    fn what_has_just_changed_may_change_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "one").unwrap();
        let (look, now) = (Look::at(&[file]), SystemTime::now());
        assert!(!look.is_settled(now));
        assert!(look.is_settled(now + Duration::from_secs(3)));
        assert!(!look.is_settled(now - Duration::from_secs(3_600)), "a clock that went back says nothing");
        assert!(Look::at(&[dir.path().join("missing")]).is_settled(now));
    }
}
