//! Which of many patterns a sequence of segments matches, found in one pass: a deterministic automaton over segments.
//!
//! Paths, SPIFFE ids and DNS names are all sequences of segments. Looking allocates nothing, and takes as long for a hundred thousand patterns as for
//! ten: one probe of a hash table a segment.

mod build;
#[cfg(test)]
mod damage;
mod expand;
#[cfg(test)]
mod tests;

pub(super) use build::TooLarge;
#[cfg(test)]
pub(super) use damage::Damage;

use super::pattern::Affix;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// Where nothing matches any more.
const DEAD: u32 = 0;

/// Where every sequence begins.
const START: u32 = 1;

/// The set of patterns that is empty.
pub(super) const NONE: u32 = 0;

/// States, and the segments that lead from one to the next.
#[derive(Debug)]
pub(super) struct Automaton {
    states: Box<[State]>,
    edges: HashTable<Edge>,
    /// Keyed at random, so that nobody can write a table whose segments collide.
    hasher: DefaultHashBuilder,
    /// The segments of all edges.
    text: Box<str>,
    branches: Box<[Branch]>,
    /// Sets of patterns, each in ascending order; the first is empty.
    sets: Box<[Box<[u32]>]>,
}

/// What has matched so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// The set of the patterns that match a sequence which ends here.
    accepts: u32,
    /// Where a segment leads that no edge is for.
    other: u32,
    /// Where to look instead of `other`, plus one; zero: nowhere.
    branch: u32,
    /// Whether it has edges.
    has_edges: bool,
}

/// A segment that leads from one state to another.
#[derive(Debug)]
struct Edge {
    from: u32,
    to: u32,
    /// Its segment in the text: where it begins, and its bytes.
    at: u32,
    len: u32,
}

/// Segments that are told apart by how they begin and end.
#[derive(Debug)]
struct Branch {
    affixes: Box<[Affix]>,
    /// Where a segment leads, by the set of affixes that fit it, one bit each; in ascending order of the sets.
    targets: Box<[(u64, u32)]>,
}

impl Automaton {
    /// The set of the patterns that match these segments.
    pub(super) fn find<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> u32 {
        let mut at = START;
        for segment in segments {
            let state = self.state(at);
            let next = self.step(at, state, segment);
            if next == DEAD {
                return NONE;
            }
            at = next;
        }
        self.state(at).accepts
    }

    /// The patterns of a set.
    pub(super) fn set(&self, set: u32) -> &[u32] {
        self.sets.get(index(set)).map_or(&[], |set| &**set)
    }

    /// All sets, in the order of their numbers.
    pub(super) fn sets(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.sets.iter().map(|set| &**set)
    }

    /// How many states it has.
    pub(super) fn states(&self) -> usize {
        self.states.len()
    }

    fn step(&self, at: u32, state: State, segment: &str) -> u32 {
        if state.has_edges {
            let hash = self.hasher.hash_one((at, segment));
            let edge = self.edges.find(hash, |edge| edge.from == at && self.segment(edge) == Some(segment));
            if let Some(edge) = edge {
                return edge.to;
            }
        }
        match state.branch.checked_sub(1).and_then(|branch| self.branches.get(index(branch))) {
            Some(branch) => branch.target(segment).unwrap_or(state.other),
            None => state.other,
        }
    }

    fn state(&self, at: u32) -> State {
        self.states.get(index(at)).copied().unwrap_or(State::DEAD)
    }

    fn segment(&self, edge: &Edge) -> Option<&str> {
        self.text.get(index(edge.at)..index(edge.at) + index(edge.len))
    }
}

impl State {
    const DEAD: Self = Self { accepts: NONE, other: DEAD, branch: 0, has_edges: false };
}

impl Branch {
    fn target(&self, segment: &str) -> Option<u32> {
        let fits = self.affixes.iter().zip(0..).filter(|(affix, _)| affix.fits(segment)).fold(0_u64, |fits, (_, bit)| fits | 1 << bit);
        let at = self.targets.binary_search_by_key(&fits, |(set, _)| *set).ok()?;
        self.targets.get(at).map(|(_, to)| *to)
    }
}

/// Numbers of states and sets are far below what an address is on every machine that this runs on.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
