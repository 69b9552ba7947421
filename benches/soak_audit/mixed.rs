//! Requests of all kinds from several callers, and what was answered.

use super::PATIENCE;
use crate::load::client::{Connection, Outcome};
use crate::load::{Protocol, Sidecar, Target, Wallet};
use http::uri::PathAndQuery;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// The interval between two syncs of the log's file.
pub const SYNC: Duration = Duration::from_millis(200);

/// From one look at the counts to the next.
const LOOK: Duration = Duration::from_millis(5);

/// Connections of each caller over HTTP/1.1; and over HTTP/2, with streams on each.
const HTTP1: usize = 4;
const HTTP2: (usize, usize) = (1, 8);

/// What the clients were told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// 200.
    pub allowed: u64,
    /// 403.
    pub forbidden: u64,
    /// 400.
    pub malformed: u64,
    /// No answer, or another one.
    pub failed: u64,
}

impl Told {
    /// Answers that say no.
    pub fn refused(&self) -> u64 {
        self.forbidden + self.malformed
    }

    fn all(&self) -> u64 {
        self.allowed + self.refused() + self.failed
    }
}

/// One load.
pub struct Mixed {
    targets: Vec<Target>,
    count: u64,
    state: Rc<State>,
}

struct State {
    left: Cell<u64>,
    told: Cell<Told>,
    failures: RefCell<Vec<String>>,
    /// The sidecar is dead: what fails now says nothing.
    over: Cell<bool>,
}

impl Mixed {
    /// `count` requests by all callers together.
    pub fn new(inbound: SocketAddr, wallets: &[Rc<Wallet>], count: u64) -> Self {
        let protocols = [Protocol::Http1, Protocol::Http2];
        let targets = wallets.iter().flat_map(|wallet| protocols.map(|protocol| Target::mutual(inbound, wallet, protocol))).collect();
        let state = State { left: Cell::new(count), told: Cell::default(), failures: RefCell::default(), over: Cell::new(false) };
        Self { targets, count, state: Rc::new(state) }
    }

    /// The share of all requests that are answered.
    pub fn progress(&self) -> f64 {
        self.state.told.get().all() as f64 / self.count as f64
    }

    /// Sends all of them, as fast as answers come.
    pub async fn run(&self) -> anyhow::Result<Told> {
        let mut tasks = Vec::new();
        for target in &self.targets {
            let (connections, streams) = if target.protocol == Protocol::Http1 { (HTTP1, 1) } else { HTTP2 };
            for _ in 0..connections {
                let connection = Rc::new(Connection::open(target).await?);
                for _ in 0..streams {
                    tasks.push(tokio::task::spawn_local(ask(target.clone(), Rc::clone(&connection), Rc::clone(&self.state))));
                }
            }
        }
        for task in tasks {
            task.await?;
        }
        self.state.failures.borrow().iter().for_each(|failure| println!("    {failure}"));
        Ok(self.state.told.get())
    }

    /// The same until two thirds are answered: then the sidecar is killed. Also says how many refusals came in the last [`SYNC`] before that or later.
    pub async fn killed(&self, sidecar: Sidecar) -> anyhow::Result<(Told, u64)> {
        let kill = async {
            let mut lately = VecDeque::new();
            let deadline = Instant::now() + PATIENCE * 20;
            while self.progress() < 0.66 && Instant::now() < deadline {
                let now = Instant::now();
                lately.push_back((now, self.state.told.get().refused()));
                while lately.len() > 1 && lately.get(1).is_some_and(|(at, _)| now - *at >= SYNC) {
                    lately.pop_front();
                }
                tokio::time::sleep(LOOK).await;
            }
            self.state.over.set(true);
            drop(sidecar);
            lately.front().map_or(0, |(_, refused)| *refused)
        };
        let (told, before) = tokio::join!(self.run(), kill);
        let told = told?;
        Ok((told, told.refused() - before))
    }
}

/// One request after the other on one connection, which must not end as long as the sidecar lives.
async fn ask(target: Target, connection: Rc<Connection>, state: Rc<State>) {
    loop {
        let left = state.left.get();
        if left == 0 {
            return;
        }
        state.left.set(left - 1);
        let outcome = connection.send(target.get(&path(left), Some(left))).await;
        let mut told = state.told.get();
        match outcome {
            Outcome::Answered(answer) if answer.status == 200 => told.allowed += 1,
            Outcome::Answered(answer) if answer.status == 403 => told.forbidden += 1,
            Outcome::Answered(answer) if answer.status == 400 => told.malformed += 1,
            _ if state.over.get() => return,
            other => {
                told.failed += 1;
                let mut failures = state.failures.borrow_mut();
                if failures.len() < 5 {
                    failures.push(format!("{:?}: {other:?}", target.protocol));
                }
            }
        }
        state.told.set(told);
        if told.failed > 100 {
            return;
        }
    }
}

/// Six in ten allowed; denied by no rule, by a rule, and as malformed; with everything in a path that a log must escape.
fn path(number: u64) -> PathAndQuery {
    let text = match number % 10 {
        0..6 => format!("/always/{number}?secret={number}"),
        6 | 7 => format!("/nothing/{}", number % 50),
        8 => format!("/forbidden/%22%5B%7B%C3%A4%E2%80%AE'{}", number % 1_000),
        _ => format!("/always/%00/%2e%2e/{number}"),
    };
    text.parse().unwrap_or_else(|_| PathAndQuery::from_static("/always/0"))
}
