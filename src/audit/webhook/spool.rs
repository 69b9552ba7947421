//! Messages on the disk: in order, whole or not at all, bounded, kept over restarts.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Messages at once, and their bytes. The oldest makes room.
const FILES: usize = 1_000;
const BYTES: u64 = 4 << 20;

/// What every message's file ends with.
const END: &str = ".json";

/// The messages that wait, oldest first. One process has it at a time.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    waiting: VecDeque<Message>,
    bytes: u64,
    next: u64,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    number: u64,
    bytes: u64,
}

impl Spool {
    /// Opens a directory, made with mode 0700 where it is not there, with what an earlier process left. What was not written to its end is removed.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut waiting = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            match name.strip_suffix(END).map(str::parse) {
                Some(Ok(number)) => waiting.push(Message { number, bytes: entry.metadata()?.len() }),
                _ if name.ends_with(".part") => fs::remove_file(entry.path())?,
                _ => {}
            }
        }
        waiting.sort_by_key(|message| message.number);
        let next = waiting.last().map_or(1, |last| last.number + 1);
        let bytes = waiting.iter().map(|message| message.bytes).sum();
        Ok(Self { dir: dir.to_owned(), waiting: waiting.into(), bytes, next })
    }

    /// Keeps a message, mode 0600; gives how many older ones were dropped for it.
    ///
    /// # Errors
    /// It could not be written; then there is nothing of it.
    pub(super) fn push(&mut self, body: &[u8]) -> io::Result<usize> {
        let message = Message { number: self.next, bytes: body.len() as u64 };
        let path = self.path(message);
        let part = path.with_extension("part");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let written = file.write_all(body).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&part, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        // A crash may undo the name; what is in the log it does not touch.
        let _ = File::open(&self.dir).and_then(|dir| dir.sync_all());
        self.next += 1;
        self.bytes += message.bytes;
        self.waiting.push_back(message);
        let mut dropped = 0;
        while (self.waiting.len() > FILES || self.bytes > BYTES) && self.waiting.len() > 1 {
            if let Some(oldest) = self.waiting.front().copied() {
                self.remove(oldest);
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    /// The oldest message, with its bytes; one that cannot be read is left out for good.
    pub(super) fn oldest(&mut self) -> Option<(Message, Vec<u8>)> {
        loop {
            let oldest = self.waiting.front().copied()?;
            match fs::read(self.path(oldest)) {
                Ok(body) => return Some((oldest, body)),
                Err(error) => {
                    tracing::error!(%error, "a message of the webhook's spool cannot be read and is left out");
                    self.remove(oldest);
                }
            }
        }
    }

    /// Takes a message out, if it is still there.
    pub(super) fn remove(&mut self, message: Message) {
        if let Some(place) = self.waiting.iter().position(|waiting| *waiting == message) {
            self.waiting.remove(place);
            self.bytes = self.bytes.saturating_sub(message.bytes);
            if let Err(error) = fs::remove_file(self.path(message)) {
                tracing::warn!(%error, "a message cannot be removed from the webhook's spool: it will be sent once more after a restart");
            }
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn path(&self, message: Message) -> PathBuf {
        self.dir.join(format!("{:020}{END}", message.number))
    }
}
