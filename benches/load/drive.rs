//! Load: connections × streams, each stream one request at a time, as fast as answers come or at a fixed rate.

use super::client::{Answer, Connection, Outcome, Protocol, body, get};
use super::tally::Tally;
use super::wallet::Wallet;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How fast requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The next one as soon as the last one is answered.
    Closed,
    /// So many in a second over all streams, by the clock: who falls behind catches up.
    Open(f64),
}

/// When a load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At this time.
    Time(Instant),
    /// After so many requests.
    Requests(u64),
}

/// The connections of one load; a connection that ended is replaced when it is needed next.
pub struct Slots {
    address: SocketAddr,
    wallet: Rc<Wallet>,
    protocol: Protocol,
    slots: Vec<Slot>,
    nonce: Cell<u64>,
}

#[derive(Default)]
struct Slot {
    current: RefCell<Option<Rc<Connection>>>,
    connecting: Mutex<()>,
}

/// One load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Requests at a time on each connection; one for HTTP/1.1.
    pub streams: usize,
    /// How fast.
    pub pace: Pace,
    /// How long.
    pub until: Until,
}

impl Slots {
    /// `connections` of them, opened at first use.
    pub fn new(address: SocketAddr, wallet: &Rc<Wallet>, protocol: Protocol, connections: usize) -> Rc<Self> {
        let slots = (0..connections).map(|_| Slot::default()).collect();
        Rc::new(Self { address, wallet: Rc::clone(wallet), protocol, slots, nonce: Cell::new(0) })
    }

    /// Requests `path` until the load's end; each answer must be 200 with its own nonce.
    pub async fn drive(self: &Rc<Self>, path: &'static str, load: Load, tally: &Rc<Tally>) {
        let left = Rc::new(Cell::new(match load.until {
            Until::Requests(count) => count,
            Until::Time(_) => u64::MAX,
        }));
        let streams = self.slots.len() * load.streams;
        let interval = match load.pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(Duration::from_secs_f64(streams as f64 / rate)),
        };
        let start = Instant::now();
        let tasks: Vec<_> = (0..streams)
            .map(|stream| {
                let (slots, tally, left) = (Rc::clone(self), Rc::clone(tally), Rc::clone(&left));
                // Streams do not all send at the same moment.
                let first = interval.map_or(start, |interval| start + interval.mul_f64(stream as f64 / streams as f64));
                tokio::task::spawn_local(async move {
                    let mut due = first;
                    while take(&left) && !is_over(load.until) {
                        if let Some(interval) = interval {
                            tokio::time::sleep_until(due).await;
                            due += interval;
                        }
                        slots.one(stream / load.streams, path, &tally).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            if let Err(error) = task.await {
                tally.fail(format!("a task of the load generator: {error}"));
            }
        }
    }

    async fn one(&self, slot: usize, path: &str, tally: &Tally) {
        let nonce = self.nonce.replace(self.nonce.get() + 1);
        let begun = Instant::now();
        match self.exchange(slot, path, nonce, tally).await {
            Err(error) => tally.fail(format!("{:?}: {error:#}", self.protocol)),
            Ok(None) => Tally::count(&tally.after_told),
            Ok(Some(answer)) if answer.status != 200 => tally.fail(format!("{:?}: status {}", self.protocol, answer.status)),
            Ok(Some(answer)) if answer.body != body(nonce) => tally.fail(format!("{:?}: the answer to another request", self.protocol)),
            Ok(Some(_)) => tally.answered(begun.elapsed()),
        }
    }

    /// One request with its whole answer; `None`: it was sent on a connection that had been told to close.
    ///
    /// # Errors
    /// No connection, no answer.
    pub async fn exchange(&self, slot: usize, path: &str, nonce: u64, tally: &Tally) -> anyhow::Result<Option<Answer>> {
        loop {
            let connection = self.connection(slot, tally).await?;
            match connection.send(get(self.protocol, path, Some(nonce))).await {
                Outcome::Answered(answer) => return Ok(Some(answer)),
                Outcome::AfterGoaway => return Ok(None),
                Outcome::Failed(error) => return Err(error),
                Outcome::NotSent => Tally::count(&tally.not_sent),
            }
        }
    }

    async fn connection(&self, slot: usize, tally: &Tally) -> anyhow::Result<Rc<Connection>> {
        let Some(slot) = self.slots.get(slot) else { anyhow::bail!("there is no slot {slot}") };
        let usable = || slot.current.borrow().as_ref().filter(|connection| connection.is_usable()).map(Rc::clone);
        if let Some(connection) = usable() {
            return Ok(connection);
        }
        let _turn = slot.connecting.lock().await;
        if let Some(connection) = usable() {
            return Ok(connection);
        }
        if let Some(ended) = slot.current.take() {
            Tally::count(if ended.was_cut() { &tally.cut } else { &tally.told });
        }
        let connection = Rc::new(Connection::open(self.address, &self.wallet, self.protocol).await?);
        tally.handshakes.borrow_mut().push(connection.handshake.clone());
        slot.current.replace(Some(Rc::clone(&connection)));
        Ok(connection)
    }
}

fn take(left: &Cell<u64>) -> bool {
    let count = left.get();
    left.set(count.saturating_sub(1));
    count > 0
}

fn is_over(until: Until) -> bool {
    matches!(until, Until::Time(end) if Instant::now() >= end)
}
