//! Which denials are by a table, or by rules of it, that were tried before they were enforced.

use super::window::Tick;
use crate::audit::PolicyEvent;
use crate::policy::{Part, RuleFacts, TableFacts};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Rules in shadow whose denials are remembered.
const RULES: usize = 1_024;

/// What was tried, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Promotion {
    own: Option<String>,
    candidate: Option<String>,
    /// The rules that would have denied something, had they not been in shadow; the implicit denial is one of them.
    tried: HashSet<u64>,
    enforced: Option<Enforced>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Enforced {
    since: Tick,
    /// `None`: the whole table was a candidate.
    rules: Option<HashSet<u64>>,
}

impl Promotion {
    /// A table was put in force.
    pub(super) fn table(&mut self, event: &PolicyEvent, now: Tick) {
        let sha256 = Some(event.table.sha256.clone());
        match event.part {
            Part::Candidate => self.candidate = sha256,
            Part::Own if self.own.is_some() && self.own != sha256 => {
                let rules = (self.candidate != sha256).then(|| std::mem::take(&mut self.tried));
                let is_promotion = rules.as_ref().is_none_or(|rules| !rules.is_empty());
                self.enforced = is_promotion.then_some(Enforced { since: now, rules });
                self.tried.clear();
                self.own = sha256;
            }
            Part::Own => self.own = sha256,
            Part::Boundary => {}
        }
    }

    /// A rule, or none, would have denied a request that was let pass.
    pub(super) fn would_deny(&mut self, rule: Option<&RuleFacts>) {
        if self.tried.len() < RULES {
            self.tried.insert(self.hash(rule));
        }
    }

    /// Whether a denial is by what was tried before and has been enforced for less than `window` milliseconds.
    pub(super) fn denied(&self, table: Option<&TableFacts>, rule: Option<&RuleFacts>, now: Tick, window: u64) -> bool {
        let current = table.is_some_and(|table| self.own.as_ref() == Some(&table.sha256));
        current
            && self.enforced.as_ref().is_some_and(|enforced| {
                let counts = enforced.rules.as_ref().is_none_or(|rules| rules.contains(&self.hash(rule)));
                counts && now.saturating_sub(enforced.since) < window
            })
    }

    fn hash(&self, rule: Option<&RuleFacts>) -> u64 {
        self.hasher.hash_one(rule.map(|rule| &rule.id))
    }
}
