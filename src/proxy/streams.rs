//! Which streams of an HTTP/2 connection wait for their client to read: answered, not ended, and without a window (RFC 9113, section 5.2). Known from
//! the frames alone, so it also covers a response whose last piece was handed to the library and cannot leave.

use super::activity::Millis;
use super::frames::{self, Event, Head};

/// A window before anything is said about it (RFC 9113, section 6.9.2).
const INITIAL: i64 = 65_535;

/// The open streams of one connection. As many as the library lets a client open.
#[derive(Debug)]
pub struct Streams {
    /// By number, which is the order in which a client opens them.
    open: Vec<Stream>,
    /// The window of a new stream, and that of the connection.
    initial: i64,
    window: i64,
    /// What the SETTINGS frame that passes makes of `initial`: of several values in it the last one counts, as with the library. Each would otherwise
    /// touch every stream, and a frame has room for thousands.
    resizing: Option<i64>,
    /// Answered streams, and those of them without a window of their own.
    answered: usize,
    shut: usize,
    /// Since when the connection has no window; zero: it has one.
    window_since: Millis,
    /// Since when the oldest shut stream is shut; zero: none is.
    shut_since: Millis,
    /// The library ignores what is opened from here on.
    leaving: bool,
}

#[derive(Debug)]
struct Stream {
    number: u32,
    window: i64,
    answered: bool,
    shut_since: Millis,
}

impl Stream {
    fn is_shut(&self) -> bool {
        self.answered && self.window <= 0
    }
}

impl Streams {
    /// No stream is open.
    pub fn new() -> Self {
        Self {
            open: Vec::new(),
            initial: INITIAL,
            window: INITIAL,
            resizing: None,
            answered: 0,
            shut: 0,
            window_since: 0,
            shut_since: 0,
            leaving: false,
        }
    }

    /// How many streams wait for their client, and since when the oldest does; zero: none does.
    pub fn stalled(&self) -> (usize, Millis) {
        let by_connection = if self.answered > 0 { self.window_since } else { 0 };
        let since = [by_connection, self.shut_since].into_iter().filter(|since| *since != 0).min().unwrap_or(0);
        (if by_connection == 0 { self.shut } else { self.answered }, since)
    }

    /// A request begins.
    pub fn opened(&mut self, stream: u32) {
        if !self.leaving {
            self.open.push(Stream { number: stream, window: self.initial, answered: false, shut_since: 0 });
        }
    }

    /// What the client sends.
    pub fn came(&mut self, event: Event, now: Millis) {
        match event {
            Event::Ended(head, [increment @ .., _, _, _, _]) if head.kind == frames::WINDOW_UPDATE => {
                let increment = i64::from(u32::from_be_bytes(increment) & 0x7fff_ffff);
                match head.stream {
                    0 => self.connection(increment, now),
                    stream => self.change(stream, now, |stream| stream.window += increment),
                }
            }
            Event::Setting(frames::INITIAL_WINDOW_SIZE, size) => self.resizing = Some(size.into()),
            Event::Ended(head, _) if head.kind == frames::SETTINGS => {
                if let Some(initial) = self.resizing.take() {
                    self.resize(initial, now);
                }
            }
            Event::Began(head) if head.kind == frames::RST_STREAM => self.close(head.stream),
            _ => {}
        }
    }

    /// What we send.
    pub fn left(&mut self, event: Event, now: Millis) {
        match event {
            Event::Began(head) if head.kind == frames::DATA => {
                let length = i64::from(head.length);
                self.connection(-length, now);
                self.pass(head, now, |stream| stream.window -= length);
            }
            Event::Began(head) if head.kind == frames::HEADERS => self.pass(head, now, |stream| stream.answered = true),
            Event::Began(head) if head.kind == frames::RST_STREAM => self.close(head.stream),
            // Streams are open above what is named here only before the last GOAWAY.
            Event::Ended(head, [0..=0x7e, ..]) if head.kind == frames::GOAWAY => self.leaving = true,
            _ => {}
        }
    }

    fn pass(&mut self, head: Head, now: Millis, change: impl FnOnce(&mut Stream)) {
        if head.has(frames::END_STREAM) { self.close(head.stream) } else { self.change(head.stream, now, change) }
    }

    fn connection(&mut self, by: i64, now: Millis) {
        self.window += by;
        match (self.window <= 0, self.window_since) {
            (true, 0) => self.window_since = now,
            (true, _) => {}
            (false, _) => self.window_since = 0,
        }
    }

    fn resize(&mut self, initial: i64, now: Millis) {
        let by = initial - std::mem::replace(&mut self.initial, initial);
        self.shut = 0;
        for stream in &mut self.open {
            stream.window += by;
            stream.shut_since = match (stream.is_shut(), stream.shut_since) {
                (true, 0) => now,
                (true, since) => since,
                (false, _) => 0,
            };
            self.shut += usize::from(stream.is_shut());
        }
        self.shut_since = self.oldest();
    }

    fn find(&self, stream: u32) -> Option<usize> {
        self.open.binary_search_by_key(&stream, |open| open.number).ok()
    }

    fn change(&mut self, stream: u32, now: Millis, change: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.find(stream).and_then(|index| self.open.get_mut(index)) else { return };
        let (was_answered, was_shut) = (stream.answered, stream.is_shut());
        change(stream);
        self.answered += usize::from(stream.answered && !was_answered);
        match (was_shut, stream.is_shut()) {
            (false, true) => {
                stream.shut_since = now;
                self.shut += 1;
                self.shut_since = if self.shut_since == 0 { now } else { self.shut_since };
            }
            (true, false) => {
                let since = std::mem::take(&mut stream.shut_since);
                self.opens(since);
            }
            _ => {}
        }
    }

    fn close(&mut self, stream: u32) {
        let Some(index) = self.find(stream) else { return };
        let stream = self.open.remove(index);
        self.answered -= usize::from(stream.answered);
        if stream.is_shut() {
            self.opens(stream.shut_since);
        }
    }

    /// One stream is shut no more.
    fn opens(&mut self, since: Millis) {
        self.shut -= 1;
        if since == self.shut_since {
            self.shut_since = self.oldest();
        }
    }

    /// Since when the oldest shut stream is shut.
    fn oldest(&self) -> Millis {
        self.open.iter().map(|stream| stream.shut_since).filter(|since| *since != 0).min().unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
