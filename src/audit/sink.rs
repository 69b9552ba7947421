//! Where lines go.

use super::file::Files;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a sink that would block is left alone before the next try.
const WOULD_BLOCK: Duration = Duration::from_millis(5);

/// The writer's end of a sink.
pub(super) enum Output {
    /// A stream; it may block the writer's thread, then the rings fill and `on_full` acts.
    Stream(Stream),
    /// Files, one after the other.
    Files(Box<Files>),
    /// Nowhere.
    None,
}

/// What a refused write left behind.
#[derive(Debug)]
pub(super) struct Refused {
    /// Bytes that are out, always whole lines; what follows them must be written again.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl Output {
    pub(super) fn stdout() -> io::Result<Self> {
        // A descriptor of our own: Rust's stdout buffers by line, which costs a system call a record.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self::Stream(Stream { out: Box::new(stdout), torn: false }))
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Stream(stream) => stream.write(lines),
            Self::Files(files) => files.write(lines),
            Self::None => Ok(()),
        }
    }

    /// Brings to the disk what is due by time. `now` is the monotonic clock's.
    pub(super) fn tick(&mut self, now: Instant) -> io::Result<()> {
        self.files().map_or(Ok(()), |files| files.tick(now))
    }

    /// Brings everything that was written to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.files().map_or(Ok(()), Files::sync)
    }

    /// Its files, where it has any.
    pub(super) fn files(&mut self) -> Option<&mut Files> {
        match self {
            Self::Files(files) => Some(files),
            Self::Stream(_) | Self::None => None,
        }
    }
}

/// A stream of lines that cannot be taken back.
pub(super) struct Stream {
    pub(super) out: Box<dyn Write + Send>,
    /// The last byte that went out ended no line.
    pub(super) torn: bool,
}

impl Stream {
    /// After a refused write the torn line stays in the stream, ended by a newline, and is then written again in full.
    fn write(&mut self, lines: &[u8]) -> Result<(), Refused> {
        if self.torn {
            let (_, result) = put(|bytes| self.out.write(bytes), b"\n");
            result.map_err(|error| Refused { written: 0, error })?;
            self.torn = false;
        }
        let (count, result) = put(|bytes| self.out.write(bytes), lines);
        result.map_err(|error| {
            let written = whole_lines(lines, count);
            self.torn = written != count;
            Refused { written, error }
        })
    }
}

/// Writes all of `bytes`; says how many went out before an error.
pub(super) fn put(mut write: impl FnMut(&[u8]) -> io::Result<usize>, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match write(rest) {
            Ok(0) => return (done, Err(ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A standard output that somebody else made non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::park_timeout(WOULD_BLOCK),
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// The bytes of the whole lines among the first `count`.
pub(super) fn whole_lines(lines: &[u8], count: usize) -> usize {
    lines.get(..count).and_then(|out| out.iter().rposition(|byte| *byte == b'\n')).map_or(0, |end| end + 1)
}
