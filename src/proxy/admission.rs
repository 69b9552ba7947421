//! How many requests may be under way: `[limits] in_flight`, and one identity's share of it.

use crate::runtime::drain::Live;
use crate::runtime::limits::Limits;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Counts requests of the whole process.
#[derive(Debug)]
pub struct Admission {
    limit: usize,
    per_identity: usize,
    live: Arc<Live>,
    identities: Mutex<HashMap<String, Weak<AtomicUsize>>>,
}

/// One request's place; dropping it frees the place.
#[derive(Debug)]
pub struct Share {
    live: Arc<Live>,
    inbound: bool,
    identity: Option<Arc<AtomicUsize>>,
}

impl Admission {
    /// Counts against `limits`.
    pub fn new(limits: &Limits, live: Arc<Live>) -> Self {
        let share = (limits.in_flight as f64 * limits.in_flight_per_identity).ceil();
        // A share of a usize is a usize again; at least one request must be possible.
        let per_identity = (share as usize).max(1);
        Self { limit: limits.in_flight, per_identity, live, identities: Mutex::default() }
    }

    /// The counter of one identity, shared by its connections on all shards. Once per connection.
    pub fn identity(&self, identity: &str) -> Arc<AtomicUsize> {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = identities.get(identity).and_then(Weak::upgrade) {
            return counter;
        }
        if identities.len() >= 1_024 {
            identities.retain(|_, counter| counter.strong_count() > 0);
        }
        let counter = Arc::new(AtomicUsize::new(0));
        identities.insert(identity.to_owned(), Arc::downgrade(&counter));
        counter
    }

    /// Takes a place for an inbound request.
    ///
    /// # Errors
    /// `shed` or `shed_identity` when there is none.
    pub fn inbound(&self, identity: &Arc<AtomicUsize>) -> Result<Share, &'static str> {
        if identity.fetch_add(1, Ordering::Relaxed) >= self.per_identity {
            identity.fetch_sub(1, Ordering::Relaxed);
            return Err("shed_identity");
        }
        if self.live.inbound_requests.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.live.inbound_requests.fetch_sub(1, Ordering::Relaxed);
            identity.fetch_sub(1, Ordering::Relaxed);
            return Err("shed");
        }
        Ok(Share { live: Arc::clone(&self.live), inbound: true, identity: Some(Arc::clone(identity)) })
    }

    /// Takes a place for an outbound request.
    ///
    /// # Errors
    /// `shed` when there is none.
    pub fn outbound(&self) -> Result<Share, &'static str> {
        if self.live.outbound_requests.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.live.outbound_requests.fetch_sub(1, Ordering::Relaxed);
            return Err("shed");
        }
        Ok(Share { live: Arc::clone(&self.live), inbound: false, identity: None })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let counter = if self.inbound { &self.live.inbound_requests } else { &self.live.outbound_requests };
        counter.fetch_sub(1, Ordering::Relaxed);
        if let Some(identity) = &self.identity {
            identity.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
