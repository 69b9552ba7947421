//! What a record is about, for those who ask the rules again.

use super::Line;

/// What a record is to those who ask the rules again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Rules decided this request, and all of it is there.
    ByRules,
    /// The first of two records of a request; the other one counts.
    Begun,
    /// So many decisions that the rules are not asked about, or cannot be.
    Apart(Apart, u64),
    /// About no decision: the log's own, and the control plane's.
    Other,
}

/// Why the rules are not asked again about a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Apart {
    /// The request could not be read in one way only.
    Malformed,
    /// The caller had no usable identity, or its handshake was refused.
    Unauthenticated,
    /// The caller was in quarantine.
    Quarantined,
    /// There was no usable table.
    NoPolicy,
    /// The data path refused it, whatever the rules say; the rule that had let it pass, if one did, is in the record.
    Refused,
    /// It went out: a route decided.
    Outbound,
    /// Something in it was too long for the record.
    Cut,
    /// It has no identity of a caller.
    Nobody,
    /// Many denials that came too fast for a record each; it has no path.
    Aggregate,
    /// Records that were never written.
    Gap,
}

impl Apart {
    /// The stable name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::Quarantined => "quarantined",
            Self::NoPolicy => "no_policy",
            Self::Refused => "refused",
            Self::Outbound => "outbound",
            Self::Cut => "cut",
            Self::Nobody => "nobody",
            Self::Aggregate => "aggregate",
            Self::Gap => "gap",
        }
    }

    /// Why, as a sentence.
    pub fn why(self) -> &'static str {
        match self {
            Self::Malformed => "the request could not be read in one way only, so no rule was looked at",
            Self::Unauthenticated => "the caller had no usable identity, so no rule was looked at",
            Self::Quarantined => "the caller was in quarantine, so no rule was looked at",
            Self::NoPolicy => "there was no usable table, so everything was denied; the process log says what was wrong with it",
            Self::Refused => "it was refused for a reason that no rule has a part in",
            Self::Outbound => {
                "it went out: the route of the host decided, which is an [[upstream]] of the configuration and no rule of the table"
            }
            Self::Cut => "something in it was too long for the record and is cut",
            Self::Nobody => "it has no identity of a caller",
            Self::Aggregate => "it stands for many denials that came too fast for a record each, and has no path",
            Self::Gap => "it stands for records that were never written",
        }
    }

    /// Whether rules decided, and the record does not hold on what.
    pub fn is_incomplete(self) -> bool {
        matches!(self, Self::Cut | Self::Nobody | Self::Aggregate)
    }
}

impl Line<'_> {
    /// What it is.
    pub fn sort(&self) -> Sort {
        let count = self.count.unwrap_or(1);
        match self.kind.as_deref().unwrap_or_default() {
            "decision" if self.phase.as_deref() == Some("open") => Sort::Begun,
            "decision" => self.before_rules().or_else(|| self.incomplete()).map_or(Sort::ByRules, |apart| Sort::Apart(apart, 1)),
            "handshake" => Sort::Apart(Apart::Unauthenticated, 1),
            "aggregate" if self.of.as_deref() == Some("handshake") => Sort::Apart(Apart::Unauthenticated, count),
            "aggregate" if self.of.as_deref() == Some("other") => Sort::Apart(Apart::Aggregate, count),
            "aggregate" => Sort::Apart(self.before_rules().unwrap_or(Apart::Aggregate), count),
            "gap" => Sort::Apart(Apart::Gap, count),
            _ => Sort::Other,
        }
    }

    /// What decided where no rule did.
    pub(in crate::policy) fn before_rules(&self) -> Option<Apart> {
        if self.dir.as_deref().is_some_and(|way| way != "inbound") {
            return Some(Apart::Outbound);
        }
        match self.reason.as_deref().unwrap_or_default() {
            "rule" | "shadow" | "explicit_deny" | "implicit_deny" | "boundary" => None,
            "no_policy" => Some(Apart::NoPolicy),
            "quarantined" => Some(Apart::Quarantined),
            reason if reason.starts_with("malformed:") => Some(Apart::Malformed),
            reason if reason.starts_with("unauthenticated:") => Some(Apart::Unauthenticated),
            _ => Some(Apart::Refused),
        }
    }

    /// What the record lacks.
    pub(in crate::policy) fn incomplete(&self) -> Option<Apart> {
        match &self.caller {
            _ if self.cut => Some(Apart::Cut),
            None => Some(Apart::Nobody),
            Some(_) => None,
        }
    }
}
