//! The counts of this process, in the words of its tables.

use super::gathered::{Counted, Deed, Gathered};
use super::members::{Dimension, decided_by, whom};
use super::seconds;
use super::state::{Ledger, MemberUse, RuleUse, State, Version};
use crate::identity::x509::hex;
use crate::policy::canonical_json::rule_hash;
use crate::policy::evaluate::{Candidate, rule};
use crate::policy::rule::{PrincipalSet, Rule, Whom};
use crate::policy::{Part, Publisher, Table, Tables};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

/// The counts of this process.
#[derive(Debug)]
pub struct Book {
    state: State,
    /// Which tables its ledgers are about, by their generations.
    about: Vec<(Part, u64)>,
}

impl Book {
    /// An empty one, of an observer that nobody else is.
    pub fn new(workload: &str, now: SystemTime) -> Self {
        let mut observer = [0; 16];
        if aws_lc_rs::rand::fill(&mut observer).is_err() {
            observer = fastrand::u128(..).to_be_bytes();
        }
        let (observer, workload, now) = (hex(&observer), workload.to_owned(), seconds(now));
        Self::resume(State { v: Version::First, until: now, since: now, observer, workload, tables: Vec::new() })
    }

    /// One that goes on where `state` ended.
    pub(super) fn resume(state: State) -> Self {
        Self { state, about: Vec::new() }
    }

    /// Enters what the shards have gathered, and what is in force now: a rule that is new, or another one than before, begins at nothing.
    pub fn settle(&mut self, gathered: &Gathered, tables: &Publisher, now: SystemTime) {
        // Taken first: whatever decided this is in force by now, or has been.
        let taken = gathered.take();
        if let Some(tables) = tables.snapshot() {
            self.observe(&tables, seconds(now));
        }
        self.enter(&taken);
        self.state.until = self.state.until.max(seconds(now));
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    fn observe(&mut self, tables: &Tables, now: u64) {
        let about: Vec<(Part, u64)> = tables.all().map(|(part, table)| (part, table.generation)).collect();
        if about == self.about {
            return;
        }
        let mut before: BTreeMap<Part, Ledger> =
            std::mem::take(&mut self.state.tables).into_iter().map(|ledger| (ledger.part, ledger)).collect();
        self.state.tables = tables.all().map(|(part, table)| Ledger::of(part, table, before.remove(&part), now)).collect();
        self.about = about;
    }

    fn enter(&mut self, taken: &HashMap<Deed, Counted>) {
        // Lists of identities are long, and most decisions are of few identities and lists.
        let mut known = HashMap::new();
        for (deed, counted) in taken {
            let table = &counted.table;
            let decided = Candidate { rule: deed.marks.rule, template: 0 };
            let ledger = self.state.tables.iter_mut().find(|ledger| ledger.part == deed.part);
            let (Some(ledger), Some(rule)) = (ledger, rule(&table.rules, decided)) else { continue };
            // It may have been decided by the table before; a rule that is gone needs no count.
            if self.about.contains(&(deed.part, table.generation)) || ledger.has(rule, &table.rules) {
                let find = || whom(rule, deed.principal.as_ref()?);
                let by = (deed.principal.as_ref(), Arc::as_ptr(&rule.from));
                ledger.enter(rule, deed, counted, *known.entry(by).or_insert_with(find));
            }
        }
    }
}

impl Ledger {
    /// The counts of a table, with those that `before` has of what is still the same.
    fn of(part: Part, table: &Table, before: Option<Self>, now: u64) -> Self {
        let (mut known, mut members) = before.map(|before| (before.rules, before.sets)).unwrap_or_default();
        let rules = table.rules.iter().map(|rule| {
            let hash = rule_hash(rule, &table.rules);
            let known = known.remove(&rule.facts.id).filter(|known| known.hash == hash);
            (rule.facts.id.clone(), known.unwrap_or_else(|| RuleUse::new(hash, now)))
        });
        let rules = rules.collect();
        let sets = sets(table).into_iter().map(|(name, set)| {
            let mut known = members.remove(name).unwrap_or_default();
            let uses = set.members.iter().map(|member| {
                let known = known.remove(member.as_str());
                (member.as_str().to_owned(), known.unwrap_or_else(|| MemberUse { since: now, used: super::state::Uses::default() }))
            });
            (name.to_owned(), uses.collect())
        });
        let facts = &table.facts;
        let (name, version, sha256) = (facts.name.clone(), facts.version.clone(), facts.sha256.clone());
        Self { part, name, version, sha256, rules, sets: sets.collect() }
    }

    /// Whether it counts this very rule, of a table with `all`.
    fn has(&self, rule: &Rule, all: &[Rule]) -> bool {
        self.rules.get(&rule.facts.id).is_some_and(|known| known.hash == rule_hash(rule, all))
    }

    /// Counts for a rule; `by`: what of its `from` it was.
    fn enter(&mut self, rule: &Rule, deed: &Deed, counted: &Counted, by: Option<(u32, Option<(&PrincipalSet, &str)>)>) {
        let (count, last) = (counted.count, counted.last);
        let Some(uses) = self.rules.get_mut(&rule.facts.id) else { return };
        uses.used.add(count, last);
        if deed.principal.is_none() {
            uses.unattributed = uses.unattributed.saturating_add(count);
            return;
        }
        for dimension in Dimension::ALL {
            if let Some(member) = decided_by(rule, dimension, deed.marks, by.map(|(place, _)| place)) {
                uses.members.entry(dimension).or_default().entry(member.into_owned()).or_default().add(count, last);
            }
        }
        if let Some((set, member)) = by.and_then(|(_, in_set)| in_set)
            && let Some(uses) = self.sets.get_mut(&*set.name).and_then(|set| set.get_mut(member))
        {
            uses.used.add(count, last);
        }
    }
}

/// The sets of identities that the rules of a table name, by their names.
pub(super) fn sets(table: &Table) -> BTreeMap<&str, &PrincipalSet> {
    let named = table.rules.iter().flat_map(|rule| &rule.from.whom).filter_map(|whom| match whom {
        Whom::Set(set) => Some((&*set.name, &**set)),
        Whom::Pattern(_) => None,
    });
    named.collect()
}
