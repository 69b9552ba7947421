//! The keepers of all key sets that the tables in force name.

use super::keeper::{Keeper, KeysStanding};
use super::keys::Keys;
use crate::fetch::Fetcher;
use crate::policy::Tables;
use crate::runtime::readiness::Readiness;
use crate::runtime::tasks::spawn;
use crate::telemetry::metrics;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// What status and readiness call it.
const CONDITION: &str = "key_sets";

/// All keepers; cheap to clone.
#[derive(Clone)]
pub struct Keepers {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    fetcher: Fetcher,
    readiness: Readiness,
    /// Of the tables in force, each once. Held for moments: whoever says how they stand waits for it.
    running: Mutex<Vec<Arc<Running>>>,
    /// Held from the look at the keepers to the end of the publication: the last tables to be published are those whose keys are kept.
    publishing: Mutex<()>,
}

/// Ends the task when it is dropped.
struct Running {
    keeper: Arc<Keeper>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keepers {
    /// Without any yet; their tasks will run on `runtime`, which is the control runtime.
    pub fn new(runtime: Handle, fetcher: Fetcher, readiness: Readiness) -> Self {
        Self { shared: Arc::new(Shared { runtime, fetcher, readiness, running: Mutex::default(), publishing: Mutex::default() }) }
    }

    /// Gives tables the keys of their issuers and has `publish` put them in force: a source that the tables before named goes on with the keys that it has,
    /// a new file is read at once, a new URL is asked from now on, and what no table names any more is not asked again. Blocks on files.
    pub fn publish<T>(&self, tables: Tables, publish: impl FnOnce(Tables) -> T) -> T {
        let _turn = lock(&self.shared.publishing);
        let before = self.shared.running().clone();
        let mut running: Vec<Arc<Running>> = Vec::new();
        for issuer in tables.all().flat_map(|(_, table)| table.issuers().iter()) {
            let known = running.iter().chain(&before).map(|running| &running.keeper.keys).find(|keys| keys.source() == issuer.source());
            let keys = issuer.adopt(|| known.cloned().unwrap_or_else(|| Arc::new(Keys::new(issuer.source().clone()))));
            let is_it = |running: &&Arc<Running>| Arc::ptr_eq(&running.keeper.keys, keys);
            if running.iter().find(is_it).is_none() {
                let going = before.iter().find(is_it).cloned();
                running.push(going.unwrap_or_else(|| Arc::new(self.start(Keeper::new(Arc::clone(keys))))));
            }
        }
        let published = publish(tables);
        *self.shared.running() = running;
        self.shared.report();
        published
    }

    /// Has all of them read their keys now.
    pub fn ask(&self) {
        self.shared.running().iter().for_each(|running| running.keeper.ask());
    }

    /// How each key set stands.
    pub fn standing(&self) -> Vec<KeysStanding> {
        self.shared.keepers().iter().map(|keeper| keeper.standing()).collect()
    }

    fn start(&self, keeper: Keeper) -> Running {
        let keeper = Arc::new(keeper);
        keeper.read_now();
        let (following, shared) = (Arc::clone(&keeper), Arc::downgrade(&self.shared));
        let fetcher = self.shared.fetcher.clone();
        let _inside = self.shared.runtime.enter();
        let task = spawn("key set", async move {
            let answered = || {
                if let Some(shared) = shared.upgrade() {
                    shared.report();
                }
            };
            following.follow(&fetcher, answered).await;
        });
        Running { keeper, task }
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Vec<Arc<Running>>> {
        lock(&self.running)
    }

    fn keepers(&self) -> Vec<Arc<Keeper>> {
        self.running().iter().map(|running| Arc::clone(&running.keeper)).collect()
    }

    /// What is missing is told and keeps nothing red: without keys tokens prove nothing, and requests that need none are decided as ever.
    fn report(&self) {
        let keepers = self.keepers();
        let since_epoch = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let oldest = keepers.iter().map(|keeper| keeper.read_at().map_or(0.0, since_epoch)).min_by(f64::total_cmp);
        if let Some(oldest) = oldest {
            metrics::jwks_read_at().set(oldest);
        }
        let troubled = keepers.iter().map(|keeper| keeper.standing()).filter_map(|standing| {
            let KeysStanding { source, keys, problem, .. } = standing;
            let without = if keys.is_none() { "; tokens of its issuer prove nothing until it is there" } else { "" };
            match (problem, keys) {
                (Some(problem), _) => Some(format!("{source}: {problem}{without}")),
                (None, None) => Some(format!("{source}: it is being read{without}")),
                (None, Some(_)) => None,
            }
        });
        match troubled.collect::<Vec<_>>() {
            none if none.is_empty() => self.readiness.unnote(CONDITION),
            some => self.readiness.note(CONDITION, some.join("; ")),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
