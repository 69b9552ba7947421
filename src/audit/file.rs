//! The `file` sink: files of a directory, their sync and compression, and which is the next to go at `max_bytes`.
//!
//! One process a directory. A file is closed by the writer, after the record that ends it; after a fault it is closed without one, and what was not written
//! begins the next.

use super::sink::{Refused, put, whole_lines};
use closed::Closed;
use extent::previous;
use name::Names;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

mod closed;
mod extent;
mod keeper;
mod name;
#[cfg(test)]
mod tests;

pub(super) use closed::Oldest;
pub(super) use extent::{Extent, Previous};

/// Size at which a file is closed, bytes; less where `max_bytes` is below four times that. What is written at once comes on top.
const ROTATE_BYTES: u64 = 64 << 20;
const MIN_ROTATE_BYTES: u64 = 64 << 10;
/// Age at which a file is closed, from when it was begun.
const ROTATE_AGE: Duration = Duration::from_secs(300);
/// From a write to the sync that covers it: what a power cut may take.
const SYNC: Duration = Duration::from_millis(200);

/// How bytes reach a file; tests put faults here.
pub(super) type Write1 = Box<dyn FnMut(&mut File, &[u8]) -> io::Result<usize> + Send>;

/// The files of one directory.
pub(super) struct Files {
    directory: PathBuf,
    names: Names,
    current: Option<Current>,
    closed: Closed,
    /// Size at which a file is closed, bytes.
    rotate: u64,
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
    /// Makes the directory where it is missing and opens the first file; also says where the log ended that was there.
    pub(super) fn open(directory: &Path, boot: &str, max_bytes: u64, compress: bool) -> io::Result<(Self, Option<Previous>)> {
        Self::open_with(directory, boot, max_bytes, compress, Box::new(|file, bytes| file.write(bytes)))
    }

    pub(super) fn open_with(
        directory: &Path,
        boot: &str,
        max_bytes: u64,
        compress: bool,
        write: Write1,
    ) -> io::Result<(Self, Option<Previous>)> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
        let closed = Closed::list(directory, compress)?;
        let (previous, names) = (previous(closed.newest_first()), Names::after(closed.newest_first().next(), boot));
        let mut files = Self {
            directory: directory.to_owned(),
            names,
            current: None,
            closed,
            rotate: (max_bytes / 4).clamp(MIN_ROTATE_BYTES, ROTATE_BYTES),
            max_bytes,
            write,
        };
        files.current = Some(files.create()?);
        Ok((files, previous))
    }

    /// The most bytes that one write should have, for `max_bytes` to hold.
    pub(super) fn share(&self) -> u64 {
        self.rotate / 4
    }

    /// After a refused write the file ends with the last whole line, is closed, and the next write tries a new one.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Refused> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.create().map_err(|error| Refused { written: 0, error })?,
        };
        let (count, result) = put(|bytes| (self.write)(&mut current.file, bytes), lines);
        let Err(error) = result else {
            current.length += lines.len() as u64;
            current.unsynced.get_or_insert_with(Instant::now);
            self.current = Some(current);
            return Ok(());
        };
        let written = self.abandon(current, whole_lines(lines, count));
        Err(Refused { written, error })
    }

    /// Closes a file that takes no more, after the last whole line that is safe on the disk; says how many of the `written` bytes are.
    fn abandon(&mut self, mut current: Current, written: usize) -> usize {
        let before = current.length;
        let kept = [before + written as u64, before].into_iter().find(|length| {
            let cut = current.file.set_len(*length).and_then(|()| current.file.sync_data());
            cut.is_ok()
        });
        if kept.is_none() {
            tracing::warn!(file = %current.path.display(), "the decision log file may end with a torn line, or with lines that come again in the next");
        }
        let kept = kept.unwrap_or(before);
        current.length = kept;
        self.put_away(current, None);
        (kept - before) as usize
    }

    /// Syncs what is due, and has closed files compressed.
    pub(super) fn tick(&mut self, now: Instant) -> io::Result<()> {
        self.closed.tick();
        match &self.current {
            Some(current) if current.unsynced.is_some_and(|since| now.saturating_duration_since(since) >= SYNC) => self.sync(),
            _ => Ok(()),
        }
    }

    /// Brings to the disk what is not there.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(current) = self.current.as_mut().filter(|current| current.unsynced.is_some()) else { return Ok(()) };
        current.unsynced = None;
        let synced = current.file.sync_data();
        if synced.is_err() {
            // What a failed sync has lost cannot be known: the next record begins a new file.
            self.current.take().into_iter().for_each(|current| self.put_away(current, None));
        }
        synced
    }

    /// Whether the file is to be closed for its size or age.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_due = |current: &Current| {
            current.length >= self.rotate || current.length > 0 && now.saturating_duration_since(current.opened) >= ROTATE_AGE
        };
        self.current.as_ref().is_some_and(is_due)
    }

    /// Closes the file, which holds this; it is closed after an error as well.
    pub(super) fn close(&mut self, holds: Extent) -> io::Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let synced = current.file.sync_all();
        self.put_away(current, Some(holds));
        synced
    }

    /// The oldest closed file, where all of them and one more of full size do not fit `max_bytes`.
    pub(super) fn excess(&mut self) -> Option<Oldest> {
        let next = self.rotate + self.share();
        if self.closed.bytes() + next <= self.max_bytes { None } else { self.closed.oldest() }
    }

    /// Removes the oldest closed file.
    pub(super) fn remove_oldest(&mut self) {
        self.closed.remove_oldest();
    }

    fn put_away(&mut self, current: Current, holds: Option<Extent>) {
        if current.length > 0 {
            self.closed.add(current.path, current.length, holds);
        } else {
            // Never written to.
            drop(fs::remove_file(current.path));
        }
    }

    fn create(&mut self) -> io::Result<Current> {
        let path = self.names.next(&self.directory, SystemTime::now());
        let file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(&path)?;
        // Tells other processes that it is written; a file system that has no locks has no other processes here either.
        let _ = file.try_lock();
        Ok(Current { file, path, length: 0, opened: Instant::now(), unsynced: None })
    }
}
