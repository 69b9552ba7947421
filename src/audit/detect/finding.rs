//! What a detector says.

use crate::audit::{DecisionId, Direction};
use crate::policy::quarantine::Refused;
use std::time::{Duration, SystemTime};

/// Who looks for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// More denials of an identity than its threshold and a multiple of what is usual for it.
    DenialBurst,
    /// More distinct paths denied to a certificate than its threshold.
    Scanning,
    /// More malformed requests of an identity than its threshold.
    MalformedBurst,
    /// One certificate from two addresses.
    SharedCertificate,
    /// The first request that is allowed between two identities.
    NewEdge,
    /// The first certificate of an issuer since the start.
    NewIssuer,
    /// A break-glass rule let pass.
    BreakGlass,
    /// A table or the configuration was not taken over.
    ReloadFailed,
    /// Allows left no record of their own.
    AuditGap,
    /// Our certificate is past 80 % of its life.
    RenewalLate,
    /// A denial by a table that was tried before it was enforced.
    PromotedDenial,
}

impl Detector {
    /// Every one, in the order of their declaration.
    pub(super) const ALL: [Self; 11] = [
        Self::DenialBurst,
        Self::Scanning,
        Self::MalformedBurst,
        Self::SharedCertificate,
        Self::NewEdge,
        Self::NewIssuer,
        Self::BreakGlass,
        Self::ReloadFailed,
        Self::AuditGap,
        Self::RenewalLate,
        Self::PromotedDenial,
    ];

    /// The name in the configuration, in records and as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DenialBurst => "denial_burst",
            Self::Scanning => "scanning",
            Self::MalformedBurst => "malformed_burst",
            Self::SharedCertificate => "shared_certificate",
            Self::NewEdge => "new_edge",
            Self::NewIssuer => "new_issuer",
            Self::BreakGlass => "break_glass",
            Self::ReloadFailed => "reload_failed",
            Self::AuditGap => "audit_gap",
            Self::RenewalLate => "renewal_late",
            Self::PromotedDenial => "promoted_denial",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::NewEdge | Self::NewIssuer => Severity::Informational,
            Self::DenialBurst | Self::MalformedBurst | Self::SharedCertificate | Self::ReloadFailed | Self::PromotedDenial => {
                Severity::Medium
            }
            Self::Scanning | Self::BreakGlass | Self::AuditGap | Self::RenewalLate => Severity::High,
        }
    }
}

/// How bad a finding is, in the words of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Informational,
    /// To be looked at.
    Medium,
    /// To be looked at now.
    High,
}

impl Severity {
    /// The record's `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What was done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// It is told, and nothing else.
    Told,
    /// `mode = "act"` would put the certificate into quarantine.
    WouldQuarantine,
    /// The certificate is in quarantine now.
    Quarantined,
    /// It was in already.
    Standing,
    /// Not: no single certificate did enough of it.
    Spread,
    /// Not: a guard rail.
    Refused(Refused),
}

impl Response {
    /// The record's `response`, which is also the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "none",
            Self::WouldQuarantine => "would_quarantine",
            Self::Quarantined => "quarantined",
            Self::Standing => "already_quarantined",
            Self::Spread => "spread",
            Self::Refused(Refused::Never) => "refused_never",
            Self::Refused(Refused::Cap) => "refused_cap",
            Self::Refused(Refused::Full) => "refused_full",
        }
    }
}

/// Whom or what a finding is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Which way, where it is about requests.
    pub direction: Option<Direction>,
    /// The caller's identity.
    pub caller: Option<String>,
    /// The serial number of the certificate.
    pub serial: Option<String>,
    /// The address that the caller came from.
    pub address: Option<std::net::IpAddr>,
    /// The identity or host that was called.
    pub callee: Option<String>,
    /// What it is in words.
    pub detail: String,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: SystemTime,
    /// By whom.
    pub detector: Detector,
    /// About whom or what.
    pub about: About,
    /// How many events it stands for.
    pub count: u64,
    /// From the first to the last of them at most; zero where it is about one moment.
    pub window: Duration,
    /// A few of the decisions that it follows from, oldest first.
    pub evidence: Vec<DecisionId>,
    /// Findings of the same detector that were left out since its last one.
    pub suppressed: u64,
    /// What was done.
    pub response: Response,
}
