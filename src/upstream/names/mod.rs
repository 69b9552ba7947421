//! Names of upstreams: each is asked for by a task of the control runtime, as often as its answers' time to live wants; what is known is published as
//! a snapshot, so that no request waits for DNS.

mod resolver;
mod standing;
mod system;

pub use resolver::{Answer, Resolver, Unresolved};
pub use system::System;

use crate::runtime::tasks::{contained, spawn};
use crate::telemetry::metrics::resolved;
use standing::{Standing, Taken};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// From one question for a name to the next one that a failed connection asks for: an address that is gone would otherwise make a question of every
/// request.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One name, as the data path holds it.
#[derive(Debug)]
pub struct Name {
    text: String,
    doubts: Notify,
}

impl Name {
    /// Tells that an address of it could not be reached, or is not who it must be: it is asked for again now, at most once a second. Never waits.
    pub fn doubt(&self) {
        self.doubts.notify_one();
    }

    /// The name as configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What is known of every followed name at one moment.
#[derive(Debug, Default)]
pub struct Snapshot(HashMap<String, (Arc<Name>, Arc<[IpAddr]>)>);

impl Snapshot {
    /// The name and its addresses, which may be none; `None` for a name that is not followed.
    pub fn find(&self, name: &str) -> Option<&(Arc<Name>, Arc<[IpAddr]>)> {
        self.0.get(name)
    }
}

/// What an operator wants to know of a name.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its addresses in use.
    pub addresses: Arc<[IpAddr]>,
    /// Since the answer that gave them, or confirmed them last.
    pub age: Option<Duration>,
    /// Why the last question had no answer.
    pub problem: Option<String>,
    /// Whether it was asked for to the end at least once.
    pub asked: bool,
}

/// The names that are followed.
pub struct Names {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    resolver: Resolver,
    followed: Mutex<BTreeMap<String, Followed>>,
    /// Told after each question.
    answered: Condvar,
    changes: watch::Sender<u64>,
}

struct Followed {
    name: Arc<Name>,
    standing: Standing,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    /// Follows nothing yet; `runtime` is the control runtime.
    pub fn new(resolver: Resolver, runtime: Handle) -> Self {
        let shared = Shared { resolver, followed: Mutex::default(), answered: Condvar::new(), changes: watch::Sender::new(0) };
        Self { shared: Arc::new(shared), runtime }
    }

    /// Follows exactly these names from now on; what is known of those that stay is kept.
    pub fn follow(&self, names: &BTreeSet<String>) {
        self.shared.lock().retain(|name, _| names.contains(name));
        self.begin(names);
    }

    /// Follows these names too, and waits until each was asked for once, at most for `limit`. Blocks: not for the control runtime's own threads.
    pub fn prepare(&self, names: &BTreeSet<String>, limit: Duration) {
        self.begin(names);
        let waits = |followed: &mut BTreeMap<String, Followed>| {
            names.iter().any(|name| followed.get(name).is_some_and(|one| !one.standing.asked()))
        };
        let followed = self.shared.lock();
        drop(self.shared.answered.wait_timeout_while(followed, limit, waits).unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known now.
    pub fn snapshot(&self) -> Snapshot {
        let followed = self.shared.lock();
        let known = followed.iter().map(|(name, one)| (name.clone(), (Arc::clone(&one.name), one.standing.addresses())));
        Snapshot(known.collect())
    }

    /// Every followed name, for operators.
    pub fn report(&self) -> BTreeMap<String, Report> {
        let now = Instant::now();
        self.shared.lock().iter().map(|(name, one)| (name.clone(), one.standing.report(now))).collect()
    }

    /// Moves whenever something became known, addresses or a problem.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn begin(&self, names: &BTreeSet<String>) {
        let _inside = self.runtime.enter();
        let mut followed = self.shared.lock();
        for text in names {
            if !followed.contains_key(text) {
                let name = Arc::new(Name { text: text.clone(), doubts: Notify::new() });
                let task = spawn("name", Arc::clone(&self.shared).ask_for(Arc::clone(&name))).abort_handle();
                followed.insert(text.clone(), Followed { name, standing: Standing::default(), task });
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one name for ever; ends with its entry.
    async fn ask_for(self: Arc<Self>, name: Arc<Name>) {
        loop {
            let asked = Instant::now();
            // A panic ends this question, not the questions.
            let outcome = contained("name", self.resolver.ask(&name.text)).await;
            let outcome = outcome.unwrap_or_else(|| Err(Unresolved::Other("the question ended in a panic".into())));
            resolved(outcome.as_ref().map_or_else(Unresolved::reason, |_| "ok"));
            let next = self.take(&name, outcome);
            tokio::select! {
                biased;
                () = sleep_until(next) => {}
                () = name.doubts.notified() => sleep_until(next.min(asked + ASK_AGAIN)).await,
            }
        }
    }

    fn take(&self, name: &Arc<Name>, outcome: Result<Answer, Unresolved>) -> Instant {
        let mut followed = self.lock();
        // Another task may follow a name of the same text by now; this one is aborted at its next wait.
        let Some(one) = followed.get_mut(&name.text).filter(|one| Arc::ptr_eq(&one.name, name)) else { return Instant::now() + ASK_AGAIN };
        let Taken { next, news } = one.standing.take(&name.text, outcome, Instant::now());
        drop(followed);
        self.answered.notify_all();
        if news {
            self.changes.send_modify(|changes| *changes += 1);
        }
        next
    }
}
