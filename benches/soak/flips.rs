//! The flipping rule: requests for its path, and which table each answer came from.

use crate::load::client::body;
use crate::load::sidecar::Line;
use crate::load::{Protocol, Slots, Tally, Target, Wallet};
use http::uri::PathAndQuery;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// From the log line of a swap to the last request that the old table may have decided.
pub const BOUND: Duration = Duration::from_millis(100);

/// From one request for the flipping path to the next on the same connection; an answer takes well below this.
const EVERY: Duration = Duration::from_millis(2);

/// What the flipping rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The path is allowed.
    Allow,
    /// The path is denied.
    Deny,
}

impl Effect {
    /// The other one.
    pub fn other(self) -> Self {
        if self == Self::Allow { Self::Deny } else { Self::Allow }
    }

    /// As a policy writes it.
    pub fn name(self) -> &'static str {
        if self == Self::Allow { "allow" } else { "deny" }
    }
}

/// One answered request for the flipping path.
#[derive(Debug, Clone, Copy)]
struct Sample {
    sent: SystemTime,
    answered: SystemTime,
    effect: Effect,
}

/// One request for the flipping path that got no whole answer.
#[derive(Debug, Clone)]
struct Broken {
    sent: SystemTime,
    ended: SystemTime,
    what: String,
}

/// One table: written, then in force until the next one is.
#[derive(Debug, Clone, Copy)]
struct Reign {
    effect: Effect,
    /// When its file was written; it cannot have decided anything before.
    written: SystemTime,
    /// The log line of its swap.
    line: SystemTime,
}

/// Everything about the flipping path.
#[derive(Default)]
pub struct Flips {
    /// Counts; a right answer is one of the two.
    pub tally: Rc<Tally>,
    samples: RefCell<Vec<Sample>>,
    broken: RefCell<Vec<Broken>>,
    written: RefCell<Vec<(SystemTime, Effect)>>,
    nonce: Cell<u64>,
}

/// What the answers say.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Swaps in the log.
    pub swaps: usize,
    /// Answers of either kind.
    pub allowed: usize,
    /// See `allowed`.
    pub denied: usize,
    /// Answers that no table gave that can have been in force.
    pub stale: usize,
    /// Requests that the old table allowed and that a swap to deny ended under way, as it should.
    pub revoked: usize,
    /// Requests that failed for no such reason.
    pub failures: Vec<String>,
    /// The latest request that the old table decided: how long after the swap's line it was sent; `None`: none was sent after it.
    pub latest_old: Option<Duration>,
    /// From the writing of a file to the line of its swap, the longest.
    pub slowest_swap: Duration,
}

impl Flips {
    /// A table with this effect is being written.
    pub fn written(&self, at: SystemTime, effect: Effect) {
        self.written.borrow_mut().push((at, effect));
    }

    /// Requests the flipping path on one connection after the other until `end`.
    pub async fn request(&self, protocol: Protocol, address: SocketAddr, wallet: &Rc<Wallet>, end: Instant) {
        let slots = Slots::new(Target::mutual(address, wallet, protocol), 1);
        while Instant::now() < end {
            let nonce = self.nonce.replace(self.nonce.get() + 1);
            let (sent, begun) = (SystemTime::now(), Instant::now());
            let exchanged = slots.exchange(0, &PathAndQuery::from_static("/flip"), nonce, &self.tally).await;
            let effect = match exchanged {
                Ok(None) => {
                    Tally::count(&self.tally.after_told);
                    continue;
                }
                Ok(Some(answer)) if answer.status == 200 && answer.body == body(nonce) => Some(Effect::Allow),
                Ok(Some(answer)) if answer.status == 403 => Some(Effect::Deny),
                Ok(Some(answer)) => {
                    self.tally.fail(format!("{protocol:?} /flip: status {} with {} bytes", answer.status, answer.body.len()));
                    None
                }
                Err(error) => {
                    let what = format!("{protocol:?} /flip: {error:#}");
                    self.broken.borrow_mut().push(Broken { sent, ended: SystemTime::now(), what });
                    None
                }
            };
            if let Some(effect) = effect {
                self.tally.answered(begun.elapsed());
                self.samples.borrow_mut().push(Sample { sent, answered: SystemTime::now(), effect });
            }
            tokio::time::sleep_until(begun + EVERY).await;
        }
    }

    /// Compares the answers with the swaps in the process log.
    pub fn judge(&self, lines: &[Line]) -> Judgement {
        let reigns = self.reigns(lines);
        let samples = self.samples.borrow();
        let count = |effect| samples.iter().filter(|sample| sample.effect == effect).count();
        let late = samples.iter().filter_map(|sample| overdue(&reigns, sample)).max();
        let broken = self.broken.borrow();
        let (revoked, failed): (Vec<_>, Vec<_>) = broken.iter().partition(|broken| is_revoked(&reigns, broken));
        Judgement {
            // The first one is the table of the start.
            swaps: reigns.len().saturating_sub(1),
            allowed: count(Effect::Allow),
            denied: count(Effect::Deny),
            stale: samples.iter().filter(|sample| !is_explained(&reigns, sample)).count(),
            revoked: revoked.len(),
            failures: failed.into_iter().map(|broken| broken.what.clone()).collect(),
            latest_old: late,
            slowest_swap: reigns.iter().filter_map(|reign| reign.line.duration_since(reign.written).ok()).max().unwrap_or_default(),
        }
    }

    /// The tables in the order of their lines; which one a line speaks of is in its version.
    fn reigns(&self, lines: &[Line]) -> Vec<Reign> {
        let written = self.written.borrow();
        let swaps = lines.iter().filter(|line| line.text("message") == "policy table in force");
        swaps
            .filter_map(|line| {
                let number: usize = line.text("version").split('-').next()?.parse().ok()?;
                match number.checked_sub(1) {
                    // The table of the start, before anyone asks.
                    None => Some(Reign { effect: Effect::Allow, written: line.at, line: line.at }),
                    Some(index) => written.get(index).map(|&(written, effect)| Reign { effect, written, line: line.at }),
                }
            })
            .collect()
    }
}

/// Whether some table can have given this answer between its sending and its arrival.
fn is_explained(reigns: &[Reign], sample: &Sample) -> bool {
    reigns.iter().enumerate().any(|(index, reign)| {
        let replaced = reigns.get(index + 1).map(|next| next.line + BOUND);
        reign.effect == sample.effect && reign.written <= sample.answered && replaced.is_none_or(|replaced| sample.sent <= replaced)
    })
}

/// Whether a swap to deny came while the request was under way: what the new table forbids is ended within its next sweep.
fn is_revoked(reigns: &[Reign], broken: &Broken) -> bool {
    let denies = reigns.iter().filter(|reign| reign.effect == Effect::Deny);
    denies.into_iter().any(|reign| broken.sent <= reign.line + BOUND && reign.written <= broken.ended)
        && is_explained(reigns, &Sample { sent: broken.sent, answered: broken.ended, effect: Effect::Allow })
}

/// How long after the line of the swap that ended its effect the request was sent, where only a replaced table can have answered it.
fn overdue(reigns: &[Reign], sample: &Sample) -> Option<Duration> {
    let current = reigns.iter().rev().find(|reign| reign.line <= sample.sent)?;
    let next_may_answer = reigns.iter().any(|reign| reign.line > current.line && reign.written <= sample.answered);
    (current.effect != sample.effect && !next_may_answer).then(|| sample.sent.duration_since(current.line).unwrap_or_default())
}
