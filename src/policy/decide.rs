//! The decision: the only maker of a [`Permit`].

use super::{Caller, RuleFacts, Snapshot, TableFacts, Verdict};
use crate::request::{CanonicalRequest, Malformed};
use std::sync::Arc;
use std::time::SystemTime;

/// The right to forward one request. Only [`decide`] and [`permit_route`] make one.
#[derive(Debug)]
pub struct Permit {
    kind: PermitKind,
    facts: Facts,
    _private: (),
}

/// What granted a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitKind {
    /// A rule of the table, or a table in shadow mode.
    Policy,
    /// A matched outbound route.
    Route,
}

/// What a decision was made of, kept for the record and for deciding again.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The rule that decided.
    pub rule: Option<Arc<RuleFacts>>,
    /// The pattern of the rule that matched the path.
    pub template: Option<Arc<str>>,
    /// Why.
    pub reason: Reason,
    /// What a shadow rule or table would have decided, where that differs.
    pub would: Option<Would>,
    /// The table that decided; `None`: there was none.
    pub table: Option<Arc<TableFacts>>,
    /// The generation of that table.
    pub generation: u64,
    /// Whether an `audit` rule asks for a full record.
    pub audited: bool,
    /// The deciding rule's share of plain allows to record, 0.0 to 1.0.
    pub sample: f32,
}

/// A verdict that was not enforced.
#[derive(Debug, Clone)]
pub struct Would {
    /// What it would have been.
    pub verdict: Verdict,
    /// The rule that would have decided; `None`: the implicit denial.
    pub rule: Option<Arc<RuleFacts>>,
}

/// Why a decision came out as it did; [`Reason::text`] is the record's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An allow rule matched.
    Rule,
    /// An outbound route matched.
    Route,
    /// The table is in shadow mode and would have denied.
    Shadow,
    /// The request could not be made canonical.
    Malformed(Malformed),
    /// No usable identity; the code says why, such as `expired`.
    Unauthenticated(&'static str),
    /// The identity or the certificate is in quarantine.
    Quarantined,
    /// An enforced deny rule matched.
    ExplicitDeny,
    /// Nothing matched.
    ImplicitDeny,
    /// No usable table.
    NoPolicy,
    /// Allowed or not: what the data path refused, such as `unknown_host`, `loop`, `shed`, `max_body`.
    Refused(&'static str),
}

impl Reason {
    /// The record's `reason`.
    pub fn text(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Rule => "rule".into(),
            Self::Route => "route".into(),
            Self::Shadow => "shadow".into(),
            Self::Malformed(malformed) => format!("malformed:{}", malformed.code()).into(),
            Self::Unauthenticated(code) => format!("unauthenticated:{code}").into(),
            Self::Quarantined => "quarantined".into(),
            Self::ExplicitDeny => "explicit_deny".into(),
            Self::ImplicitDeny => "implicit_deny".into(),
            Self::NoPolicy => "no_policy".into(),
            Self::Refused(code) => code.into(),
        }
    }
}

/// A refusal by policy.
#[derive(Debug)]
pub struct Denial {
    /// 403 for a denial, 400 and its kin for a malformed request.
    pub status: u16,
    /// What it was made of.
    pub facts: Facts,
}

impl Permit {
    /// What granted it.
    pub fn kind(&self) -> PermitKind {
        self.kind
    }

    /// What the decision was made of.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// Decides one request by the table in force (policy.md section 2).
///
/// # Errors
/// The denial, to be recorded before the response is written.
pub fn decide(_table: &Snapshot, _caller: &Caller, _request: &CanonicalRequest, _now: SystemTime) -> Result<Permit, Box<Denial>> {
    todo!()
}

/// The permit of a matched outbound route; `rule` is named `upstream:<host>`.
pub fn permit_route(_rule: Arc<RuleFacts>, _table: &Snapshot) -> Permit {
    todo!()
}
