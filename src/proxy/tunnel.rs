//! A tunnel: bytes both ways between a client and the app or peer that has switched protocols, for as long as the exchange lasts.
//!
//! It is the exchange that was decided: its deadlines, a new table, the end of a certificate and the drain end it as they end a request.

use super::body::Upload;
use super::connections::Connection;
use super::exchange::{Exchange, ExchangeGuard};
use super::shard::Shard;
use crate::audit::Direction;
use crate::runtime::tasks::contained;
use crate::upstream::{Lease, Stream, Switched};
use bytes::{Buf, Bytes};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once, and the most that one way of a tunnel holds back: nothing more is read until it is written.
const PIECE: usize = 16 << 10;

/// Pieces that one way moves before others get their turn.
const TURN: usize = 16;

/// Both sides have agreed, and the client is told.
pub struct Tunnel {
    guard: ExchangeGuard,
    upstream: Switched,
    /// Counts for the balance between endpoints.
    lease: Lease<Upload>,
}

impl Tunnel {
    /// A tunnel of `guard`'s exchange. Dropping it ends both sides and writes the record.
    pub fn new(guard: ExchangeGuard, upstream: Switched, lease: Lease<Upload>) -> Self {
        Self { guard, upstream, lease }
    }

    /// Moves bytes until both sides have ended or the exchange has. `early`: what the client sent before it was told that the protocol has changed.
    ///
    /// # Cancel safety
    /// Dropped, it ends the exchange.
    pub async fn run<D: AsyncRead + AsyncWrite + Unpin>(self, client: D, early: Bytes) {
        let Self { guard, upstream, lease } = self;
        let (shard, exchange) = (Rc::clone(guard.shard()), Rc::clone(&guard.exchange));
        if !early.is_empty() {
            // They were written as HTTP, or as a guess that is none of ours (CVE-2026-2833).
            return exchange.end("early_bytes", shard.now());
        }
        let Switched { stream, ahead } = upstream;
        if !ahead.is_empty() {
            exchange.sent(ahead.len() as u64, shard.now());
        }
        let sides =
            Sides { shard: &shard, exchange: &exchange, connection: guard.connection(), direction: guard.direction(), lease: &lease };
        let (up, down) = (Way::new(To::Upstream, Bytes::new()), Way::new(To::Client, ahead));
        let mut pump = Pump { client, upstream: stream, up, down, first: None, sides };
        if contained("tunnel", poll_fn(|cx| pump.poll(cx))).await.is_none() {
            exchange.end("panic", shard.now());
        }
        drop((lease, guard));
    }
}

/// What both ways share.
struct Sides<'t> {
    shard: &'t Shard,
    exchange: &'t Rc<Exchange>,
    connection: &'t Connection,
    direction: Direction,
    lease: &'t Lease<Upload>,
}

impl Sides<'_> {
    /// What it is called when this side ends the tunnel.
    fn reason(&self, side: To) -> &'static str {
        match (side, self.direction) {
            (To::Client, _) => "client_closed",
            (To::Upstream, Direction::Inbound) => "app_closed",
            (To::Upstream, Direction::Outbound) => self.lease.cut().unwrap_or("peer_closed"),
        }
    }

    /// Bytes were read and go to `to`, or some of them were written.
    fn moved(&self, to: To, read: usize, waits: bool) {
        let (exchange, now) = (self.exchange, self.shard.now());
        match to {
            To::Upstream if read > 0 => {
                exchange.received(read as u64, now);
                if let Some(http2) = self.connection.activity.http2() {
                    http2.taken(read as u64);
                }
            }
            To::Client if read > 0 => exchange.sent(read as u64, now),
            _ => {}
        }
        let since = if waits { now } else { 0 };
        match to {
            To::Upstream => exchange.upload_waits(since),
            To::Client => exchange.download_waits(since),
        }
    }
}

struct Pump<'t, D> {
    client: D,
    upstream: Box<dyn Stream>,
    up: Way,
    down: Way,
    /// Who ended first.
    first: Option<To>,
    sides: Sides<'t>,
}

impl<D: AsyncRead + AsyncWrite + Unpin> Pump<'_, D> {
    /// Ready once the tunnel is over; the exchange says why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let exchange = self.sides.exchange;
        if exchange.ended().is_some() {
            return Poll::Ready(());
        }
        let up = self.up.poll(cx, &mut self.client, &mut self.upstream, &self.sides);
        let down = self.down.poll(cx, &mut self.upstream, &mut self.client, &self.sides);
        let over = match (up, down) {
            (Poll::Ready(Err(side)), _) | (_, Poll::Ready(Err(side))) => side,
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => self.first.unwrap_or(To::Upstream),
            (up, down) => {
                let gone = up.is_ready() && self.is_client_gone(cx);
                if self.first.is_none() && (up.is_ready() || down.is_ready()) {
                    self.first = Some(if up.is_ready() { To::Client } else { To::Upstream });
                    // HTTP/2 ends our reading and our writing in tasks of its own: look once more after them.
                    cx.waker().wake_by_ref();
                }
                if !gone {
                    exchange.watch(cx);
                    return Poll::Pending;
                }
                To::Client
            }
        };
        exchange.end(self.sides.reason(over), self.sides.shard.now());
        Poll::Ready(())
    }

    /// A client that has sent its last byte may take more or not: an HTTP/2 stream that was reset reads as one that ended (RFC 8441, section 5).
    fn is_client_gone(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(Pin::new(&mut self.client).poll_flush(cx), Poll::Ready(Err(_)))
    }
}

/// A side of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Client,
    Upstream,
}

/// How far one way has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Its source has sent the last byte.
    Ended,
    /// And its sink was told.
    Shut,
}

/// One way of a tunnel. It holds no buffer while nothing waits: a tunnel that idles costs no more than its connections.
struct Way {
    to: To,
    /// Read and not written.
    rest: Bytes,
    state: State,
    unflushed: bool,
}

impl Way {
    fn new(to: To, rest: Bytes) -> Self {
        Self { to, rest, state: State::Open, unflushed: false }
    }

    /// Moves what can be moved. Ready once the source has ended and the sink was told, or with the side that broke.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, into: &mut W, sides: &Sides<'_>) -> Poll<Result<(), To>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (source, sink) = match self.to {
            To::Client => (To::Upstream, To::Client),
            To::Upstream => (To::Client, To::Upstream),
        };
        for _ in 0..TURN {
            ready!(self.poll_rest(cx, into, sides)).map_err(|_| sink)?;
            match self.state {
                State::Open => {}
                State::Ended => {
                    ready!(Pin::new(into).poll_shutdown(cx)).map_err(|_| sink)?;
                    self.state = State::Shut;
                    return Poll::Ready(Ok(()));
                }
                State::Shut => return Poll::Ready(Ok(())),
            }
            let mut piece = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *from).poll_read(cx, &mut piece) {
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(into).poll_flush(cx)).map_err(|_| sink)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(source)),
                Poll::Ready(Ok(())) if piece.filled().is_empty() => self.state = State::Ended,
                Poll::Ready(Ok(())) => self.pass(cx, piece.filled(), into, sides).map_err(|_| sink)?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes a piece that was just read; keeps what finds no room.
    fn pass<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, piece: &[u8], into: &mut W, sides: &Sides<'_>) -> io::Result<()> {
        #[cfg(feature = "testing")]
        crate::testing::hooks::body(piece);
        let written = match Pin::new(into).poll_write(cx, piece) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.unflushed |= written > 0;
        let rest = piece.get(written..).unwrap_or_default();
        sides.moved(self.to, piece.len(), !rest.is_empty());
        if !rest.is_empty() {
            self.rest = Bytes::copy_from_slice(rest);
        }
        Ok(())
    }

    fn poll_rest<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, into: &mut W, sides: &Sides<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut *into).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.rest.advance(written);
            sides.moved(self.to, 0, !self.rest.is_empty());
        }
        self.rest = Bytes::new();
        Poll::Ready(Ok(()))
    }
}
