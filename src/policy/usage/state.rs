//! The counts as they are kept and handed on: one JSON document for a process.

use super::Dimension;
use crate::policy::Part;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The counts of one process. Moments are whole seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub(super) v: Version,
    /// As of when. First, so that of two documents of one observer the later one is the greater one.
    pub(super) until: u64,
    /// Since when everything was counted that the process decided, its restarts passed over.
    pub(super) since: u64,
    /// Of whom: a random name that stays until counting begins anew.
    pub(super) observer: String,
    /// The workload's SPIFFE id.
    pub(super) workload: String,
    /// The tables in force.
    pub(super) tables: Vec<Ledger>,
}

/// The format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Version {
    #[serde(rename = "countersign.usage/1")]
    First,
}

/// The counts of one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    pub(super) part: Part,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
    /// By the id.
    pub(super) rules: BTreeMap<String, RuleUse>,
    /// By the name of the set and the member as written.
    pub(super) sets: BTreeMap<String, BTreeMap<String, MemberUse>>,
}

/// The counts of one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleUse {
    /// SHA-256 over its canonical JSON, lower-case hex: another rule of the same id begins at nothing.
    pub(super) hash: String,
    /// Since when it is in force as it is.
    pub(super) since: u64,
    #[serde(default, skip_serializing_if = "Uses::is_none")]
    pub(super) used: Uses,
    /// Of its uses, those of which the members are not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) unattributed: u64,
    /// The members that were used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) members: BTreeMap<Dimension, BTreeMap<String, Uses>>,
}

/// The counts of one member of a set, through whichever rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberUse {
    /// Since when it is in the set.
    pub(super) since: u64,
    #[serde(default, skip_serializing_if = "Uses::is_none")]
    pub(super) used: Uses,
}

/// How often, and when last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Uses {
    pub(super) hits: u64,
    pub(super) last: u64,
}

impl Uses {
    /// With some more.
    pub(super) fn add(&mut self, hits: u64, last: u64) {
        self.hits = self.hits.saturating_add(hits);
        self.last = self.last.max(last);
    }

    pub(super) fn is_none(&self) -> bool {
        self.hits == 0
    }
}

impl RuleUse {
    pub(super) fn new(hash: String, since: u64) -> Self {
        Self { hash, since, used: Uses::default(), unattributed: 0, members: BTreeMap::new() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
