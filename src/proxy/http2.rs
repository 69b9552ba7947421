//! What the I/O wrapper of an HTTP/2 connection sees of its frames: requests that the library refuses by itself, header blocks that do not end,
//! frames that cost work and bring nothing on.
//!
//! The library tells nobody which streams it refused. Seen from outside, a stream begins with a HEADERS frame that comes in, and each that is accepted
//! reaches our handler before the library has nothing more to do. What then was not handled, and was answered or reset, the library refused.

use super::activity::Millis;
use super::frames::{self, Event, Frames, Head};
use super::streams::Streams;
use crate::runtime::limits::{H2_CREDIT, H2_CREDIT_PER_SECOND, H2_RESET_COST, H2_SETTINGS_COST};
use std::sync::atomic::{AtomicU64, Ordering};

/// Error codes (RFC 9113, section 7).
const PROTOCOL_ERROR: u8 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

/// What we earn when a frame goes out that the client waits for: leave for some frames of its own, such as WINDOW_UPDATE.
const PROGRESS: u64 = 4;
/// Bytes from which a frame of a request body counts as progress.
const PIECE: u32 = 256;

/// What a client may send before we have read it, on one stream and on all: the flow-control windows of a connection (RFC 9113, section 5.2). One
/// stream is enough for a fast upload inside a VPC, and some that nobody reads do not stop the others of a peer. The library ends a connection whose
/// small frames wait to be read and together cost more than half of the second: it takes one stream of messages of 16 bytes and more to its full window.
pub const STREAM_WINDOW: u32 = 256 << 10;
/// See [`STREAM_WINDOW`].
pub const CONNECTION_WINDOW: u32 = 8 << 20;

/// Bytes that the library keeps beside those of each frame that waits for its reader.
pub const FRAME: u64 = 256;

/// A GOAWAY of our own: it leaves open which streams were looked at (RFC 9113, section 6.8).
pub type Farewell = [u8; 17];

const fn farewell(code: u8) -> Farewell {
    [0, 0, 8, frames::GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, code]
}

/// Requests that never reached us: how many, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// The stream was reset: its head is malformed.
    pub malformed: u64,
    /// The library's own 431.
    pub too_large: u64,
    /// More streams at once than `[limits] h2_streams`.
    pub too_many: u64,
}

/// The frames of one HTTP/2 connection, as numbers. Atomics only because an I/O must be `Send`; one thread touches them.
#[derive(Debug, Default)]
pub struct Http2 {
    /// The highest stream that the client has opened.
    newest: Number,
    /// The first stream that was opened since the last [`Http2::settle`]; zero: none was. Its kind, from here on: fresh streams.
    fresh_from: Number,
    fresh: Number,
    handled: Number,
    /// Fresh streams that were answered, and the last of them.
    answered: Number,
    last_answered: Number,
    /// Fresh streams that were reset without an answer.
    malformed: Number,
    too_many: Number,
    /// Fresh streams that were neither handled nor refused when the library last had nothing more to do.
    lost: Number,
    /// Resets of streams that the client has never opened.
    strays: Number,
    /// A GOAWAY with an error went out.
    failed: Number,
    /// Since when a header block is not complete; zero: none is.
    block_since: Number,
    /// What the client may still cost before it has to bring something on.
    spent: Number,
    spent_at: Number,
    flooded: Number,
    /// Bytes of request bodies that came and were not handed on, each frame with [`FRAME`].
    unread: Number,
    /// Streams that wait for their client to read, and since when.
    stalled: Number,
    stalled_since: Number,
    /// The first frame was no SETTINGS.
    unsettled: Number,
}

impl Http2 {
    /// A request reached our handler.
    pub fn handled(&self) {
        self.handled.add(1);
    }

    /// Whether a connection error went out.
    pub fn failed(&self) -> bool {
        self.failed.get() != 0 || self.unsettled.get() != 0
    }

    /// What to say when the connection ends because of what came, which the library is not given any more.
    pub fn farewell(&self) -> Option<Farewell> {
        if self.flooded() {
            return Some(const { farewell(ENHANCE_YOUR_CALM) });
        }
        (self.unsettled.get() != 0).then_some(const { farewell(PROTOCOL_ERROR) })
    }

    /// Whether the client has spent all its credit.
    pub fn flooded(&self) -> bool {
        self.flooded.get() != 0
    }

    /// Since when a header block is not complete.
    pub fn block_since(&self) -> Option<Millis> {
        Some(self.block_since.get()).filter(|since| *since != 0)
    }

    /// Bytes that the library holds of request bodies. Exact while uploads are read to their end; what is left of others counts until
    /// [`Http2::nothing_unread`].
    pub fn unread(&self) -> u64 {
        self.unread.get()
    }

    /// A frame of a request body was handed on.
    pub fn taken(&self, bytes: u64) {
        self.unread.set(self.unread.get().saturating_sub(bytes + FRAME));
    }

    /// No request body is open: what is left of others is gone.
    pub fn nothing_unread(&self) {
        self.unread.set(0);
    }

    /// Streams whose responses wait for the client to read.
    pub fn stalled(&self) -> u64 {
        self.stalled.get()
    }

    /// Since when the oldest of them waits.
    pub fn stalled_since(&self) -> Option<Millis> {
        Some(self.stalled_since.get()).filter(|since| *since != 0)
    }

    /// Whether a request came at last that reached nobody and was not refused: it came after our GOAWAY, or the library gave up.
    pub fn lost(&self) -> bool {
        self.lost.get() != 0
    }

    /// What the library has refused since the last call. To be called when it has nothing more to do: it has taken what came in and written what it
    /// had to say. `None` where there is nothing, or a header block has not ended.
    pub fn settle(&self) -> Option<Refused> {
        if (self.fresh.get() == 0 && self.strays.get() == 0) || self.block_since.get() != 0 {
            return None;
        }
        let fresh = self.fresh.take();
        let mut unhandled = fresh.saturating_sub(self.handled.take());
        let mut of = |count: &Number| {
            let refused = count.take().min(unhandled);
            unhandled -= refused;
            refused
        };
        let (malformed, too_many, too_large) = (of(&self.malformed), of(&self.too_many), of(&self.answered));
        self.lost.set(unhandled);
        self.fresh_from.set(0);
        let refused = Refused { malformed: malformed + self.strays.take(), too_large, too_many };
        (refused != Refused::default()).then_some(refused)
    }

    /// The stream that a request begins with this frame.
    fn opens(&self, event: Event) -> Option<u32> {
        match event {
            Event::Began(head) if head.kind == frames::HEADERS && u64::from(head.stream) > self.newest.get() => Some(head.stream),
            _ => None,
        }
    }

    /// The client's first frame came, which must be its SETTINGS (RFC 9113, section 3.4). The library takes any.
    fn began(&self, head: Head) {
        if head.kind != frames::SETTINGS {
            self.unsettled.set(1);
        }
    }

    fn came(&self, event: Event, now: Millis) {
        match event {
            Event::Began(head) => self.request_frame(head, now),
            Event::Ended(head, _) if is_block(head) && head.has(frames::END_HEADERS) => self.block_since.set(0),
            Event::Setting(..) | Event::Ended(..) => {}
        }
    }

    fn request_frame(&self, head: Head, now: Millis) {
        if head.kind == frames::DATA {
            // The library takes no more than the connection's window, and half as much again for what is small.
            self.unread.set((self.unread.get() + u64::from(head.length) + FRAME).min(2 * u64::from(CONNECTION_WINDOW)));
        }
        if is_block(head) && self.block_since.get() == 0 {
            self.block_since.set(now);
        }
        match head.kind {
            frames::HEADERS if u64::from(head.stream) > self.newest.get() => {
                self.newest.set(head.stream.into());
                if self.fresh_from.get() == 0 {
                    self.fresh_from.set(head.stream.into());
                }
                self.fresh.add(1);
            }
            frames::DATA if head.length >= PIECE => self.earn(1),
            frames::DATA if head.length > 0 || head.has(frames::END_STREAM) => {}
            frames::RST_STREAM => self.spend(H2_RESET_COST, now),
            frames::SETTINGS => self.spend(H2_SETTINGS_COST, now),
            _ => self.spend(1, now),
        }
    }

    fn left(&self, event: Event, now: Millis) {
        match event {
            Event::Began(head) if matches!(head.kind, frames::HEADERS | frames::DATA) && head.length > 0 => {
                self.earn(PROGRESS);
                if head.kind == frames::HEADERS && self.is_fresh(head.stream) {
                    self.answered.add(1);
                    self.last_answered.set(head.stream.into());
                }
            }
            Event::Ended(head, [code @ .., _, _, _, _]) if head.kind == frames::RST_STREAM => {
                self.reset(head.stream, u32::from_be_bytes(code), now);
            }
            Event::Ended(head, [_, _, _, _, code @ ..]) if head.kind == frames::GOAWAY && code != [0; 4] => self.failed.set(1),
            _ => {}
        }
    }

    fn reset(&self, stream: u32, code: u32, now: Millis) {
        if u64::from(stream) > self.newest.get() {
            self.strays.add(1);
        } else if self.is_fresh(stream) && self.last_answered.get() != u64::from(stream) {
            let count = if code == REFUSED_STREAM { &self.too_many } else { &self.malformed };
            count.add(1);
        }
        if code != 0 {
            self.spend(H2_RESET_COST, now);
        }
    }

    fn is_fresh(&self, stream: u32) -> bool {
        let from = self.fresh_from.get();
        from != 0 && (from..=self.newest.get()).contains(&u64::from(stream))
    }

    fn earn(&self, credit: u64) {
        self.spent.set(self.spent.get().saturating_sub(credit));
    }

    fn spend(&self, cost: u64, now: Millis) {
        let regained = now.saturating_sub(self.spent_at.replace(now)).saturating_mul(H2_CREDIT_PER_SECOND) / 1_000;
        let spent = self.spent.get().saturating_sub(regained) + cost;
        self.spent.set(spent);
        if spent > H2_CREDIT {
            self.flooded.set(1);
        }
    }
}

fn is_block(head: Head) -> bool {
    matches!(head.kind, frames::HEADERS | frames::CONTINUATION)
}

/// Both directions of one connection.
#[derive(Debug)]
pub struct Observer {
    incoming: Frames,
    outgoing: Frames,
    streams: Streams,
    begun: bool,
}

impl Observer {
    /// Before the first byte.
    pub fn new() -> Self {
        let (incoming, outgoing) = (Frames::after(frames::PREFACE), Frames::after(0));
        Self { incoming, outgoing, streams: Streams::new(), begun: false }
    }

    /// Bytes came from the client.
    pub fn read(&mut self, mut bytes: &[u8], http2: &Http2, now: Millis) {
        while let Some(event) = self.incoming.next(&mut bytes) {
            if !self.begun
                && let Event::Began(head) = event
            {
                self.begun = true;
                http2.began(head);
            }
            if let Some(stream) = http2.opens(event) {
                self.streams.opened(stream);
            }
            http2.came(event, now);
            self.streams.came(event, now);
        }
        self.note(http2);
    }

    /// Bytes went to the client.
    pub fn wrote(&mut self, mut bytes: &[u8], http2: &Http2, now: Millis) {
        while let Some(event) = self.outgoing.next(&mut bytes) {
            http2.left(event, now);
            self.streams.left(event, now);
        }
        self.note(http2);
    }

    /// Whether a frame of our own can go out now.
    pub fn is_between(&self) -> bool {
        self.outgoing.is_between()
    }

    fn note(&self, http2: &Http2) {
        let (stalled, since) = self.streams.stalled();
        http2.stalled.set(stalled as u64);
        http2.stalled_since.set(since);
    }
}

/// A number behind a shared reference.
#[derive(Debug, Default)]
struct Number(AtomicU64);

impl Number {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    fn replace(&self, number: u64) -> u64 {
        let before = self.get();
        self.set(number);
        before
    }

    fn take(&self) -> u64 {
        self.replace(0)
    }

    fn add(&self, number: u64) {
        self.set(self.get() + number);
    }
}

#[cfg(test)]
#[path = "http2_tests.rs"]
mod tests;
