//! Compresses closed files, on a thread of its own that yields to everything else.
//!
//! A file is there under one of its names at least, and complete, at any moment: the compressed one is written under a name that no reader takes, brought to
//! the disk, renamed, and only then is the plain one removed. What a crash leaves in between, the next start cleans up.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Of Zstandard: a tenth of the size at several hundred MB/s.
const LEVEL: i32 = 1;
/// What is added to a file's name.
pub(super) const COMPRESSED: &str = ".zst";
/// What the name of an unfinished one begins with.
pub(super) const UNFINISHED: &str = ".";

/// The writer's end of the thread.
pub(super) struct Keeper {
    jobs: SyncSender<PathBuf>,
    done: Receiver<Done>,
}

/// What became of a file.
pub(super) struct Done {
    /// As it was called.
    pub(super) plain: PathBuf,
    /// As it is called now, and its size, bytes.
    pub(super) packed: io::Result<(PathBuf, u64)>,
}

impl Keeper {
    pub(super) fn start() -> io::Result<Self> {
        let ((jobs, todo), (tell, done)) = (sync_channel::<PathBuf>(1), sync_channel(1));
        thread::Builder::new().name("log-keeper".to_owned()).spawn(move || {
            // On Linux this is of the thread alone; where it is refused, the work is done all the same.
            let _ = rustix::process::nice(19);
            for plain in todo {
                let packed = pack(&plain);
                if tell.send(Done { plain, packed }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, done })
    }

    /// Has a file compressed, one at a time; `false` where the thread is gone or has one already.
    pub(super) fn give(&self, plain: &Path) -> bool {
        self.jobs.try_send(plain.to_owned()).is_ok()
    }

    /// What is done since the last call, if anything.
    pub(super) fn poll(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }
}

/// The name of the compressed file.
pub(super) fn packed_name(plain: &Path) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(COMPRESSED);
    name.into()
}

fn unfinished_name(packed: &Path) -> PathBuf {
    let mut name = OsString::from(UNFINISHED);
    name.push(packed.file_name().unwrap_or_default());
    packed.with_file_name(name)
}

/// Puts the compressed file in the place of the plain one; after an error the plain one is there as before.
fn pack(plain: &Path) -> io::Result<(PathBuf, u64)> {
    let packed = packed_name(plain);
    let unfinished = unfinished_name(&packed);
    let written = write(plain, &unfinished).and_then(|size| fs::rename(&unfinished, &packed).map(|()| size));
    let size = written.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    let directory = File::open(plain.parent().unwrap_or(Path::new(".")))?;
    directory.sync_all()?;
    fs::remove_file(plain)?;
    directory.sync_all()?;
    Ok((packed, size))
}

fn write(plain: &Path, unfinished: &Path) -> io::Result<u64> {
    let mut from = File::open(plain)?;
    if matches!(from.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(io::Error::other("another process writes it"));
    }
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(unfinished)?;
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut from, &mut encoder)?;
    let to = encoder.finish()?;
    to.sync_all()?;
    Ok(to.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_packed_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("decisions-1.ndjson");
        fs::write(&plain, "x\n".repeat(100_000)).unwrap();
        // Where the unfinished file goes there is something else, as on a full disk there is nothing.
        fs::create_dir(dir.path().join(".decisions-1.ndjson.zst")).unwrap();
        assert!(pack(&plain).is_err() && plain.exists() && !packed_name(&plain).exists());
        fs::remove_dir(dir.path().join(".decisions-1.ndjson.zst")).unwrap();
        let writer = OpenOptions::new().append(true).open(&plain).unwrap();
        writer.try_lock().unwrap();
        assert!(pack(&plain).unwrap_err().to_string().contains("another process"));
        drop(writer);
        let (packed, size) = pack(&plain).unwrap();
        assert!(!plain.exists() && size < 1_000 && packed == packed_name(&plain));
        assert_eq!(zstd::decode_all(File::open(&packed).unwrap()).unwrap(), "x\n".repeat(100_000).as_bytes());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
