//! Every open connection of a shard with its deadlines, and the one sweep that enforces them.
//!
//! Neither a request nor a connection arms a timer. The I/O wrapper and the exchanges leave marks on the shard's coarse clock; ten times a
//! second the sweep compares the marks with the limits and tells the connection's own task what to do. So every time-out
//! acts within a [`TICK`] of its moment, before or after it, and the certificate's end up to a [`TICK`] early, never late.

use super::activity::{Activity, CoarseClock, Doing, Millis, Speaks, millis};
use super::exchange::Exchange;
use super::tunnel::Tunnel;
use crate::policy::Caller;
use crate::runtime::limits::Timeouts;
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

/// How long an idle connection whose graceful end has begun may take over it. HTTP/2 waits for the peer to acknowledge a PING before it closes
/// (RFC 9113, section 6.8), which a peer that is gone never does.
const PARTING: u64 = 5_000;

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
    speaks: Speaks,
    lifetime: Lifetime,
    born: Millis,
    closing: Cell<Option<Millis>>,
    told: Cell<Option<Close>>,
    /// A cut is in the record of at least one request.
    accounted: Cell<bool>,
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
        let graceful = self.lifetime.grace.is_some_and(|grace| wall >= grace);
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
        let block = self.activity.http2().and_then(|http2| http2.block_since());
        if block.is_some_and(|since| now.saturating_sub(since) >= millis(timeouts.head)) {
            return Some(Close::Cut("head"));
        }
        let since = now.saturating_sub(self.activity.since());
        let closing = self.closing.get().map_or(0, |at| now.saturating_sub(at));
        match self.activity.doing() {
            Doing::Silent | Doing::Head if since >= millis(timeouts.head) => Some(Close::Cut("head")),
            Doing::Parting if since >= LAST_WORDS => Some(Close::Cut("parting")),
            Doing::Idle if since >= millis(timeouts.idle).saturating_add(PARTING) => Some(Close::Cut("idle")),
            Doing::Silent | Doing::Idle if closing.min(since) >= GRACE_IDLE + PARTING => Some(Close::Cut("closing")),
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
    pub fn admit(self: &Rc<Self>, caller: Arc<Caller>, speaks: Speaks, lifetime: Lifetime) -> ConnectionGuard {
        let id = self.next.get();
        self.next.set(id + 1);
        // The clock stands still while the register is empty.
        let now = self.clock.advance();
        let connection = Rc::new(Connection {
            caller,
            activity: Activity::new(Arc::clone(&self.clock), speaks),
            speaks,
            lifetime,
            born: now,
            closing: Cell::new(None),
            told: Cell::new(None),
            accounted: Cell::new(false),
            waker: Cell::new(None),
            exchanges: RefCell::default(),
            tunnel: Cell::new(None),
        });
        self.open.borrow_mut().insert(id, Rc::clone(&connection));
        self.stir();
        ConnectionGuard { connections: Rc::clone(self), id, connection }
    }

    /// Compares every mark with its limit.
    pub fn sweep(&self, wall: SystemTime, timeouts: &Timeouts) {
        let now = self.clock.advance();
        for connection in self.open.borrow().values() {
            connection.sweep(now, wall, timeouts);
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
