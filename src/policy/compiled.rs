//! The rules that one identity can meet, compiled: one pass over a path, then what its method means there.

#[cfg(test)]
mod damage;

#[cfg(test)]
pub(super) use damage::Fault;

use super::Truth;
use super::automaton::{Automaton, TooLarge};
use super::evaluate::{Candidate, Findings, findings, rule};
use super::methods::{self, Methods};
use super::pattern::{Shape, segments};
use super::rule::Rule;
use crate::request::CanonicalRequest;

/// The bit of all methods that have none of their own.
const RARE: u16 = 1 << 15;

/// Where each path leads, for the rules of one class.
#[derive(Debug)]
pub(super) struct Compiled {
    automaton: Automaton,
    /// By the automaton's sets: what the rules say of the paths that match them, by method. Methods that are not there match nothing.
    leaves: Box<[Leaf]>,
    /// What has to be looked at, in file order each.
    candidates: Box<[Candidate]>,
}

/// What the rules say of one path: by methods, one bit each.
type Leaf = Box<[(u16, Slot)]>;

/// What the rules say of one path and method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// This, whatever else the request is.
    Settled(Findings),
    /// It hangs on conditions of these candidates: from, and to.
    Open(u32, u32),
}

/// What is to be done for one path and method.
#[derive(Debug)]
pub(super) enum Found<'c> {
    /// Nothing more.
    Settled(Findings),
    /// To look at the conditions of these.
    Open(&'c [Candidate]),
}

impl Compiled {
    /// Compiles `rules`, which are those of `all` with these indexes, in file order.
    ///
    /// # Errors
    /// [`TooLarge`]; the rules are to be looked at one by one.
    pub(super) fn new(all: &[Rule], rules: &[u32]) -> Result<Self, TooLarge> {
        let mut patterns: Vec<(Candidate, Shape)> = Vec::new();
        for &index in rules {
            let paths = rule(all, Candidate { rule: index, template: 0 }).map_or(&[][..], |rule| &rule.paths);
            patterns.extend((0..).zip(paths).map(|(template, path)| (Candidate { rule: index, template }, path.shape())));
        }
        let (patterns, shapes): (Vec<Candidate>, Vec<Shape>) = patterns.into_iter().unzip();
        let automaton = Automaton::new(&shapes)?;
        let mut candidates = Vec::new();
        let leaf = |set: &[u32]| {
            let mut met: Vec<Candidate> = set.iter().filter_map(|pattern| patterns.get(usize::try_from(*pattern).ok()?).copied()).collect();
            // Of several patterns of one rule the first is named.
            met.dedup_by_key(|candidate| candidate.rule);
            leaf(all, &met, &mut candidates)
        };
        let leaves = automaton.sets().map(leaf).collect::<Result<_, _>>()?;
        Ok(Self { automaton, leaves, candidates: candidates.into() })
    }

    /// What the rules say of a request.
    pub(super) fn find(&self, request: &CanonicalRequest) -> Found<'_> {
        let set = self.automaton.find(segments(request.path()));
        let leaf = usize::try_from(set).ok().and_then(|set| self.leaves.get(set));
        let bit = match methods::bit(&request.method) {
            0 => RARE,
            bit => bit,
        };
        match leaf.and_then(|leaf| leaf.iter().find(|(methods, _)| methods & bit != 0)) {
            None => Found::Settled(Findings::NOTHING),
            Some((_, Slot::Settled(settled))) => Found::Settled(*settled),
            Some((_, Slot::Open(from, to))) => {
                let range = usize::try_from(*from).unwrap_or(usize::MAX)..usize::try_from(*to).unwrap_or(usize::MAX);
                Found::Open(self.candidates.get(range).unwrap_or_default())
            }
        }
    }

    /// How many states it takes.
    pub(super) fn states(&self) -> usize {
        self.automaton.states()
    }
}

/// What rules whose path has matched say, by method.
fn leaf(all: &[Rule], met: &[Candidate], candidates: &mut Vec<Candidate>) -> Result<Leaf, TooLarge> {
    let mut slots: Vec<(u16, Vec<Candidate>, Slot)> = Vec::new();
    for bit in methods::BITS.into_iter().chain([RARE]) {
        let concerns = |candidate: &Candidate| rule(all, *candidate).is_some_and(|rule| takes(&rule.methods, bit));
        let concerned: Vec<Candidate> = met.iter().copied().filter(concerns).collect();
        if concerned.is_empty() {
            continue;
        }
        if let Some((methods, _, _)) = slots.iter_mut().find(|(known, same, _)| *same == concerned && (bit != RARE || *known == RARE)) {
            *methods |= bit;
            continue;
        }
        let is_settled = |rule: &Rule| rule.is_unconditional() && (bit != RARE || rule.methods == Methods::Any);
        let slot = if concerned.iter().all(|candidate| rule(all, *candidate).is_some_and(is_settled)) {
            Slot::Settled(findings(all, &concerned, |_| Truth::True))
        } else {
            let from = u32::try_from(candidates.len()).map_err(|_| TooLarge)?;
            candidates.extend(&concerned);
            Slot::Open(from, u32::try_from(candidates.len()).map_err(|_| TooLarge)?)
        };
        slots.push((bit, concerned, slot));
    }
    Ok(slots.into_iter().map(|(methods, _, slot)| (methods, slot)).collect())
}

/// Whether a rule may be about a method with this bit.
fn takes(methods: &Methods, bit: u16) -> bool {
    match methods {
        Methods::Any => true,
        Methods::Of { common, rare, .. } => common & bit != 0 || (bit == RARE && !rare.is_empty()),
    }
}
