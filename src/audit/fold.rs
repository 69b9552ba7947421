//! Where denials go when their ring is full: counted by what they have in common.

use super::DecisionId;
use super::entry::{Aggregate, Key, Span};
use crate::policy::TableFacts;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::SystemTime;

/// Distinct kinds of denial that are counted apart; further ones share one slot. A slot takes up to some 2 KiB, so 2 MiB a shard at worst.
pub(super) const MAX_KEYS: usize = 1_024;

/// Exact counts of folded denials.
#[derive(Default)]
pub(super) struct Fold {
    slots: HashMap<Key, Slot>,
    other: Option<Slot>,
    /// Closed slots on their way to the writer.
    leaving: Vec<Aggregate>,
}

struct Slot {
    id: DecisionId,
    table: Option<Arc<TableFacts>>,
    span: Span,
}

impl Fold {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.other.is_none() && self.leaving.is_empty()
    }

    /// Counts one denial.
    pub(super) fn add(&mut self, key: Key, id: DecisionId, table: Option<Arc<TableFacts>>, at: SystemTime) {
        let room = self.slots.len() < MAX_KEYS;
        match self.slots.entry(key) {
            Entry::Occupied(mut slot) => slot.get_mut().span.add(at),
            Entry::Vacant(slot) if room => {
                slot.insert(Slot { id, table, span: Span::one(at) });
            }
            Entry::Vacant(_) => match &mut self.other {
                Some(slot) => slot.span.add(at),
                None => self.other = Some(Slot { id, table: None, span: Span::one(at) }),
            },
        }
    }

    /// Takes one aggregate out; `None` when nothing is folded.
    pub(super) fn take(&mut self) -> Option<Aggregate> {
        if self.leaving.is_empty() {
            let other = self.other.take().map(|slot| (Key::Other, slot));
            let closed = self.slots.drain().chain(other);
            self.leaving.extend(closed.map(|(key, slot)| Aggregate { id: slot.id, key, table: slot.table, span: slot.span }));
        }
        self.leaving.pop()
    }

    /// Gives back one that found no room.
    pub(super) fn put_back(&mut self, aggregate: Aggregate) {
        self.leaving.push(aggregate);
    }
}
