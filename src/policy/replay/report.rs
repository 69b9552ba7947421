//! What a replay found, in bounded memory.

use crate::policy::record::Apart;
use std::collections::{BTreeMap, HashMap};

/// Groups that are counted apart: what a thousandfold change comes from is seen in the first of them.
const GROUPS: usize = 10_000;

/// What would become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It was allowed, and would be denied.
    Denied,
    /// It was denied, and would be allowed.
    Allowed,
}

/// What requests that would change have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// What would become of them.
    pub change: Change,
    /// Who asked.
    pub caller: String,
    /// How.
    pub method: String,
    /// The pattern that decided or would decide; where there is none, the path, with a name for each segment that is an id by its looks.
    pub template: String,
    /// The rule that decided, or the reason without one.
    pub was: String,
    /// The rule that would decide, or the reason without one.
    pub now: String,
}

/// Requests of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// How many.
    pub count: u64,
    /// The decision id of the first one.
    pub example: String,
}

/// What a replay found.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests that were decided again.
    pub decided: u64,
    /// Those that would be denied.
    pub denied: u64,
    /// Those that would be allowed.
    pub allowed: u64,
    /// Those with the same verdict, by another rule or by none.
    pub by_another_rule: u64,
    /// Requests that cannot be decided again for want of what the record does not hold.
    pub undecidable: u64,
    /// The same by what is missing: a condition, or `cut`, `nobody`, `aggregate`. A request that hangs on several is in each.
    pub missing: BTreeMap<String, u64>,
    /// Decisions that rules have no part in.
    pub apart: BTreeMap<Apart, u64>,
    /// What would change, most first.
    pub groups: Vec<(Group, Changed)>,
    /// Requests that would change and are in no group, because there are too many of these.
    pub ungrouped: u64,
    known: HashMap<Group, Changed>,
}

impl Report {
    /// Requests that would end in another way.
    pub fn changed(&self) -> u64 {
        self.denied + self.allowed
    }

    pub(super) fn apart(&mut self, apart: Apart, count: u64) {
        if apart.is_incomplete() {
            self.undecidable += count;
            *self.missing.entry(apart.label().to_owned()).or_default() += count;
        } else {
            *self.apart.entry(apart).or_default() += count;
        }
    }

    pub(super) fn undecidable(&mut self, conditions: Vec<String>) {
        self.undecidable += 1;
        for condition in conditions {
            *self.missing.entry(condition).or_default() += 1;
        }
    }

    pub(super) fn change(&mut self, group: Group, id: &str) {
        match group.change {
            Change::Denied => self.denied += 1,
            Change::Allowed => self.allowed += 1,
        }
        if let Some(changed) = self.known.get_mut(&group) {
            changed.count += 1;
        } else if self.known.len() < GROUPS {
            self.known.insert(group, Changed { count: 1, example: id.to_owned() });
        } else {
            self.ungrouped += 1;
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.groups = self.known.drain().collect();
        self.groups.sort_by(|(one, first), (other, second)| (one.change, second.count, one).cmp(&(other.change, first.count, other)));
        self
    }
}
