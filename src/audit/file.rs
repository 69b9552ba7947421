//! The `file` sink: rotation, sync, and room for new records at `max_bytes`.
//!
//! One process a directory: at `max_bytes` the oldest file goes, whoever wrote it.

use super::sink::{Refused, put, whole_lines};
use super::time::compact;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Size at which a file is closed, bytes; less where `max_bytes` is below four times that.
const ROTATE_BYTES: u64 = 64 << 20;
const MIN_ROTATE_BYTES: u64 = 64 << 10;
/// Age at which a file is closed, from its first record.
const ROTATE_AGE: Duration = Duration::from_secs(300);
/// From a write to the sync that covers it: what a power cut may take.
const SYNC: Duration = Duration::from_millis(200);
const PREFIX: &str = "decisions-";
const SUFFIX: &str = ".ndjson";

/// How bytes reach a file; tests put faults here.
pub(super) type Write1 = Box<dyn FnMut(&mut File, &[u8]) -> io::Result<usize> + Send>;

/// The files of one directory.
pub(super) struct Files {
    directory: PathBuf,
    boot: String,
    number: u64,
    current: Option<Current>,
    /// Oldest first, with sizes.
    closed: VecDeque<(PathBuf, u64)>,
    max_bytes: u64,
    write: Write1,
}

struct Current {
    file: File,
    path: PathBuf,
    length: u64,
    opened: Instant,
    unsynced: Option<Instant>,
}

impl Files {
    /// Makes the directory where it is missing and opens the first file.
    pub(super) fn open(directory: &Path, boot: &str, max_bytes: u64) -> io::Result<Self> {
        Self::open_with(directory, boot, max_bytes, Box::new(|file, bytes| file.write(bytes)))
    }

    pub(super) fn open_with(directory: &Path, boot: &str, max_bytes: u64, write: Write1) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
        let mut files = Self {
            directory: directory.to_owned(),
            boot: boot.to_owned(),
            number: 0,
            current: None,
            closed: existing(directory)?,
            max_bytes,
            write,
        };
        files.current = Some(files.create()?);
        Ok(files)
    }

    /// After a refused write the file ends with the last whole line, is closed, and the next write tries a new one.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Refused> {
        let length = lines.len() as u64;
        self.make_room(length).map_err(|error| Refused { written: 0, error })?;
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.create().map_err(|error| Refused { written: 0, error })?,
        };
        let (count, result) = put(|bytes| (self.write)(&mut current.file, bytes), lines);
        let Err(error) = result else {
            current.length += length;
            current.unsynced.get_or_insert_with(Instant::now);
            self.current = Some(current);
            return Ok(());
        };
        let mut written = whole_lines(lines, count);
        let whole = current.length + written as u64;
        if current.file.set_len(whole).is_err() {
            // The torn line stays at the end of a file that nobody continues.
            tracing::warn!(file = %current.path.display(), "the decision log file ends with a torn line");
        }
        current.length = whole;
        if whole == 0 {
            let _ = fs::remove_file(&current.path);
        } else if current.file.sync_data().is_err() {
            // Not safe on the disk: written again, twice rather than never.
            written = 0;
            self.closed.push_back((current.path, whole));
        } else {
            self.closed.push_back((current.path, whole));
        }
        Err(Refused { written, error })
    }

    pub(super) fn tick(&mut self, now: Instant) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.length > 0 && now.saturating_duration_since(current.opened) >= ROTATE_AGE {
            return self.close();
        }
        if current.unsynced.is_some_and(|since| now.saturating_duration_since(since) >= SYNC) {
            current.unsynced = None;
            if let Err(error) = current.file.sync_data() {
                // What a failed sync has lost cannot be known: the next record begins a new file.
                self.close_unsynced();
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.close()
    }

    /// Closes the file if `length` more bytes do not fit, and removes the oldest ones until all fit `max_bytes`.
    fn make_room(&mut self, length: u64) -> io::Result<()> {
        let limit = (self.max_bytes / 4).clamp(MIN_ROTATE_BYTES, ROTATE_BYTES);
        if self.current.as_ref().is_some_and(|current| current.length > 0 && current.length + length > limit) {
            self.close()?;
        }
        let open = self.current.as_ref().map_or(0, |current| current.length);
        let mut total = open + length + self.closed.iter().map(|(_, size)| size).sum::<u64>();
        while total > self.max_bytes {
            let Some((path, size)) = self.closed.pop_front() else { break };
            total -= size;
            match fs::remove_file(&path) {
                Ok(()) => tracing::info!(file = %path.display(), "the oldest decision log file was removed: max_bytes"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(file = %path.display(), %error, "a decision log file cannot be removed"),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let result = self.current.as_ref().map_or(Ok(()), |current| current.file.sync_all());
        self.close_unsynced();
        result
    }

    fn close_unsynced(&mut self) {
        match self.current.take() {
            Some(current) if current.length > 0 => self.closed.push_back((current.path, current.length)),
            // Never written to.
            Some(current) => drop(fs::remove_file(current.path)),
            None => {}
        }
    }

    fn create(&mut self) -> io::Result<Current> {
        let name = format!("{PREFIX}{}-{}-{:06}{SUFFIX}", compact(SystemTime::now()), self.boot, self.number);
        self.number += 1;
        let path = self.directory.join(name);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(&path)?;
        Ok(Current { file, path, length: 0, opened: Instant::now(), unsynced: None })
    }
}

/// Files of earlier boots, oldest first: their names begin with their time.
fn existing(directory: &Path) -> io::Result<VecDeque<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        let metadata = entry.metadata()?;
        if ours && metadata.is_file() {
            found.push((entry.path(), metadata.len()));
        }
    }
    found.sort();
    Ok(found.into())
}

#[cfg(test)]
mod tests;
