//! Quarantine: peers that are refused for a while, whatever the rules say.
//!
//! A [`Quarantine`] is changed by the control plane and by the detectors; what follows from a change is published with the tables, as a [`Quarantined`]
//! set, so that a decision compares no second number. Handshakes still succeed: a quarantined caller gets a 403 with the reason and a decision id,
//! its requests under way end, and it goes on by itself when its time is over.

mod hold;
mod set;
#[cfg(test)]
mod tests;

pub use hold::{Act, By, Change, Found, Quarantine, Refused};
pub use set::{Held, Quarantined, Subject, SubjectError};

use crate::identity::pattern::PrincipalPattern;
use std::time::Duration;

/// `[quarantine]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Identities that no detector, and nobody by identity, puts into quarantine.
    pub never: Vec<PrincipalPattern>,
    /// The most entries that detectors make in one `window`.
    pub max: u32,
    /// From an entry of a detector to the moment when it no longer counts towards `max`.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { never: Vec::new(), max: 3, window: Duration::from_secs(600) }
    }
}
