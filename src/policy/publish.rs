//! The tables in force, from the control runtime to the shards.

use super::class::Classes;
use super::quarantine::Quarantined;
use super::{Snapshot, Tables};
use arc_swap::ArcSwapOption;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Publishes tables; cloning gives another handle of the same one. Starts without a table: everything is denied with `no_policy`.
#[derive(Debug, Clone, Default)]
pub struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    snapshot: ArcSwapOption<Tables>,
    /// Counts publications. Moves after the snapshot did.
    publication: AtomicU64,
    changes: watch::Sender<u64>,
    /// What every publication is beside; held while one is made, so that neither kind undoes the other.
    quarantined: Mutex<Option<Arc<Quarantined>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            publication: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            quarantined: Mutex::default(),
        }
    }
}

/// What a publication changed.
#[derive(Debug, Clone)]
pub struct Published {
    /// What is in force now.
    pub tables: Arc<Tables>,
    /// What was in force before.
    pub previous: Snapshot,
}

impl Published {
    /// Whether it says something else than before; a file that was only touched does not.
    pub fn is_change(&self) -> bool {
        self.previous.as_ref().is_none_or(|previous| !previous.same_as(&self.tables))
    }
}

impl Publisher {
    /// A publisher without a table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `tables` in force: the next request of every connection is decided by them. Blocks while what these connections need of them is compiled.
    pub fn publish(&self, tables: Tables) -> Published {
        if let Some(before) = self.snapshot() {
            tables.all().for_each(|(_, table)| Classes::prepare(table, before.own()));
        }
        let quarantined = self.shared.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.put(tables.beside(quarantined.clone()))
    }

    /// Refuses `quarantined` from now on, whatever the tables say: also the requests that are under way, at the next look of the sweep.
    pub(super) fn quarantine(&self, quarantined: Option<Arc<Quarantined>>) {
        let mut current = self.shared.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone_from(&quarantined);
        // Without a table nobody passes anyway; the first one is published beside it.
        if let Some(tables) = self.snapshot() {
            self.shared.put(Tables::clone(&tables).beside(quarantined));
        }
    }

    /// How many identities and certificates are in quarantine.
    pub fn quarantined(&self) -> usize {
        let current = self.shared.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(0, |quarantined| quarantined.len())
    }

    /// What is in force.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot.load_full()
    }

    /// Wakes whoever waits on it after each publication; the value counts them.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// A shard's own end. Make it on the shard's thread.
    pub fn reader(&self) -> Reader {
        // Read in this order a publication in between is only seen twice, never missed.
        let publication = self.shared.publication.load(Ordering::Acquire);
        let cached = RefCell::new(Rc::new(self.snapshot()));
        Reader { shared: self.shared.clone(), seen: Cell::new(publication), cached }
    }
}

impl Shared {
    fn put(&self, tables: Tables) -> Published {
        let tables = Arc::new(tables);
        let previous = self.snapshot.swap(Some(Arc::clone(&tables)));
        let publication = self.publication.fetch_add(1, Ordering::Release) + 1;
        self.changes.send_replace(publication);
        Published { tables, previous }
    }
}

/// One shard's view of what is in force. One atomic load a request; shared counters are touched only when that moved.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    seen: Cell<u64>,
    cached: RefCell<Rc<Snapshot>>,
}

impl Reader {
    /// What is in force. Keep it for one decision, not for a connection.
    pub fn current(&self) -> Rc<Snapshot> {
        let publication = self.shared.publication.load(Ordering::Acquire);
        if publication != self.seen.replace(publication) {
            *self.cached.borrow_mut() = Rc::new(self.shared.snapshot.load_full());
        }
        self.cached.borrow().clone()
    }

    /// Moves with each publication; one atomic load.
    pub fn publication(&self) -> u64 {
        self.shared.publication.load(Ordering::Acquire)
    }

    /// As [`Publisher::changes`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Listeners, parse};
    use super::Publisher;

    fn table(name: &str) -> super::Tables {
        parse("t", &format!("schema = 1\nname = '{name}'"), &Listeners::default()).unwrap().into()
    }

    fn generation(tables: &super::Tables) -> u64 {
        tables.own().generation
    }

    #[test]
    fn a_reader_sees_a_publication_at_its_next_look() {
        let publisher = Publisher::new();
        let reader = publisher.reader();
        let mut changes = reader.changes();
        assert!(reader.current().is_none());
        let first = publisher.publish(table("one"));
        assert!(first.previous.is_none() && first.is_change());
        assert_eq!(generation(reader.current().as_ref().as_ref().unwrap()), generation(&first.tables));
        assert!(changes.has_changed().unwrap());
        assert_eq!(*changes.borrow_and_update(), 1);
        assert!(!publisher.publish(table("one")).is_change());
        let third = publisher.publish(table("two"));
        assert!(third.is_change() && generation(&third.tables) > generation(&first.tables));
        assert_eq!(reader.current().as_ref().as_ref().unwrap().own().facts.name, "two");
        assert_eq!(publisher.reader().current().as_ref().as_ref().unwrap().own().facts.name, "two");
    }
}
