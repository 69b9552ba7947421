//! Every way in which what one pattern takes in may meet other patterns, each with one example: what makes questions about *all* requests
//! questions about a few.
//!
//! Two sequences that begin alike, and go on with a segment that no pattern tells from another, meet the same patterns. So from each set of
//! half-read patterns only the segments that some pattern names, and one that none does, are followed.

mod alphabet;
pub(super) mod host;
pub(super) mod identity;
#[cfg(test)]
mod tests;

pub(super) use alphabet::Alphabet;

use super::pattern::{Shape, Step};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

/// Every set of `others` that meets some sequence which `target` takes in, with one such sequence for each.
///
/// # Errors
/// [`Exhausted`].
pub(super) fn ways(target: &Shape<'_>, others: &[&Shape<'_>], alphabet: Alphabet, budget: &mut Budget) -> Result<Vec<Way>, Exhausted> {
    let mut found: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    let start: (At, Vec<Half>) = (0, (0..others.len()).map(|other| (other, 0)).collect());
    let mut seen = BTreeSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, Vec::<String>::new())]);
    while let Some(((at, halves), example)) = queue.pop_front() {
        budget.spend(halves.len() + 1)?;
        if is_end(target, at) {
            let met =
                halves.iter().filter(|(other, at)| others.get(*other).is_some_and(|shape| is_end(shape, *at))).map(|(other, _)| *other);
            found.entry(met.collect()).or_insert_with(|| example.clone());
        }
        if alphabet.is_closed(&example) {
            continue;
        }
        for segment in alphabet.segments(target, at, others, &halves, example.len())? {
            budget.spend(halves.len() + 1)?;
            let Some(next) = step(target, at, &segment, alphabet) else { continue };
            let next_halves = halves.iter().filter_map(|(other, at)| Some((*other, step(others.get(*other)?, *at, &segment, alphabet)?)));
            let state = (next, next_halves.collect::<Vec<_>>());
            // A last, empty segment ends a path: what goes on from there does not.
            if segment.is_empty() && !example.is_empty() {
                close(target, others, &state, &example, &mut found);
            } else if seen.insert(state.clone()) {
                let mut longer = example.clone();
                longer.push(segment);
                queue.push_back((state, longer));
            }
        }
    }
    Ok(found.into_iter().map(|(met, example)| Way { example, met }).collect())
}

/// Notes what ends with an empty segment.
fn close(
    target: &Shape<'_>,
    others: &[&Shape<'_>],
    (at, halves): &(At, Vec<Half>),
    example: &[String],
    found: &mut BTreeMap<Vec<usize>, Vec<String>>,
) {
    if is_end(target, *at) {
        let met = halves.iter().filter(|(other, at)| others.get(*other).is_some_and(|shape| is_end(shape, *at))).map(|(other, _)| *other);
        found.entry(met.collect()).or_insert_with(|| example.iter().cloned().chain([String::new()]).collect());
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
