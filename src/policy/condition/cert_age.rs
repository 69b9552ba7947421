//! `cert_age`: how old the peer's certificate may be.

use crate::document;
use crate::identity::PeerIdentity;
use crate::policy::Truth;
use crate::policy::canonical_json::object;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// A test of the time since the peer's certificate began to be valid (`notBefore`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct CertAgeTest {
    /// The highest age that is young enough.
    pub(in crate::policy) max: Duration,
}

impl CertAgeTest {
    /// Without a certificate it cannot be told, and neither where one begins in the future: some clock is wrong.
    pub(super) fn holds(&self, identity: Option<&PeerIdentity>, now: SystemTime) -> Truth {
        match identity.and_then(|identity| now.duration_since(identity.not_before).ok()) {
            Some(age) => (age <= self.max).into(),
            None => Truth::Unknown,
        }
    }

    pub(super) fn json(&self) -> Value {
        object([("max", json!(document::written(self.max)))])
    }
}
