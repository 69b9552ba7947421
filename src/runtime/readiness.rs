//! Whether this sidecar should get traffic, and what is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The named conditions that keep `/ready` red. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pending: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Readiness {
    /// Keeps `/ready` red for `what`, such as `certificate`, `policy`, `listener`, `draining`, with a detail for the operator.
    pub fn pending(&self, what: &'static str, detail: impl Into<String>) {
        self.lock().insert(what, detail.into());
    }

    /// `what` is there.
    pub fn ready(&self, what: &'static str) {
        self.lock().remove(what);
    }

    /// What is missing, with details; empty: ready.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        self.lock().iter().map(|(what, detail)| (*what, detail.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
