//! Which allows are recorded.

use super::Decision;
use super::pairs::Seen;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Decides on one allow: the lower of the rule's and the global share counts. Unsampled stay an audited rule, a verdict that shadow mode did not
/// enforce, a request that failed, one that is recorded twice, and the first between two identities.
pub(super) fn keep(decision: &Decision, share: &Share, seen: &Seen) -> Keep {
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
    if seen.is_first(decision) {
        return Keep::Always;
    }
    if fastrand::f64() < share { Keep::Plain } else { Keep::Not }
}
