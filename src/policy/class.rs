//! The rules that one identity can meet, found once per identity and table.

use super::index::Index;
use super::{Caller, Table};
use crate::identity::Principal;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Classes that a table remembers; further identities find their own for each connection.
const MOST: usize = 1_024;

/// The rules that an identity can meet on one local port.
#[derive(Debug)]
pub(super) struct Class {
    generation: u64,
    pub(super) index: Index,
    /// Whether one of the denies or allows is in shadow.
    pub(super) has_shadow: bool,
}

/// The classes of one table that open connections use: replicas of a workload share theirs. Looked at once per connection and table.
#[derive(Debug, Default)]
pub(super) struct Classes(Mutex<Known>);

type Known = HashMap<(Principal, u16), Weak<Class>>;

/// Where a [`Caller`] keeps its class for the table that it last met. Start with `ClassCache::default()`.
#[derive(Debug, Default)]
pub struct ClassCache(ArcSwapOption<Class>);

impl Clone for ClassCache {
    fn clone(&self) -> Self {
        Self(ArcSwapOption::new(self.0.load_full()))
    }
}

impl ClassCache {
    /// Gives `read` the caller's class under `table`; found anew when the table's generation moved.
    pub(super) fn with<T>(&self, table: &Table, caller: &Caller, principal: &Principal, read: impl FnOnce(&Class) -> T) -> T {
        let kept = self.0.load();
        if let Some(class) = kept.as_ref().filter(|class| class.generation == table.generation) {
            return read(class);
        }
        let class = table.classes.find(table, principal, caller.local_port);
        self.0.store(Some(class.clone()));
        read(&class)
    }
}

impl Classes {
    fn find(&self, table: &Table, principal: &Principal, port: u16) -> Arc<Class> {
        let key = (principal.clone(), port);
        if let Some(class) = self.known().get(&key).and_then(Weak::upgrade) {
            return class;
        }
        // Without the lock: a large table takes a while, and other shards look for other identities.
        let class = Arc::new(Class::of(table, principal, port));
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, class| class.strong_count() > 0);
        }
        if known.len() < MOST {
            known.insert(key, Arc::downgrade(&class));
        }
        class
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Class {
    fn of(table: &Table, principal: &Principal, port: u16) -> Self {
        let met: Vec<_> = (0..).zip(&table.rules).filter(|(_, rule)| rule.concerns(principal, port)).collect();
        // An audit rule is never in shadow.
        let has_shadow = met.iter().any(|(_, rule)| rule.is_shadow());
        Self { generation: table.generation, index: Index::new(&met), has_shadow }
    }
}
