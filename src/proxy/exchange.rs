//! One request between its decision and its end: counters and deadlines; its [`guard`](ExchangeGuard) writes the record when it is over.

use super::activity::{Millis, millis};
use super::buffers::{self, SEND_BUFFER};
use super::downstream::Begun;
use super::grpc::{self, Speech};
use crate::audit::{Decision, Phase};
use crate::identity::Group;
use crate::runtime::limits::Timeouts;
use http::HeaderMap;
use hyper::body::Incoming;
use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

mod guard;

pub use guard::ExchangeGuard;

/// A request that is still open after this is recorded twice: once open, once ended.
const RECORDED_OPEN: Duration = Duration::from_secs(5);

/// Handler, upload and download are three tasks at most; whoever else is noted is stale.
const WAKERS: usize = 4;

/// How long the head of a response may take.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// So long from the last byte of the request; zero: for ever.
    Upload(Duration),
    /// Until this moment, whatever happens before.
    Until(Instant),
}

impl Patience {
    /// The patience with a request: `response_head`, and with a gRPC call what its caller says. A stream of messages may be
    /// long in coming, so without a word from the caller there is no bound.
    pub fn of(begun: &Begun, headers: &HeaderMap, response_head: Duration) -> Self {
        match begun.speech {
            Speech::Http => Self::Upload(response_head),
            Speech::Grpc => match grpc::timeout(headers).and_then(|timeout| begun.instant.checked_add(timeout)) {
                Some(deadline) => Self::Until(deadline),
                None => Self::Upload(Duration::ZERO),
            },
        }
    }
}

/// One request that was allowed and has not ended. Shared by its handler, its two bodies and the sweep.
pub struct Exchange {
    decision: RefCell<Option<Decision>>,
    begun: Instant,
    begun_tick: Millis,
    last_byte: Cell<Millis>,
    patience: Patience,
    /// When the last request byte was handed on; zero: not yet.
    upload_done: Cell<Millis>,
    /// Since when a request body of declared length is awaited; zero: it is not.
    upload_awaited: Cell<Millis>,
    /// Since when request bytes wait for the other side to take them; zero: none do.
    upload_waits: Cell<Millis>,
    /// Since when response bytes wait for the client to take them; zero: none do.
    download_waits: Cell<Millis>,
    head_sent: Cell<bool>,
    recorded_open: Cell<bool>,
    /// It has switched protocols.
    tunnel: Cell<bool>,
    ended: Cell<Option<(&'static str, Millis)>>,
    cut: Cell<bool>,
    wakers: RefCell<[Option<Waker>; WAKERS]>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    /// Response bytes that came from the other side, and the last piece of either body.
    arrived_out: Cell<u64>,
    piece_in: Cell<u64>,
    piece_out: Cell<u64>,
    /// Bytes of the response that the library may hold for us; zero: it reads a piece at a time.
    window_out: Cell<u32>,
    complete: Cell<bool>,
    /// The request's body; nothing once it was read or nobody wants it any more.
    body: RefCell<Option<Incoming>>,
    /// Which [`super::body::Upload`] may read it: each takes it from the one before.
    reader: Cell<u32>,
    /// Whether the request may be sent again as long as nothing was read of its body.
    repeatable: Cell<bool>,
}

impl Exchange {
    fn new(decision: Decision, begun: Instant, patience: Patience, body: Incoming, now: Millis) -> Self {
        Self {
            decision: RefCell::new(Some(decision)),
            begun,
            begun_tick: now,
            last_byte: Cell::new(now),
            patience,
            upload_done: Cell::new(0),
            upload_awaited: Cell::new(0),
            upload_waits: Cell::new(0),
            download_waits: Cell::new(0),
            head_sent: Cell::new(false),
            recorded_open: Cell::new(false),
            tunnel: Cell::new(false),
            ended: Cell::new(None),
            cut: Cell::new(false),
            wakers: RefCell::default(),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            arrived_out: Cell::new(0),
            piece_in: Cell::new(0),
            piece_out: Cell::new(0),
            window_out: Cell::new(0),
            complete: Cell::new(false),
            body: RefCell::new(Some(body)),
            reader: Cell::new(0),
            repeatable: Cell::new(false),
        }
    }

    /// Calls `look` with the request's body if `reader` may read it and it is there.
    pub fn with_body<R>(&self, reader: u32, look: impl FnOnce(&mut Incoming) -> R) -> Option<R> {
        if self.reader.get() != reader {
            return None;
        }
        self.body.borrow_mut().as_mut().map(look)
    }

    /// Lets the request be sent again as long as nothing was read of its body.
    pub fn may_repeat(&self) {
        self.repeatable.set(true);
    }

    /// Some of the body was read, or the other side has answered: the request is not sent again.
    pub fn no_repeat(&self) {
        self.repeatable.set(false);
    }

    /// A new reader of the body, if nothing of it was read.
    pub fn next_reader(&self) -> Option<u32> {
        let there = self.repeatable.get() && self.body.borrow().is_some();
        there.then(|| {
            self.reader.set(self.reader.get() + 1);
            self.reader.get()
        })
    }

    /// `reader` wants no more of the body. It is kept while the request may be sent again, since somebody else may want it.
    pub fn leave_body(&self, reader: u32) {
        if self.reader.get() == reader && !self.repeatable.get() {
            self.body.borrow_mut().take();
        }
    }

    /// Whether, and why, the request has to end.
    pub fn ended(&self) -> Option<&'static str> {
        self.ended.get().map(|(reason, _)| reason)
    }

    /// Ends the request; the first reason stays. Everyone who waits for it is woken.
    pub fn end(&self, reason: &'static str, now: Millis) {
        if self.ended.get().is_none() {
            self.ended.set(Some((reason, now.max(1))));
            self.wakers.take().into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// Ends the request together with its connection: no answer reaches the client any more.
    pub fn cut(&self, reason: &'static str, now: Millis) {
        self.cut.set(true);
        self.end(reason, now);
    }

    /// Notes who has to be woken by [`Exchange::end`].
    pub fn watch(&self, cx: &Context<'_>) {
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().flatten().any(|waker| waker.will_wake(cx.waker())) {
            wakers.rotate_right(1);
            if let Some(newest) = wakers.first_mut() {
                *newest = Some(cx.waker().clone());
            }
        }
    }

    /// Request bytes came from the client and were handed on; they wait until more is asked for.
    pub fn received(&self, bytes: u64, now: Millis) {
        self.bytes_in.set(self.bytes_in.get() + bytes);
        self.piece_in.set(bytes);
        self.upload_awaited.set(0);
        self.upload_waits.set(now);
        self.last_byte.set(now);
    }

    /// Since when request bytes wait for the other side to take them; zero: none do.
    pub fn upload_waits(&self, since: Millis) {
        self.upload_waits.set(since);
    }

    /// Since when response bytes wait for the client to take them; zero: none do.
    pub fn download_waits(&self, since: Millis) {
        self.download_waits.set(since);
    }

    /// Body bytes from the client so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.get()
    }

    /// The client owes bytes of a body of declared length.
    pub fn await_upload(&self, now: Millis) {
        if self.upload_awaited.get() == 0 {
            self.upload_awaited.set(now);
        }
    }

    /// The last request byte was handed on.
    pub fn upload_done(&self, now: Millis) {
        self.upload_awaited.set(0);
        self.upload_waits.set(0);
        if self.upload_done.get() == 0 {
            self.upload_done.set(now);
        }
    }

    /// Whether the whole request was handed on.
    pub fn is_uploaded(&self) -> bool {
        self.upload_done.get() != 0
    }

    /// The request goes to a peer whose connection has this key exchange group.
    pub fn reaches(&self, group: Option<Group>) {
        if let Some(decision) = self.decision.borrow_mut().as_mut() {
            decision.outcome.group = group;
        }
    }

    /// The response head came from the other side and goes to the client.
    pub fn responded(&self, status: u16, now: Millis) {
        self.no_repeat();
        self.head_sent.set(true);
        self.last_byte.set(now);
        let upstream = micros(self.begun.elapsed());
        if let Some(decision) = self.decision.borrow_mut().as_mut() {
            decision.outcome.status = status;
            decision.outcome.upstream_us = Some(upstream);
        }
    }

    /// The library takes so many bytes of the response from the other side before they are asked for; zero: it reads a piece at a time.
    pub fn reads_ahead(&self, window: u32) {
        self.window_out.set(window);
    }

    /// A piece of the response came from the other side.
    pub fn arrived(&self, bytes: u64) {
        self.arrived_out.set(self.arrived_out.get() + bytes);
        self.piece_out.set(bytes);
    }

    /// Response bytes go to the client; they wait until more is asked for.
    pub fn sent(&self, bytes: u64, now: Millis) {
        self.bytes_out.set(self.bytes_out.get() + bytes);
        self.download_waits.set(now);
        self.last_byte.set(now);
    }

    /// The response went out to its end.
    pub fn completed(&self) {
        self.complete.set(true);
    }

    /// The request failed: our own answer `status` goes to the client.
    pub fn failed(&self, status: u16, reason: &'static str) {
        self.complete.set(true);
        if let Some(decision) = self.decision.borrow_mut().as_mut() {
            decision.outcome.status = if self.cut.get() { 0 } else { status };
            decision.outcome.close_reason = Some(reason);
        }
    }

    /// Calls `look` with the decision while it is open.
    pub fn with_decision<R>(&self, look: impl FnOnce(&Decision) -> R) -> Option<R> {
        self.decision.borrow().as_ref().map(look)
    }

    /// A copy of the record for a request that has been open for long, or that has become a tunnel; once.
    pub fn record_open(&self, now: Millis) -> Option<Decision> {
        let due = self.tunnel.get() || now.saturating_sub(self.begun_tick) >= millis(RECORDED_OPEN);
        if due { self.record_at_once() } else { None }
    }

    /// A copy of the record while the request is open; once.
    fn record_at_once(&self) -> Option<Decision> {
        if self.recorded_open.replace(true) {
            return None;
        }
        let mut decision = self.decision.borrow().as_ref().cloned()?;
        decision.outcome.phase = Some(Phase::Open);
        decision.outcome.total_us = micros(self.begun.elapsed());
        Some(decision)
    }

    /// Bytes that wait for the app or peer, and for the client, since before this tick: no more than a buffer and a piece each, and of a response that
    /// goes on what may have been read ahead.
    pub fn held(&self, now: Millis) -> (u64, u64) {
        let waits = |since: &Cell<Millis>| since.get() != 0 && since.get() < now;
        let held = |bytes: &Cell<u64>, piece: &Cell<u64>| bytes.get().min(SEND_BUFFER as u64 + piece.get());
        let ahead = if self.complete.get() { 0 } else { buffers::read_ahead(self.window_out.get(), self.piece_out.get()) };
        (
            if waits(&self.upload_waits) { held(&self.bytes_in, &self.piece_in) } else { 0 },
            if waits(&self.download_waits) { held(&self.arrived_out, &self.piece_out) + ahead } else { 0 },
        )
    }

    /// Applies the time-outs of an open request. Gives a reason to cut the connection when ending the request alone did not work.
    pub(super) fn sweep(&self, now: Millis, timeouts: &Timeouts, stall: Millis) -> Option<&'static str> {
        if let Some((reason, at)) = self.ended.get() {
            return (now.saturating_sub(at) >= stall).then_some(reason);
        }
        let stalled = |since: &Cell<Millis>| since.get() != 0 && now.saturating_sub(since.get()) >= millis(timeouts.body_idle);
        if stalled(&self.upload_awaited) || stalled(&self.download_waits) {
            self.end("body_idle", now);
        }
        if stalled(&self.upload_waits) {
            self.end("upload_stalled", now);
        }
        if !self.head_sent.get()
            && let Some(reason) = self.impatient(now)
        {
            self.end(reason, now);
        }
        let (idle, reason) = if self.tunnel.get() { (timeouts.tunnel_idle, "tunnel_idle") } else { (timeouts.stream_idle, "stream_idle") };
        if !idle.is_zero() && now.saturating_sub(self.last_byte.get()) >= millis(idle) {
            self.end(reason, now);
        }
        None
    }

    /// Why the response's head is not waited for any longer.
    fn impatient(&self, now: Millis) -> Option<&'static str> {
        match self.patience {
            Patience::Upload(limit) => {
                let (head, uploaded) = (millis(limit), self.upload_done.get());
                (head != 0 && uploaded != 0 && now.saturating_sub(uploaded) >= head).then_some("response_head_timeout")
            }
            // The coarse clock may be a tick behind, and no deadline is cut short.
            Patience::Until(deadline) => (Instant::now() >= deadline).then_some("deadline_exceeded"),
        }
    }
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
