//! Which allows are recorded.

use super::Decision;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Pairs of caller and target that are remembered; at the limit all are forgotten, which records a few more.
const MAX_PAIRS: usize = 4_096;

/// What happens to one allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Never thinned.
    Always,
    /// Chosen, or nothing is thinned.
    Plain,
    /// Left out.
    Not,
}

/// The share of plain allows that are recorded, shared by all shards; reloadable.
#[derive(Debug)]
pub(super) struct Share(AtomicU64);

impl Share {
    pub(super) fn new(share: f64) -> Self {
        Self(AtomicU64::new(share.to_bits()))
    }

    pub(super) fn set(&self, share: f64) {
        self.0.store(share.to_bits(), Ordering::Relaxed);
    }

    fn read(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// One shard's memory of who has spoken to whom.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    pairs: RefCell<HashSet<u64>>,
}

impl Seen {
    /// Decides on one allow: the lower of the rule's and the global share counts. Unsampled stay an audited rule, a verdict that shadow mode did not
    /// enforce, a request that failed, one that is recorded twice, and the first between two identities.
    pub(super) fn keep(&self, decision: &Decision, share: &Share) -> Keep {
        let facts = &decision.facts;
        let outcome = &decision.outcome;
        if facts.audited || facts.would.is_some() || outcome.close_reason.is_some() || outcome.phase.is_some() {
            return Keep::Always;
        }
        let share = share.read().min(f64::from(facts.sample));
        // Not a number is no reason to lose records.
        if share.is_nan() || share >= 1.0 {
            return Keep::Plain;
        }
        if self.first(decision) {
            return Keep::Always;
        }
        if fastrand::f64() < share { Keep::Plain } else { Keep::Not }
    }

    fn first(&self, decision: &Decision) -> bool {
        let caller = decision.caller.identity.as_ref().map(|identity| &identity.principal);
        let target = decision.target.as_ref().map(|target| (&target.id, &target.host));
        let mut pairs = self.pairs.borrow_mut();
        if pairs.len() >= MAX_PAIRS {
            pairs.clear();
        }
        pairs.insert(self.hasher.hash_one((decision.direction, caller, target)))
    }
}
