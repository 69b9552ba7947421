//! What the rings carry from a shard to the writer.

use super::detect::Finding;
use super::{Decision, DecisionId, Direction, PolicyEvent, RefusedHandshake, TrustEvent};
use crate::identity::Principal;
use crate::policy::quarantine::Change;
use crate::policy::{Reason, RuleFacts, TableFacts};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

/// One record on its way.
pub(super) struct Entry {
    /// Counts the pushes of the shard, over both rings.
    pub(super) shard_seq: u64,
    pub(super) what: What,
}

/// What the control plane tells the writer itself.
pub(super) enum Event {
    Policy(PolicyEvent),
    Trust(TrustEvent),
    Action(Change),
    Finding(Finding),
}

/// Held by value: a request's thread neither allocates nor frees for its record.
pub(super) enum What {
    Decision(Decision),
    Handshake(RefusedHandshake),
    Aggregate(Aggregate),
    Gap(Gap),
}

/// Identical denials that found their ring full.
pub(super) struct Aggregate {
    pub(super) id: DecisionId,
    pub(super) key: Key,
    pub(super) table: Option<Arc<TableFacts>>,
    pub(super) span: Span,
}

/// Allows that left no record of their own.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    pub(super) id: DecisionId,
    pub(super) cause: Cause,
    pub(super) span: Span,
}

/// Why records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The writer was slower than the shard.
    RingFull,
    /// The sink refused, so the rings filled.
    SinkError,
    /// The process ended before the shard could hand its counts over.
    Unfinished,
}

impl Cause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::SinkError => "sink_error",
            Self::Unfinished => "unfinished",
        }
    }
}

/// How many, from when to when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) count: u64,
    pub(super) first: SystemTime,
    pub(super) last: SystemTime,
}

impl Span {
    pub(super) fn one(at: SystemTime) -> Self {
        Self { count: 1, first: at, last: at }
    }

    /// Counts one more; a request's record comes at its end, so times do not always rise.
    pub(super) fn add(&mut self, at: SystemTime) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }
}

/// What makes two denials identical.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key {
    Decision {
        direction: Direction,
        caller: Option<Principal>,
        rule: Option<RuleKey>,
        method: Option<http::Method>,
        reason: Reason,
    },
    Handshake {
        direction: Direction,
        claimed: Option<String>,
        reason: Cow<'static, str>,
    },
    /// Everything for which there was no slot left.
    Other,
}

/// A rule and the pattern of it that matched the path, compared by id and text: a reloaded table has the same rules at other addresses.
pub(super) struct RuleKey {
    pub(super) rule: Arc<RuleFacts>,
    pub(super) pattern: Option<u32>,
}

impl RuleKey {
    /// The text of the pattern.
    pub(super) fn template(&self) -> Option<&str> {
        self.rule.template(self.pattern?)
    }
}

impl PartialEq for RuleKey {
    fn eq(&self, other: &Self) -> bool {
        self.rule.id == other.rule.id && self.template() == other.template()
    }
}

impl Eq for RuleKey {}

impl Hash for RuleKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.rule.id, self.template()).hash(state);
    }
}

impl Key {
    pub(super) fn of_decision(decision: &Decision) -> Self {
        Self::Decision {
            direction: decision.direction,
            caller: decision.caller.identity.as_ref().map(|identity| identity.principal.clone()),
            rule: decision.facts.rule.clone().map(|rule| RuleKey { rule, pattern: decision.facts.pattern }),
            method: decision.request.as_ref().map(|request| request.method.clone()).or_else(|| decision.method.clone()),
            reason: decision.facts.reason,
        }
    }

    pub(super) fn of_handshake(refused: RefusedHandshake) -> Self {
        Self::Handshake { direction: refused.direction, claimed: refused.claimed.and_then(|claimed| claimed.id), reason: refused.reason }
    }
}
