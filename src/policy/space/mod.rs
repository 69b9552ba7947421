//! Every way in which what one pattern takes in may meet other patterns, each with one example: what makes questions about *all* requests
//! questions about a few.
//!
//! Two sequences that begin alike, and go on with a segment that no pattern tells from another, meet the same patterns. So from each set of
//! half-read patterns only the segments that some pattern names, and one that none does, are followed.

mod alphabet;
mod heads;
pub(super) mod host;
pub(super) mod identity;
#[cfg(test)]
mod tests;

pub(super) use alphabet::Alphabet;
pub(super) use heads::Heads;

use super::pattern::{Shape, Step};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// What is left of the work that somebody is ready to wait for, in half-read patterns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(u64);

/// There are more ways than the budget is for, or segments that nothing short can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    pub(super) fn new(work: u64) -> Self {
        Self(work)
    }

    /// What is left.
    pub(super) fn left(&self) -> u64 {
        self.0
    }

    /// Takes some work off.
    pub(super) fn spend(&mut self, work: usize) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(u64::try_from(work).map_err(|_| Exhausted)?).ok_or(Exhausted)?;
        Ok(())
    }
}

/// A way, and a sequence that goes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Segments that the pattern takes in.
    pub(super) example: Vec<String>,
    /// The other patterns that take them in as well, by number, in ascending order.
    pub(super) met: Vec<usize>,
}

/// How far a pattern is read; past its last step: it takes whatever follows.
type At = usize;

/// A pattern that was read this far, by its number.
type Half = (usize, At);

/// Where reading has come to. In the order in which such places are looked at: fewer segments first, then the shorter text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reading {
    segments: usize,
    length: usize,
    example: Vec<String>,
    at: At,
    halves: Vec<Half>,
    /// Whether nothing may follow, as after an empty last segment.
    is_closed: bool,
}

/// Every set of `others` that meets some sequence which `target` takes in, with one such sequence for each: one of as few segments as can be, and of
/// those the shortest.
///
/// # Errors
/// [`Exhausted`].
pub(super) fn ways(target: &Shape<'_>, others: &[&Shape<'_>], alphabet: Alphabet, budget: &mut Budget) -> Result<Vec<Way>, Exhausted> {
    let mut found: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    let halves = (0..others.len()).map(|other| (other, 0)).collect();
    let mut queue = BinaryHeap::from([Reverse(Reading { segments: 0, length: 0, example: Vec::new(), at: 0, halves, is_closed: false })]);
    let mut seen = BTreeSet::new();
    while let Some(Reverse(reading)) = queue.pop() {
        budget.spend(reading.halves.len() + 1)?;
        if !seen.insert((reading.is_closed, reading.at, reading.halves.clone())) {
            continue;
        }
        let Reading { example, at, halves, .. } = &reading;
        if is_end(target, *at) {
            let met =
                halves.iter().filter(|(other, at)| others.get(*other).is_some_and(|shape| is_end(shape, *at))).map(|(other, _)| *other);
            found.entry(met.collect()).or_insert_with(|| example.clone());
        }
        if reading.is_closed || alphabet.is_closed(example) {
            continue;
        }
        let next = Next::of(halves, others);
        for segment in alphabet.segments(target, *at, others, halves, example.len())? {
            let Some(at) = step(target, *at, &segment, alphabet) else { continue };
            let halves = next.after(&segment, others, alphabet);
            budget.spend(next.wild.len() + halves.len() + 1)?;
            // A last, empty segment ends a path: what goes on from there does not.
            let is_closed = segment.is_empty() && !example.is_empty();
            let (segments, length) = (reading.segments + 1, reading.length + segment.len());
            let example = example.iter().cloned().chain([segment]).collect();
            queue.push(Reverse(Reading { segments, length, example, at, halves, is_closed }));
        }
    }
    Ok(found.into_iter().map(|(met, example)| Way { example, met }).collect())
}

/// Half-read patterns by the segment that they wait for.
struct Next<'s> {
    literal: HashMap<&'s str, Vec<Half>>,
    /// Those that wait for no certain one.
    wild: Vec<Half>,
}

impl<'s> Next<'s> {
    fn of(halves: &[Half], others: &[&Shape<'s>]) -> Self {
        let mut next = Self { literal: HashMap::new(), wild: Vec::new() };
        for half in halves {
            match others.get(half.0).and_then(|shape| shape.steps.get(half.1)) {
                Some(Step::Literal(text)) => next.literal.entry(*text).or_default().push(*half),
                Some(Step::Any | Step::Between(_)) | None => next.wild.push(*half),
            }
        }
        next
    }

    /// Those that go on with a segment, by their numbers.
    fn after(&self, segment: &str, others: &[&Shape<'_>], alphabet: Alphabet) -> Vec<Half> {
        let waiting = self.literal.get(segment).into_iter().flatten().chain(&self.wild);
        let mut halves: Vec<Half> =
            waiting.filter_map(|(other, at)| Some((*other, step(others.get(*other)?, *at, segment, alphabet)?))).collect();
        halves.sort_unstable();
        halves
    }
}

/// Whether a pattern may end here. What takes the rest needs some of it.
fn is_end(shape: &Shape<'_>, at: At) -> bool {
    if shape.rest { at > shape.steps.len() } else { at == shape.steps.len() }
}

/// Where a segment leads; `None`: nowhere.
fn step(shape: &Shape<'_>, at: At, segment: &str, alphabet: Alphabet) -> Option<At> {
    match shape.steps.get(at) {
        Some(Step::Any) if !alphabet.is_any(segment) => None,
        Some(step) => step.fits(segment).then_some(at + 1),
        None if shape.rest => Some(shape.steps.len() + 1),
        None => None,
    }
}
