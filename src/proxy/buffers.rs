//! `[limits] buffered_bytes`: what all connections together hold for peers that do not take it, or apps that do not.
//!
//! Nothing is counted byte by byte. Ten times a second the sweep of each shard estimates, from marks that are there anyway, what its connections hold:
//! request bodies in the HTTP/2 library (counted by the frame), pieces that wait for their reader since at least one tick, and streams whose client
//! has closed their window. The sum of all shards is compared with the limit.

use super::connections::Connection;
use super::exchange::Exchange;
use super::http2::FRAME;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one HTTP/2 stream's response that wait for the client's window.
pub const SEND_BUFFER: usize = 64 << 10;

/// Bytes of a response that an HTTP/2 stream is handed at once: what it holds beyond the client's window.
pub const PIECE: usize = 16 << 10;

/// Bytes that a connection may hold while memory is short and still be served: a good client's worth.
const MODEST: u64 = 128 << 10;

/// What the process holds. Each shard adds its own.
#[derive(Debug)]
pub struct Buffers {
    limit: u64,
    held: AtomicU64,
}

impl Buffers {
    /// Nothing is held; at most `limit` bytes shall be.
    pub fn new(limit: u64) -> Self {
        Self { limit, held: AtomicU64::new(0) }
    }

    /// Bytes held when the sweeps last looked.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Three quarters of the limit are used: new HTTP/2 connections get small windows, and connections that hold much get no new request.
    pub fn are_short(&self) -> bool {
        self.held() > self.limit / 4 * 3
    }

    /// Whether a connection that holds so many bytes shall wait with new requests.
    pub fn refuse(&self, connection: &Connection) -> bool {
        self.are_short() && connection.held() > MODEST
    }

    /// A shard holds `now` bytes, and held `before` at its last look. How many of them it has to give up.
    pub fn exchange(&self, before: u64, now: u64) -> u64 {
        self.held.fetch_sub(before, Ordering::Relaxed);
        let total = self.held.fetch_add(now, Ordering::Relaxed) + now;
        if total <= self.limit {
            return 0;
        }
        // Its own part of it, down to where nobody is refused any more.
        share(total - self.limit / 4 * 3, now, total)
    }
}

fn share(excess: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(excess) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Bytes that were read ahead of a response whose last piece had `piece`: another such piece, or, where the library fills a window, as many of them as fit.
pub fn read_ahead(window: u32, piece: u64) -> u64 {
    match u64::from(window) {
        0 => piece,
        window => window + window / piece.max(1) * FRAME,
    }
}

/// What the requests of a connection hold: bytes towards the app, bytes towards the client, and how many of them wait for the client.
pub fn held_by(exchanges: &[Rc<Exchange>], now: super::activity::Millis) -> (u64, u64) {
    exchanges.iter().fold((0, 0), |(bytes, waiting), exchange| {
        let (upload, download) = exchange.held(now);
        (bytes + upload + download, waiting + u64::from(download > 0))
    })
}

/// The connections to cut so that at least `give_up` bytes come free: the largest first.
pub fn largest(mut connections: Vec<Rc<Connection>>, give_up: u64) -> Vec<Rc<Connection>> {
    connections.sort_unstable_by_key(|connection| std::cmp::Reverse(connection.held()));
    let mut freed = 0;
    connections.retain(|connection| {
        let needed = freed < give_up && connection.held() > 0;
        freed += connection.held();
        needed
    });
    connections
}

#[cfg(test)]
#[path = "buffers_tests.rs"]
mod tests;
