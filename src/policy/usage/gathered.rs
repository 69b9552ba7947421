//! What all shards have counted, until it is entered in the book.

use super::super::{Part, Table};
use super::tally::{Hits, Marks};
use crate::identity::Principal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Different decisions that are kept apart; of further ones the rule alone is counted. Some 150 bytes each.
const APART: usize = 65_536;

/// The counts of all shards since they were taken last. Locked by a shard's sweep for as long as it adds some, by no request that finds its cell.
#[derive(Debug, Default)]
pub struct Gathered {
    pending: Mutex<HashMap<Deed, Counted>>,
    crowded: Notify,
}

/// What decided: decisions that are alike are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Deed {
    generation: u64,
    pub(super) part: Part,
    /// Whom for; `None`: there were too many different ones to tell.
    pub(super) principal: Option<Principal>,
    pub(super) marks: Marks,
}

/// How often, when last (seconds since 1970), and in which table.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) table: Arc<Table>,
    pub(super) count: u64,
    pub(super) last: u64,
}

impl Gathered {
    /// Adds what a shard has counted until `at`, seconds since 1970.
    pub(super) fn add(&self, hits: &mut dyn Iterator<Item = Hits>, at: u64) {
        let mut pending = self.pending();
        for hits in hits {
            let Hits { part, marks, count, table, principal, .. } = hits;
            let mut deed = Deed { generation: table.generation, part, principal: Some(principal), marks };
            if pending.len() >= APART && !pending.contains_key(&deed) {
                deed = Deed { principal: None, marks: Marks::of_rule(marks.rule), ..deed };
            }
            let counted = pending.entry(deed).or_insert(Counted { table, count: 0, last: at });
            counted.count = counted.count.saturating_add(count);
            counted.last = counted.last.max(at);
        }
        if pending.len() >= APART / 2 {
            self.crowded.notify_one();
        }
    }

    /// Takes all of it.
    pub(super) fn take(&self) -> HashMap<Deed, Counted> {
        std::mem::take(&mut self.pending())
    }

    /// Waits until it is half full.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn crowded(&self) {
        self.crowded.notified().await;
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Deed, Counted>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
