//! Lines of one stream.

use super::ReadError;
use memchr::{memchr, memchr_iter, memrchr};
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most bytes of a line: a record has some thirty strings, each cut at 2 KiB, of which JSON makes six times as many at worst.
pub const MAX_LINE: usize = 1 << 20;
/// What is read at once, bytes. It fits the cache of a core, which what looks through it again is glad of.
const BLOCK: usize = 256 << 10;
/// What a Zstandard frame begins with (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// Whole lines.
    Lines(Lines<'b>),
    /// A line of more than [`MAX_LINE`] bytes, which was passed over: no sidecar writes one.
    TooLong {
        /// Its number.
        number: u64,
        /// Its length, bytes.
        length: u64,
    },
    /// What stands after the last newline: a line that was never finished, or is not yet.
    Torn {
        /// Its number.
        number: u64,
        /// What there is of it.
        bytes: &'b [u8],
    },
}

/// Whole lines of a file, as they lie in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines<'b> {
    /// The number of the first one; a file begins with line 1.
    pub first: u64,
    /// All of them, each with its newline.
    pub bytes: &'b [u8],
}

impl<'b> Lines<'b> {
    /// Each line with its number, newline excluded.
    pub fn iter(self) -> impl Iterator<Item = (u64, &'b [u8])> {
        let mut rest = self.bytes;
        (self.first..).map_while(move |number| {
            let (line, after) = rest.split_at_checked(memchr(b'\n', rest)?)?;
            rest = after.get(1..).unwrap_or_default();
            Some((number, line))
        })
    }
}

/// Hands out the lines of one stream, which it decompresses where that begins like a Zstandard frame.
pub struct Reader {
    name: String,
    stream: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    start: usize,
    /// Where its last whole line ends.
    whole: usize,
    /// Where what was read ends.
    end: usize,
    /// The number of the line at `start`.
    number: u64,
    /// The bytes so far of a line that is passed over.
    skipping: Option<u64>,
    taken: Arc<AtomicU64>,
}

/// What the buffer has got.
enum Filled {
    Lines,
    TooLong(u64),
    Nothing,
}

impl Reader {
    /// Reads `stream`, which messages call `name`.
    ///
    /// # Errors
    /// Its first bytes cannot be read.
    pub fn new(name: String, stream: impl Read + Send + 'static) -> Result<Self, ReadError> {
        let taken = Arc::new(AtomicU64::new(0));
        let stream = Counted { stream, taken: Arc::clone(&taken) };
        let stream = decompressed(stream).map_err(|error| ReadError::Open { name: name.clone(), error })?;
        Ok(Self { name, stream, buffer: vec![0; BLOCK], start: 0, whole: 0, end: 0, number: 1, skipping: None, taken })
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// The stream cannot be read further.
    #[expect(clippy::should_implement_trait, reason = "what it gives borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        let filled = self.fill()?;
        if !matches!(filled, Filled::Nothing) || self.start == self.end {
            return Ok(self.hand_out(filled));
        }
        let torn = self.start..self.end;
        (self.start, self.whole) = (self.end, self.end);
        Ok(Some(Piece::Torn { number: self.number, bytes: self.buffer.get(torn).unwrap_or_default() }))
    }

    /// Like [`Reader::next`] for a file that grows: an unfinished last line is kept until the rest of it is there, and `None` says that there is nothing more now.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn next_whole(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        let filled = self.fill()?;
        Ok(self.hand_out(filled))
    }

    /// Bytes taken from the stream so far, as they lie there, for whoever shows how far it is.
    pub fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }

    fn hand_out(&mut self, filled: Filled) -> Option<Piece<'_>> {
        match filled {
            Filled::Nothing => None,
            Filled::TooLong(length) => {
                self.number += 1;
                Some(Piece::TooLong { number: self.number - 1, length })
            }
            Filled::Lines => {
                let bytes = self.buffer.get(self.start..self.whole).unwrap_or_default();
                let first = self.number;
                self.number += memchr_iter(b'\n', bytes).count() as u64;
                self.start = self.whole;
                Some(Piece::Lines(Lines { first, bytes }))
            }
        }
    }

    /// Reads until there is a whole line, or no more.
    fn fill(&mut self) -> Result<Filled, ReadError> {
        if self.start < self.whole {
            return Ok(Filled::Lines);
        }
        loop {
            self.make_room();
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            let read = match self.stream.read(free) {
                Ok(0) => return Ok(self.ended()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::Read { name: self.name.clone(), line: self.number - 1, error }),
            };
            let new = self.end..self.end + read;
            self.end = new.end;
            let fresh = self.buffer.get(new.clone()).unwrap_or_default();
            if let Some(skipped) = self.skipping {
                let Some(newline) = memchr(b'\n', fresh) else {
                    self.skipping = Some(skipped + read as u64);
                    self.end = self.start;
                    continue;
                };
                // What follows the newline is found as whole by the next turn, where it holds one.
                self.start = new.start + newline + 1;
                let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
                self.whole = memrchr(b'\n', rest).map_or(self.start, |last| self.start + last + 1);
                self.skipping = None;
                return Ok(Filled::TooLong(skipped + newline as u64));
            }
            if let Some(last) = memrchr(b'\n', fresh) {
                self.whole = new.start + last + 1;
                return Ok(Filled::Lines);
            }
        }
    }

    /// Brings what is left to the buffer's beginning; a line that does not fit is passed over from here on.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.end, self.whole) = (self.end - self.start, self.whole - self.start);
            self.start = 0;
        }
        if self.end < self.buffer.len() {
            return;
        }
        if self.buffer.len() < MAX_LINE {
            self.buffer.resize((self.buffer.len() * 2).min(MAX_LINE), 0);
        } else {
            self.skipping = Some(self.end as u64);
            (self.whole, self.end) = (0, 0);
        }
    }

    fn ended(&mut self) -> Filled {
        self.skipping.take().map_or(Filled::Nothing, Filled::TooLong)
    }
}

/// Counts what is read.
struct Counted<R> {
    stream: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What it holds is told by its first bytes and not by its name, which standard input has none of.
fn decompressed(mut stream: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(ZSTD.len());
    stream.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
    let is_compressed = first == ZSTD;
    let stream = Cursor::new(first).chain(stream);
    // The decoder's own limit of its window is 128 MiB.
    if is_compressed { Ok(Box::new(zstd::Decoder::new(stream)?)) } else { Ok(Box::new(stream)) }
}
