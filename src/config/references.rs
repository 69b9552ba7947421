//! What a configuration points to, known even where other parts of it are wrong.

use super::Loaded;
use super::effective::Ledger;
use super::read::Draft;
use crate::document::Problems;
use crate::{admin, credentials, policy, trust};

/// A text, read as far as it goes.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The configuration, or every problem of it.
    pub loaded: Result<Loaded, Problems>,
    /// What it points to.
    pub references: References,
    /// `[health]` and `[admin]`, at their defaults where they could not be read.
    pub admin: admin::Settings,
}

/// The parts that point to files; absent: not written, or written wrongly.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct References {
    /// Our own certificate.
    pub credentials: Option<credentials::Settings>,
    /// The roots, each with its index in the text.
    pub trust: Vec<(usize, trust::Settings)>,
    /// The policy, with the local ports of the inbound listeners that its rules may name.
    pub policy: Option<(policy::Settings, Vec<u16>)>,
}

impl References {
    /// What is known of a text that may have problems.
    pub(super) fn of_draft(draft: &Draft, ledger: &Ledger) -> Self {
        // Ports in rules can only be judged by a listener that was read.
        let listener_known = ledger.place("inbound").is_some() && (draft.inbound.is_none() || ledger.place("inbound.listen").is_some());
        let ports = draft.inbound.iter().map(|inbound| inbound.listen.port()).collect();
        Self {
            credentials: draft.credentials.clone(),
            trust: draft.trust.iter().enumerate().filter_map(|(index, trust)| Some((index, trust.clone()?))).collect(),
            policy: draft.policy.clone().filter(|_| listener_known).map(|policy| (policy, ports)),
        }
    }
}
