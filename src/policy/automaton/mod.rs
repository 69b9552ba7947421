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

pub(super) use build::{TooLarge, WORK};
#[cfg(test)]
pub(super) use damage::Damage;

use super::lists::index;
use super::pattern::Affix;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// Where nothing matches any more.
const DEAD: u32 = 0;

/// Where every sequence begins.
const START: u32 = 1;

/// Where a sequence must end, with the number of the set of what matches it then; states have no such numbers.
const END: u32 = 1 << 31;

/// The set of patterns that is empty.
pub(super) const NONE: u32 = 0;

/// States, and the segments that lead from one to the next.
#[derive(Debug)]
pub(super) struct Automaton {
    states: Box<[State]>,
    edges: HashTable<Edge>,
    /// Keyed at random, so that nobody can write a table whose segments collide.
    hasher: DefaultHashBuilder,
    /// The segments of all edges, and how segments of branches begin and end.
    text: Box<str>,
    branches: Box<[Branch]>,
}

/// What has matched after a first segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning(u32);

/// What has matched so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// The set of the patterns that match a sequence which ends here.
    accepts: u32,
    /// Where a segment leads that no edge is for.
    other: u32,
    /// [`EDGES`], [`FULL`], and from [`BRANCH`] on where to look instead of `other`, plus one; zero: nowhere.
    flags: u32,
}

/// Of a state: it has edges.
const EDGES: u32 = 1;

/// Of a state: the empty segment, if it has no edge, leads nowhere.
const FULL: u32 = 1 << 1;

/// Of a state: the first bit of its branch.
const BRANCH: u32 = 2;

/// A segment that leads from one state to another.
#[derive(Debug)]
struct Edge {
    from: u32,
    to: u32,
    segment: Text,
}

/// A part of an automaton's text: where it begins, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Text {
    at: u32,
    len: u32,
}

/// Segments that are told apart by how they begin and end.
#[derive(Debug)]
struct Branch {
    affixes: Box<[(Text, Text)]>,
    /// Where a segment leads, by the set of affixes that fit it, one bit each; in ascending order of the sets.
    targets: Box<[(u64, u32)]>,
}

impl Automaton {
    /// The set of the patterns that match these segments, by its number among those that [`new`](Self::new) gave.
    pub(super) fn find<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> u32 {
        self.find_after(Beginning(START), segments)
    }

    /// The same, where a first segment was read by [`after`](Self::after).
    pub(super) fn find_after<'s>(&self, beginning: Beginning, segments: impl IntoIterator<Item = &'s str>) -> u32 {
        let Beginning(mut at) = beginning;
        for segment in segments {
            at = self.step(at, self.state(at), segment);
            if at == DEAD {
                return NONE;
            }
        }
        if at & END != 0 { at & !END } else { self.state(at).accepts }
    }

    /// Reads a segment that many sequences begin with, once for all of them.
    pub(super) fn after(&self, segment: &str) -> Beginning {
        Beginning(self.step(START, self.state(START), segment))
    }

    /// What it takes of memory, in units of a state or an edge: less than 64 bytes each.
    pub(super) fn size(&self) -> usize {
        let branches = self.branches.iter().map(|branch| branch.affixes.len() + branch.targets.len() + 1);
        self.states.len() + self.edges.len() + branches.sum::<usize>()
    }

    fn step(&self, at: u32, state: State, segment: &str) -> u32 {
        if state.flags & EDGES != 0 {
            let hash = self.hasher.hash_one((at, segment));
            let edge = self.edges.find(hash, |edge| edge.from == at && edge.segment.of(&self.text) == segment);
            if let Some(edge) = edge {
                return edge.to;
            }
        }
        if segment.is_empty() && state.flags & FULL != 0 {
            return DEAD;
        }
        let branch = (state.flags >> BRANCH).checked_sub(1).and_then(|branch| self.branches.get(index(branch)));
        branch.and_then(|branch| branch.target(&self.text, segment)).unwrap_or(state.other)
    }

    /// Nothing goes on from where a sequence must end.
    fn state(&self, at: u32) -> State {
        self.states.get(index(at)).copied().unwrap_or(State::DEAD)
    }
}

impl State {
    const DEAD: Self = Self { accepts: NONE, other: DEAD, flags: 0 };
}

impl Text {
    fn of(self, text: &str) -> &str {
        text.get(index(self.at)..index(self.at) + index(self.len)).unwrap_or_default()
    }
}

impl Branch {
    fn target(&self, text: &str, segment: &str) -> Option<u32> {
        let affix = |(before, after): &(Text, Text)| Affix { before: before.of(text), after: after.of(text) };
        let fits =
            self.affixes.iter().zip(0..).filter(|(texts, _)| affix(texts).fits(segment)).fold(0_u64, |fits, (_, bit)| fits | 1 << bit);
        let at = self.targets.binary_search_by_key(&fits, |(set, _)| *set).ok()?;
        self.targets.get(at).map(|(_, to)| *to)
    }
}
