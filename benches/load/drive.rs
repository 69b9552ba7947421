//! Load: connections × streams, each stream one request at a time, as fast as answers come or at a fixed rate.

use super::client::{Answer, Connection, Outcome, body};
use super::tally::Tally;
use super::target::Target;
use http::uri::PathAndQuery;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Connections that one request may find ended before a byte of it was written.
const ATTEMPTS: usize = 5;

/// How fast requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The next one as soon as the last one is answered.
    Closed,
    /// So many in a second over all streams, by the clock: who falls behind catches up, and each latency counts from the moment at which the
    /// request was due.
    Open(f64),
}

/// What a right answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// 200 with the request's own nonce, as [`super::app`] answers.
    Nonce,
    /// Any 2xx.
    Success,
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
    target: Target,
    slots: Vec<Slot>,
    fresh: bool,
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
    /// What a right answer is.
    pub check: Check,
}

impl Slots {
    /// `connections` of them, opened at first use.
    pub fn new(target: Target, connections: usize) -> Self {
        let slots = (0..connections).map(|_| Slot::default()).collect();
        Self { target, slots, fresh: false, nonce: Cell::new(0) }
    }

    /// As many requests at a time, each on a connection of its own.
    pub fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    /// Requests `path` until the load's end.
    pub async fn drive(self: &Rc<Self>, path: PathAndQuery, load: Load, tally: &Rc<Tally>) {
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
                let (slots, tally, left, path) = (Rc::clone(self), Rc::clone(tally), Rc::clone(&left), path.clone());
                // Streams do not all send at the same moment.
                let first = interval.map_or(start, |interval| start + interval.mul_f64(stream as f64 / streams as f64));
                tokio::task::spawn_local(async move {
                    let mut due = first;
                    while take(&left) && !is_over(load.until) {
                        match interval {
                            Some(_) => tokio::time::sleep_until(due).await,
                            None => due = Instant::now(),
                        }
                        slots.one(stream / load.streams, &path, load.check, due, &tally).await;
                        due += interval.unwrap_or_default();
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

    async fn one(&self, slot: usize, path: &PathAndQuery, check: Check, due: Instant, tally: &Tally) {
        let nonce = self.nonce.replace(self.nonce.get() + 1);
        let protocol = self.target.protocol;
        match self.exchange(slot, path, nonce, tally).await {
            Err(error) => tally.fail(format!("{protocol:?}: {error:#}")),
            Ok(None) => Tally::count(&tally.after_told),
            Ok(Some(answer)) if !answer.status.is_success() => tally.fail(format!("{protocol:?}: status {}", answer.status)),
            Ok(Some(answer)) if check == Check::Nonce && (answer.status != 200 || answer.body != body(nonce)) => {
                tally.fail(format!("{protocol:?}: the answer to another request"));
            }
            Ok(Some(_)) => tally.answered(due.elapsed()),
        }
    }

    /// One request with its whole answer; `None`: it was sent on a connection that had been told to close.
    ///
    /// # Errors
    /// No connection, no answer.
    pub async fn exchange(&self, slot: usize, path: &PathAndQuery, nonce: u64, tally: &Tally) -> anyhow::Result<Option<Answer>> {
        for _ in 0..ATTEMPTS {
            let connection = self.connection(slot, tally).await?;
            match connection.send(self.target.get(path, Some(nonce))).await {
                Outcome::Answered(answer) => return Ok(Some(answer)),
                Outcome::AfterGoaway => return Ok(None),
                Outcome::Failed(error) => return Err(error),
                Outcome::NotSent => Tally::count(&tally.not_sent),
            }
        }
        anyhow::bail!("{ATTEMPTS} connections in a row ended before they took a request")
    }

    async fn connection(&self, slot: usize, tally: &Tally) -> anyhow::Result<Rc<Connection>> {
        let Some(slot) = self.slots.get(slot) else { anyhow::bail!("there is no slot {slot}") };
        if self.fresh {
            return self.open(tally).await;
        }
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
        let connection = self.open(tally).await?;
        slot.current.replace(Some(Rc::clone(&connection)));
        Ok(connection)
    }

    async fn open(&self, tally: &Tally) -> anyhow::Result<Rc<Connection>> {
        let connection = Rc::new(Connection::open(&self.target).await?);
        tally.handshakes.borrow_mut().extend(connection.handshake.clone());
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
