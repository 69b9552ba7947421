//! The counts of many replicas as one.

use super::Dimension;
use super::state::{Ledger, State, Uses};
use crate::policy::Part;
use std::collections::BTreeMap;

/// The counts of replicas, each once: of two documents of one observer the later one stands. In which order they come changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// By the observer.
    states: BTreeMap<String, State>,
}

/// One replica that counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its random name.
    pub observer: String,
    /// The workload's SPIFFE id.
    pub workload: String,
    /// Since when it counted, seconds since 1970.
    pub since: u64,
    /// As of when, seconds since 1970.
    pub until: u64,
}

/// A sum over replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// Known since, in the replica that knows it longest.
    pub(super) since: u64,
    pub(super) used: Uses,
    pub(super) unattributed: u64,
}

impl Fleet {
    /// Adds the counts of one replica.
    pub fn add(&mut self, state: State) {
        match self.states.get_mut(&state.observer) {
            Some(known) if *known >= state => {}
            Some(known) => *known = state,
            None => _ = self.states.insert(state.observer.clone(), state),
        }
    }

    /// The counts of a table of this name in this part.
    pub(super) fn of<'f>(&'f self, part: Part, name: &'f str) -> impl Iterator<Item = (&'f State, &'f Ledger)> + Clone {
        let ledger = move |state: &'f State| state.tables.iter().find(|ledger| ledger.part == part && ledger.name == name);
        self.states.values().filter_map(move |state| Some((state, ledger(state)?)))
    }

    #[cfg(test)]
    pub(super) fn into_states(self) -> impl Iterator<Item = State> {
        self.states.into_values()
    }

    /// How many replicas there are.
    pub(super) fn count(&self) -> usize {
        self.states.len()
    }
}

impl Replica {
    pub(super) fn of(state: &State) -> Self {
        let State { observer, workload, since, until, .. } = state;
        Self { observer: observer.clone(), workload: workload.clone(), since: *since, until: *until }
    }
}

impl Sum {
    /// With another one.
    fn and(self, other: Self) -> Self {
        let mut used = self.used;
        used.add(other.used.hits, other.used.last);
        let unattributed = self.unattributed.saturating_add(other.unattributed);
        Self { since: self.since.min(other.since), used, unattributed }
    }

    /// Of one rule; `None`: no replica knows it.
    pub(super) fn of_rule<'l>(ledgers: impl Iterator<Item = &'l Ledger>, id: &str, hash: &str) -> Option<Self> {
        let known = ledgers.filter_map(|ledger| ledger.rules.get(id)).filter(|known| known.hash == hash);
        known.map(|known| Self { since: known.since, used: known.used, unattributed: known.unattributed }).reduce(Self::and)
    }

    /// Of one member of a rule that was used.
    pub(super) fn of_member<'l>(
        ledgers: impl Iterator<Item = &'l Ledger>,
        (id, hash): (&str, &str),
        dimension: Dimension,
        member: &str,
    ) -> Uses {
        let known = ledgers.filter_map(|ledger| ledger.rules.get(id)).filter(|known| known.hash == hash);
        let uses = known.filter_map(|known| known.members.get(&dimension)?.get(member));
        uses.fold(Uses::default(), |mut all, uses| {
            all.add(uses.hits, uses.last);
            all
        })
    }

    /// Of one member of a set; `None`: no replica knows it.
    pub(super) fn of_set<'l>(ledgers: impl Iterator<Item = &'l Ledger>, set: &str, member: &str) -> Option<Self> {
        let known = ledgers.filter_map(|ledger| ledger.sets.get(set)?.get(member));
        known.map(|known| Self { since: known.since, used: known.used, unattributed: 0 }).reduce(Self::and)
    }
}
