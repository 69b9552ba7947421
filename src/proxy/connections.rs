//! Every open connection of a shard with its deadlines, and the one sweep that enforces them.
//!
//! Neither a request nor a connection arms a timer. The I/O wrapper and the exchanges leave marks on the shard's coarse clock; ten times a
//! second the sweep compares the marks with the limits and tells the connection's own task what to do. So every time-out
//! acts within a [`TICK`] of its moment, before or after it; the certificate's end, and the graceful end before it, up to a [`TICK`] early and never
//! late, so that the time between them is not cut short.

use super::activity::{Activity, CoarseClock, Doing, Millis, Speaks, millis};
use super::buffers::{self, PIECE};
use super::exchange::Exchange;
use super::tunnel::Tunnel;
use crate::policy::Caller;
use crate::runtime::limits::Timeouts;
use crate::trust::Live;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// How often the sweep looks.
pub const TICK: Duration = Duration::from_millis(100);

/// How long an idle HTTP/1.1 connection lives on once its graceful end has begun, so that a request already under way is still served.
const GRACE_IDLE: u64 = 1_000;

/// How long a client may go on sending after we have ended our side of an HTTP/1.1 connection.
const LAST_WORDS: u64 = 2_000;

/// The cut of a client that goes on sending after that.
pub const PARTING: &str = "parting";

/// How long an idle connection whose graceful end has begun may take over it. HTTP/2 waits for the peer to acknowledge a PING before it closes
/// (RFC 9113, section 6.8), which a peer that is gone never does.
const GRACE_END: u64 = 5_000;

/// How long a request that lost its permit may stay stalled before it costs its connection.
const REVOKED_STALL: u64 = 1_000;

/// What a connection's task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Finish what runs, take nothing new.
    Graceful,
    /// End now; why.
    Cut(&'static str),
}

/// When a connection has to end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lifetime {
    /// The end of either certificate: the cut.
    pub ends: Option<SystemTime>,
    /// When the graceful end before it begins.
    pub grace: Option<SystemTime>,
    /// The age at which the graceful end begins anyway.
    pub age: Option<Duration>,
}

impl Lifetime {
    /// The lifetime of a connection authenticated by certificates that end at `ends`, seen at `now`.
    pub fn until(ends: SystemTime, now: SystemTime, drain_grace: Duration, age: Option<Duration>) -> Self {
        let left = ends.duration_since(now).unwrap_or_default();
        Self { ends: Some(ends), grace: ends.checked_sub(drain_grace.min(left / 10)), age }
    }
}

/// One registered connection.
pub struct Connection {
    /// Facts for decisions and records.
    pub caller: Arc<Caller>,
    /// Its marks.
    pub activity: Arc<Activity>,
    /// Its place among the peers of the process; none for the local app.
    live: Option<Live>,
    speaks: Speaks,
    lifetime: Lifetime,
    born: Millis,
    closing: Cell<Option<Millis>>,
    told: Cell<Option<Close>>,
    /// A cut is in the record of at least one request.
    accounted: Cell<bool>,
    /// Bytes that it holds, as the sweep saw last.
    held: Cell<u64>,
    waker: Cell<Option<Waker>>,
    exchanges: RefCell<Vec<Rc<Exchange>>>,
    /// What an HTTP/1.1 connection goes on as once the 101 is out.
    tunnel: Cell<Option<Box<Tunnel>>>,
}

impl Connection {
    /// Whether responses must say that the connection ends.
    pub fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// Ready with what the connection's task has to do, once for each new order.
    pub fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Close> {
        match self.told.take() {
            Some(close) => Poll::Ready(close),
            None => {
                let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker())).unwrap_or_else(|| cx.waker().clone());
                self.waker.set(Some(waker));
                Poll::Pending
            }
        }
    }

    /// Tells the connection's task; a cut is never taken back, and its reason is that of every open request.
    pub fn tell(&self, close: Close) {
        if let Close::Cut(reason) = close {
            let now = self.activity.now();
            let exchanges = self.exchanges.borrow();
            exchanges.iter().for_each(|exchange| exchange.cut(reason, now));
            self.accounted.set(self.accounted.get() || !exchanges.is_empty());
        }
        if !matches!(self.told.get(), Some(Close::Cut(_))) {
            self.told.set(Some(close));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Which HTTP it speaks.
    pub fn speaks(&self) -> Speaks {
        self.speaks
    }

    /// Bytes that it holds for whoever does not take them, as the sweep saw last.
    pub fn held(&self) -> u64 {
        self.held.get()
    }

    /// Estimates what it holds.
    fn weigh(&self, now: Millis) -> u64 {
        let exchanges = self.exchanges.borrow();
        let (mut held, waiting) = buffers::held_by(&exchanges, now);
        if let Some(http2) = self.activity.http2() {
            if exchanges.iter().all(|exchange| exchange.is_uploaded()) {
                http2.nothing_unread();
            }
            // Of a response whose end the library has, the last piece may still be here.
            held += http2.unread() + http2.stalled().saturating_sub(waiting) * PIECE as u64;
        }
        self.held.set(held);
        held
    }

    /// Whether a cut is in the record of at least one request.
    pub fn is_accounted(&self) -> bool {
        self.accounted.get()
    }

    /// The requests that a cut would cost: those that are open, and a response that is decided and not yet sent.
    pub fn unfinished(&self) -> usize {
        let open = self.exchanges.borrow().len();
        open.max(usize::from(self.activity.blocked_since().is_some()))
    }

    /// A request begins.
    pub fn opened(&self, exchange: Rc<Exchange>) {
        self.exchanges.borrow_mut().push(exchange);
        self.activity.set(Doing::Busy);
    }

    /// A request ended.
    pub fn closed(&self, exchange: &Rc<Exchange>) {
        let mut exchanges = self.exchanges.borrow_mut();
        if let Some(index) = exchanges.iter().position(|open| Rc::ptr_eq(open, exchange)) {
            exchanges.swap_remove(index);
        }
        if exchanges.is_empty() {
            self.activity.set(Doing::Idle);
        }
    }

    /// An answer goes out. A refused request opens no exchange that would end: without this its head would seem to be still on its way.
    pub fn answered(&self) {
        if self.exchanges.borrow().is_empty() {
            self.activity.set(Doing::Idle);
        }
    }

    /// Once its last response is out, the connection goes on as `tunnel`.
    pub fn switch(&self, tunnel: Tunnel) {
        self.tunnel.set(Some(Box::new(tunnel)));
    }

    /// The tunnel as which the connection goes on.
    pub fn switched(&self) -> Option<Box<Tunnel>> {
        self.tunnel.take()
    }

    /// Begins the graceful end: HTTP/2 says GOAWAY at once, HTTP/1.1 with its next response or after a second of idleness.
    pub fn begin_closing(&self, now: Millis) {
        if self.closing.get().is_none() {
            self.closing.set(Some(now));
            if self.speaks == Speaks::Http2 {
                self.tell(Close::Graceful);
            }
        }
    }

    fn sweep(&self, now: Millis, wall: SystemTime, timeouts: &Timeouts) {
        if let Some(close) = self.due(now, wall, timeouts) {
            self.tell(close);
        }
        let graceful = self.lifetime.grace.is_some_and(|grace| wall + TICK >= grace);
        let old = self.lifetime.age.is_some_and(|age| now - self.born >= millis(age));
        if graceful || old {
            self.begin_closing(now);
        }
        for exchange in self.exchanges.borrow().iter() {
            if let Some(reason) = exchange.sweep(now, timeouts, REVOKED_STALL) {
                self.tell(Close::Cut(reason));
            }
        }
    }

    /// What is due for the connection as a whole.
    fn due(&self, now: Millis, wall: SystemTime, timeouts: &Timeouts) -> Option<Close> {
        if self.lifetime.ends.is_some_and(|ends| wall + TICK >= ends) {
            return Some(Close::Cut("expired"));
        }
        if self.activity.blocked_since().is_some_and(|since| now.saturating_sub(since) >= millis(timeouts.body_idle)) {
            return Some(Close::Cut("body_idle"));
        }
        if let Some(http2) = self.activity.http2() {
            let lasts = |since: Option<Millis>, limit: Millis| since.is_some_and(|since| now.saturating_sub(since) >= limit);
            if lasts(http2.block_since(), millis(timeouts.head)) {
                return Some(Close::Cut("head"));
            }
            // A request that is open ends alone first; what is left was answered to its end and cannot leave.
            if lasts(http2.stalled_since(), millis(timeouts.body_idle).saturating_add(REVOKED_STALL)) {
                return Some(Close::Cut("body_idle"));
            }
        }
        let since = now.saturating_sub(self.activity.since());
        let closing = self.closing.get().map_or(0, |at| now.saturating_sub(at));
        match self.activity.doing() {
            Doing::Silent | Doing::Head if since >= millis(timeouts.head) => Some(Close::Cut("head")),
            Doing::Parting if since >= LAST_WORDS => Some(Close::Cut(PARTING)),
            Doing::Idle if since >= millis(timeouts.idle).saturating_add(GRACE_END) => Some(Close::Cut("idle")),
            Doing::Silent | Doing::Idle if closing.min(since) >= GRACE_IDLE + GRACE_END => Some(Close::Cut("closing")),
            Doing::Idle if since >= millis(timeouts.idle) => Some(Close::Graceful),
            Doing::Silent | Doing::Idle if closing.min(since) >= GRACE_IDLE => Some(Close::Graceful),
            _ => None,
        }
    }
}

/// The open connections of one shard.
pub struct Connections {
    clock: Arc<CoarseClock>,
    open: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    stirring: tokio::sync::Notify,
}

/// A registered connection; dropping it takes it out of the register.
pub struct ConnectionGuard {
    connections: Rc<Connections>,
    id: u64,
    /// The connection.
    pub connection: Rc<Connection>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.id);
        // A tunnel that nobody came for holds the connection that holds it.
        drop(self.connection.switched());
    }
}

impl Connections {
    /// An empty register.
    pub fn new() -> Rc<Self> {
        Rc::new(Self { clock: CoarseClock::new(), open: RefCell::default(), next: Cell::new(0), stirring: tokio::sync::Notify::new() })
    }

    /// The shard's coarse clock.
    pub fn clock(&self) -> &Arc<CoarseClock> {
        &self.clock
    }

    /// Registers a connection before its first request is decided.
    pub fn admit(self: &Rc<Self>, caller: Arc<Caller>, live: Option<Live>, speaks: Speaks, lifetime: Lifetime) -> ConnectionGuard {
        let id = self.next.get();
        self.next.set(id + 1);
        // The clock stands still while the register is empty.
        let now = self.clock.advance();
        let connection = Rc::new(Connection {
            caller,
            activity: Activity::new(Arc::clone(&self.clock), speaks),
            live,
            speaks,
            lifetime,
            born: now,
            closing: Cell::new(None),
            told: Cell::new(None),
            accounted: Cell::new(false),
            held: Cell::new(0),
            waker: Cell::new(None),
            exchanges: RefCell::default(),
            tunnel: Cell::new(None),
        });
        self.open.borrow_mut().insert(id, Rc::clone(&connection));
        self.stir();
        ConnectionGuard { connections: Rc::clone(self), id, connection }
    }

    /// Compares every mark with its limit; gives the bytes that all connections hold.
    pub fn sweep(&self, wall: SystemTime, timeouts: &Timeouts) -> u64 {
        let now = self.clock.advance();
        let weigh_and_sweep = |connection: &Rc<Connection>| {
            connection.sweep(now, wall, timeouts);
            connection.weigh(now)
        };
        self.open.borrow().values().map(weigh_and_sweep).sum()
    }

    /// Cuts the connections that hold most, until at least `bytes` come free.
    pub fn give_up(&self, bytes: u64) {
        let open: Vec<_> = self.open.borrow().values().map(Rc::clone).collect();
        for connection in buffers::largest(open, bytes) {
            connection.tell(Close::Cut("buffers_full"));
        }
    }

    /// Cuts the connections of peers that are not trusted any more.
    pub fn cut_withdrawn(&self) {
        for connection in self.open.borrow().values() {
            if let Some(reason) = connection.live.as_ref().and_then(Live::withdrawn) {
                connection.tell(Close::Cut(reason));
            }
        }
    }

    /// Calls `each` with every connection; it must not register or drop one.
    pub fn for_each(&self, mut each: impl FnMut(&Connection)) {
        for connection in self.open.borrow().values() {
            each(connection);
        }
    }

    /// Calls `each` with every open request.
    pub fn for_each_exchange(&self, mut each: impl FnMut(&Connection, &Exchange)) {
        for connection in self.open.borrow().values() {
            for exchange in connection.exchanges.borrow().iter() {
                each(connection, exchange);
            }
        }
    }

    /// Waits until there is at least one connection, or [`Connections::stir`] was called.
    pub async fn stirred(&self) {
        if self.open.borrow().is_empty() {
            self.stirring.notified().await;
        }
    }

    /// There is something to do for the sweep.
    pub fn stir(&self) {
        self.stirring.notify_one();
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
