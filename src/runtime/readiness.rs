//! Whether this sidecar should get traffic, and what is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The named conditions that keep `/ready` red, and those that `/ready` only tells of. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pending: Arc<Mutex<Conditions>>,
    notes: Arc<Mutex<Conditions>>,
}

/// Details by name.
type Conditions = BTreeMap<&'static str, String>;

impl Readiness {
    /// Keeps `/ready` red for `what`, such as `certificate`, `policy`, `listener`, `draining`, with a detail for the operator.
    pub fn pending(&self, what: &'static str, detail: impl Into<String>) {
        lock(&self.pending).insert(what, detail.into());
    }

    /// `what` is there.
    pub fn ready(&self, what: &'static str) {
        lock(&self.pending).remove(what);
    }

    /// What is missing, with details; empty: ready.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        listed(&self.pending)
    }

    /// Tells the operator of `what` without keeping `/ready` red.
    pub fn note(&self, what: &'static str, detail: impl Into<String>) {
        lock(&self.notes).insert(what, detail.into());
    }

    /// There is nothing to tell of `what` any more.
    pub fn unnote(&self, what: &'static str) {
        lock(&self.notes).remove(what);
    }

    /// What there is to tell.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        listed(&self.notes)
    }
}

fn listed(conditions: &Mutex<Conditions>) -> Vec<(&'static str, String)> {
    lock(conditions).iter().map(|(what, detail)| (*what, detail.clone())).collect()
}

fn lock(conditions: &Mutex<Conditions>) -> MutexGuard<'_, Conditions> {
    conditions.lock().unwrap_or_else(PoisonError::into_inner)
}
