//! Tells when files may have changed: kernel events on their directories, and a poll for where there are none.

use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// From one look at the files to the next where no event comes (network file systems, and missed events).
const POLL: Duration = Duration::from_secs(30);

/// From the first event to the look: a writer that replaces several files is usually done.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches files through renames and symlink swaps, by their directories.
pub struct FileWatch {
    files: Vec<PathBuf>,
    event: Arc<Notify>,
    watcher: Option<notify::RecommendedWatcher>,
}

impl FileWatch {
    /// Watches these files; they need not exist.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self { files, event: Arc::new(Notify::new()), watcher: None };
        watch.arm();
        watch
    }

    /// Waits until a file may have changed, or for 30 s; compare contents to know.
    ///
    /// # Cancel safety
    /// An event is not lost when this is dropped before it is done, only its settling time begins again.
    pub async fn changed(&mut self) {
        if tokio::time::timeout(POLL, self.event.notified()).await.is_ok() {
            // A permit for the next call: this one may be dropped while it waits.
            self.event.notify_one();
            tokio::time::sleep(SETTLE).await;
        }
        // Drops the permit, and arms again first: a swapped symlink leads to another directory.
        self.arm();
        let drained = self.event.notified();
        tokio::pin!(drained);
        let _ = drained.as_mut().enable();
    }

    fn arm(&mut self) {
        let event = Arc::clone(&self.event);
        let handler = move |result: notify::Result<notify::Event>| {
            // Reading is an event too; only changes count.
            if !result.is_ok_and(|event| event.kind.is_access()) {
                event.notify_one();
            }
        };
        let mut watcher = match notify::recommended_watcher(handler) {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "file events are not available; files are looked at every 30 s");
                self.watcher = None;
                return;
            }
        };
        for directory in self.files.iter().flat_map(|file| directories(file)).collect::<BTreeSet<_>>() {
            if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
                tracing::debug!(directory = %directory.display(), %error, "no events for this directory; it is looked at every 30 s");
            }
        }
        self.watcher = Some(watcher);
    }
}

/// The directory of a file, and the directory of every symlink on the way to it.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    const MAX_LINKS: usize = 16;
    let mut found = BTreeSet::new();
    let mut next = Some(file.to_owned());
    for _ in 0..MAX_LINKS {
        let Some(path) = next.take() else { break };
        found.insert(parent(&path));
        for ancestor in path.ancestors() {
            if let Ok(target) = std::fs::read_link(ancestor) {
                let directory = parent(ancestor);
                let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
                next = Some(if rest.as_os_str().is_empty() { directory.join(target) } else { directory.join(target).join(rest) });
                found.insert(directory);
                break;
            }
        }
    }
    found
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// What the file system says, or that it is longer.
pub async fn read_capped(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(limit.saturating_add(1)).read_to_end(&mut bytes).await?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_symlink_on_the_way_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("secret/v1")).unwrap();
        symlink("v1", at("secret/..data")).unwrap();
        symlink("..data/tls.crt", at("secret/tls.crt")).unwrap();
        std::fs::write(at("secret/v1/tls.crt"), "").unwrap();
        symlink("secret", at("current")).unwrap();
        let found = directories(&at("current/tls.crt"));
        // The link itself, the directory that holds `current`, the one that holds `..data`, and the real one.
        let wanted = [at(""), at("current"), at("current/..data"), at("secret"), at("secret/..data"), at("secret/v1")];
        let real = |path: &PathBuf| path.canonicalize().unwrap();
        let found: BTreeSet<_> = found.iter().map(real).collect();
        assert_eq!(found, wanted.iter().map(real).collect());
        symlink("loop", at("loop")).unwrap();
        assert_eq!(directories(&at("loop")).len(), 1);
        assert_eq!(directories(Path::new("plain.pem")), BTreeSet::from([PathBuf::from(".")]));
    }

    #[tokio::test]
    async fn reading_is_no_change_and_writing_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let mut watch = FileWatch::new(vec![file.clone()]);
        read_capped(&file, 3).await.unwrap();
        assert!(tokio::time::timeout(SETTLE * 2, watch.changed()).await.is_err());
        std::fs::write(&file, "two!").unwrap();
        tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.unwrap();
        assert!(read_capped(&file, 3).await.is_err());
    }
}
