//! The tasks that fetch revocation lists, and what readiness says of them.

use super::remote::{News, RemoteList, RemoteLists};
use super::revocation::MAX_CRL_BYTES;
use super::settings::{CrlMode, Settings};
use crate::fetch::{Fetcher, Url};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::runtime::tasks::spawn;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What status and readiness call it.
const CONDITION: &str = "crl_fetch";

/// Every list that the settings name by URL, each with its task.
pub(super) struct Fetches {
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    lists: RemoteLists,
    arrived: Arc<Notify>,
    running: Vec<Running>,
    /// Of the settings before: what is still wanted is taken over, with the lists that it has.
    before: Vec<Running>,
}

/// Ends the task when it is dropped.
struct Running {
    list: Arc<RemoteList>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fetches {
    pub(super) fn new(fetcher: Fetcher, clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        let (lists, arrived) = (RemoteLists::default(), Arc::new(Notify::new()));
        Self { fetcher, clock, readiness, lists, arrived, running: Vec::new(), before: Vec::new() }
    }

    /// Has `make` ask for all lists that are wanted from now on; the others are given up.
    pub(super) fn renew<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        self.before = std::mem::take(&mut self.running);
        let made = make(self);
        self.before.clear();
        self.lists.replace(self.running.iter().map(|running| Arc::clone(&running.list)).collect());
        self.report();
        made
    }

    /// The list at `url` for the domain of `settings`; its task runs.
    pub(super) fn list(&mut self, settings: &Settings, url: &Url) -> Arc<RemoteList> {
        let is_it = |running: &Running| running.list.domain == settings.domain && running.list.url == *url;
        if let Some(running) = self.running.iter().find(|running| is_it(running)) {
            return Arc::clone(&running.list);
        }
        let running = match self.before.iter().position(is_it) {
            Some(at) => self.before.swap_remove(at),
            None => self.start(settings, url),
        };
        running.list.require(settings.crl_mode == CrlMode::Require);
        let list = Arc::clone(&running.list);
        self.running.push(running);
        list
    }

    fn start(&self, settings: &Settings, url: &Url) -> Running {
        let list = Arc::new(RemoteList::new(url.clone(), settings.domain.clone()));
        let (source, following, clock) = (self.fetcher.at(url.clone(), MAX_CRL_BYTES), Arc::clone(&list), Arc::clone(&self.clock));
        let (lists, readiness, arrived) = (self.lists.clone(), self.readiness.clone(), Arc::clone(&self.arrived));
        let task = spawn("revocation list", async move {
            let answered = |news| match news {
                // Whoever takes it over reports when it is in force.
                News::Lists => arrived.notify_one(),
                News::Nothing => report(&lists, &readiness),
            };
            following.follow(&source, &*clock, answered).await;
        });
        Running { list, task }
    }

    /// Has all of them ask now.
    pub(super) fn ask(&self) {
        self.running.iter().for_each(|running| running.list.ask());
    }

    /// Wakes whoever takes new lists over.
    pub(super) fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }

    pub(super) fn lists(&self) -> RemoteLists {
        self.lists.clone()
    }

    /// Says how they stand.
    pub(super) fn report(&self) {
        report(&self.lists, &self.readiness);
    }
}

/// Not ready while a list was never there without which peers are refused; all other trouble is only told.
fn report(lists: &RemoteLists, readiness: &Readiness) {
    lists.measure();
    let (mut missing, mut failing) = (Vec::new(), Vec::new());
    for list in lists.standing() {
        let why = list.problem.as_deref();
        if list.is_required && list.age.is_none() {
            missing.push(format!("{} ({})", list.url, why.unwrap_or("it is being fetched")));
        } else if let Some(why) = why {
            failing.push(format!("{} ({why})", list.url));
        }
    }
    if missing.is_empty() {
        readiness.ready(CONDITION);
    } else {
        readiness.pending(CONDITION, format!("without these lists it is not known who is revoked: {}", missing.join("; ")));
    }
    if failing.is_empty() {
        readiness.unnote(CONDITION);
    } else {
        readiness.note(CONDITION, format!("not fetched: {}", failing.join("; ")));
    }
}
