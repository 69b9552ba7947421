//! What a configuration points to, known even where other parts of it are wrong.

use super::Loaded;
use super::effective::Ledger;
use super::read::Draft;
use crate::document::Problems;
use crate::request::reserved::Reserved;
use crate::upstream::Protocol;
use crate::{admin, audit, credentials, policy, trust};

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
    /// The policy, with what its rules are read against.
    pub policy: Option<(policy::Settings, policy::Listeners)>,
    /// Where findings are told.
    pub webhook: Option<audit::webhook::Settings>,
    /// Who signs for the key of each boot.
    pub signing: Option<audit::Signing>,
    /// `[audit] hash_user` and its key.
    pub users: audit::Users,
    /// What the app speaks.
    pub app: Option<Protocol>,
}

impl References {
    /// What is known of a text that may have problems.
    pub(super) fn of_draft(draft: &Draft, ledger: &Ledger) -> Self {
        // Ports in rules can only be judged by a listener that was read.
        let listener_known = ledger.place("inbound").is_some() && (draft.inbound.is_none() || ledger.place("inbound.listen").is_some());
        let inbound = draft.inbound.as_ref();
        let listeners = policy::Listeners {
            ports: inbound.iter().map(|inbound| inbound.listen.port()).collect(),
            reserved: Reserved::new(inbound.map(|inbound| inbound.reserved_headers.clone()).unwrap_or_default()),
            http_only: true,
        };
        Self {
            credentials: draft.credentials.clone(),
            trust: draft.trust.iter().enumerate().filter_map(|(index, trust)| Some((index, trust.clone()?))).collect(),
            webhook: draft.webhook.clone(),
            signing: draft.audit.signing.clone(),
            users: draft.audit.users.clone(),
            app: inbound.map(|inbound| inbound.app_protocol),
            policy: draft.policy.clone().filter(|_| listener_known).map(|policy| (policy, listeners)),
        }
    }
}
