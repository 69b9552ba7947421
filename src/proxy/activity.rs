//! What a connection is doing, in marks on the shard's coarse clock: left by its reader, its writer and its requests, read by the sweep.

use super::http2::Http2;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of the HTTP/2 connection preface with the head of the SETTINGS frame that must follow (RFC 9113, section 3.4).
const PREFACE: u64 = 24 + 9;

/// Milliseconds of the shard's coarse clock; never zero.
pub type Millis = u64;

/// The shard's coarse clock, moved by the sweep.
#[derive(Debug)]
pub struct CoarseClock {
    start: Instant,
    now: AtomicU64,
}

impl CoarseClock {
    /// A clock that starts now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), now: AtomicU64::new(1) })
    }

    /// The last tick's time.
    pub fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set(&self, now: Millis) {
        self.now.store(now, Ordering::Relaxed);
    }

    pub(super) fn advance(&self) -> Millis {
        let now = 1 + u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What a connection is doing, as its reader and its requests mark it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// No byte came yet: the silent socket, the silent HTTP/2 client.
    Silent = 0,
    /// A head has begun and is not complete.
    Head = 1,
    /// At least one request is open.
    Busy = 2,
    /// Between requests.
    Idle = 3,
    /// We have sent our last byte and wait for the client's.
    Parting = 4,
}

/// The marks of one connection. Atomics only because an upgraded I/O must be `Send`; one thread writes them.
#[derive(Debug)]
pub struct Activity {
    clock: Arc<CoarseClock>,
    doing: AtomicU64,
    since: AtomicU64,
    write_blocked: AtomicU64,
    /// Bytes of the HTTP/2 preface that are still missing; HTTP/1.1 has none.
    preface: AtomicU64,
    /// The client sends no more.
    ended: AtomicBool,
    /// The client's end is waited for no longer.
    left: AtomicBool,
    /// A head came that has a length beside its transfer coding.
    two_framings: AtomicBool,
    speaks: Speaks,
    http2: Option<Box<Http2>>,
}

impl Activity {
    /// Marks of a connection whose first byte is awaited.
    pub fn new(clock: Arc<CoarseClock>, speaks: Speaks) -> Arc<Self> {
        let now = clock.now();
        let preface = if speaks == Speaks::Http2 { PREFACE } else { 0 };
        Arc::new(Self {
            clock,
            doing: AtomicU64::new(Doing::Silent as u64),
            since: AtomicU64::new(now),
            write_blocked: AtomicU64::new(0),
            preface: AtomicU64::new(preface),
            ended: AtomicBool::new(false),
            left: AtomicBool::new(false),
            two_framings: AtomicBool::new(false),
            speaks,
            http2: (speaks == Speaks::Http2).then(Box::default),
        })
    }

    /// Bytes came in. On HTTP/1.1 they begin a head; on HTTP/2 they may be a PING, so only the preface counts.
    pub fn read(&self, bytes: usize) {
        match (self.speaks, self.doing()) {
            (Speaks::Http1, Doing::Silent | Doing::Idle) => self.set(Doing::Head),
            (Speaks::Http2, Doing::Silent) => {
                let missing = self.preface.load(Ordering::Relaxed).saturating_sub(bytes as u64);
                self.preface.store(missing, Ordering::Relaxed);
                if missing == 0 {
                    self.set(Doing::Idle);
                }
            }
            _ => {}
        }
    }

    /// Whether what was read last belongs to an HTTP/1.1 head.
    pub fn is_in_head(&self) -> bool {
        self.speaks == Speaks::Http1 && self.doing() == Doing::Head
    }

    /// A head came that has a length beside its transfer coding; the connection ends after its message.
    pub fn framed_twice(&self) {
        self.two_framings.store(true, Ordering::Relaxed);
    }

    /// Whether such a head came.
    pub fn is_framed_twice(&self) -> bool {
        self.two_framings.load(Ordering::Relaxed)
    }

    /// The client sends no more.
    pub fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether the client sends no more.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The client's end is waited for no longer.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether the client's end is waited for no longer.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// What is known of its frames; HTTP/2 only.
    pub fn http2(&self) -> Option<&Http2> {
        self.http2.as_deref()
    }

    /// Bytes went out.
    pub fn wrote(&self) {
        self.write_blocked.store(0, Ordering::Relaxed);
    }

    /// The peer takes no more bytes for now.
    pub fn write_blocked(&self) {
        if self.write_blocked.load(Ordering::Relaxed) == 0 {
            self.write_blocked.store(self.clock.now(), Ordering::Relaxed);
        }
    }

    /// Our side has ended; whether the client's end is worth waiting for.
    pub fn part(&self) -> bool {
        let waits = self.speaks == Speaks::Http1;
        if waits {
            self.set(Doing::Parting);
        }
        waits
    }

    /// Whether no request has begun since the last one ended.
    pub fn is_idle(&self) -> bool {
        matches!(self.doing(), Doing::Silent | Doing::Idle)
    }

    /// The shard's coarse clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Since when the peer takes no bytes; `None`: it does, or there are none.
    pub fn blocked_since(&self) -> Option<Millis> {
        Some(self.write_blocked.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Since when the connection is doing what it does.
    pub fn since(&self) -> Millis {
        self.since.load(Ordering::Relaxed)
    }

    pub(super) fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Silent,
            1 => Doing::Head,
            2 => Doing::Busy,
            3 => Doing::Idle,
            _ => Doing::Parting,
        }
    }

    pub(super) fn set(&self, doing: Doing) {
        self.doing.store(doing as u64, Ordering::Relaxed);
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }
}

/// A duration on the coarse clock.
pub fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
