//! What follows from a set of half-read patterns.

use super::TooLarge;
use crate::policy::pattern::{Affix, Shape, Step};
use std::collections::HashMap;

/// A pattern of which some segments have matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item {
    pub(super) pattern: u32,
    /// How many of its steps; [`IN_REST`]: all, and what follows does not matter any more.
    pub(super) steps: u32,
}

impl Item {
    /// Whether its pattern matches what was read and nothing that is longer.
    pub(super) fn must_end(self, shapes: &[Shape<'_>]) -> bool {
        let shape = usize::try_from(self.pattern).ok().and_then(|pattern| shapes.get(pattern));
        shape.is_some_and(|shape| !shape.rest && usize::try_from(self.steps) == Ok(shape.steps.len()))
    }
}

/// A pattern that matches whatever else comes.
const IN_REST: u32 = u32::MAX;

/// The most ways to begin and end that are told apart in one segment.
pub(super) const AFFIXES: usize = 64;

/// Patterns that need the same of the next segment, as they are after it; in ascending order.
pub(super) type Items = Vec<Item>;

/// Where a set of items leads.
#[derive(Debug, Default)]
pub(super) struct Expansion<'p> {
    /// The patterns that match a sequence which ends here.
    pub(super) accepts: Vec<u32>,
    /// What goes on with any segment.
    pub(super) rest: Items,
    /// What goes on with any segment that is not empty, beside `rest`.
    pub(super) any: Items,
    /// What goes on with one segment alone, beside the others.
    pub(super) literals: Literals<'p>,
    /// What goes on with segments that begin and end in some way, beside the others.
    pub(super) between: Vec<(Affix<'p>, Items)>,
}

/// What goes on with each of some segments, in the order in which they are first met.
#[derive(Debug, Default)]
pub(super) struct Literals<'p> {
    all: Vec<(&'p str, Items)>,
    /// Where a segment is, once there are many.
    index: HashMap<&'p str, usize>,
}

/// Segments that are found by comparing.
const FEW: usize = 8;

impl<'p> Literals<'p> {
    /// Adds what goes on with a segment; without it the segment is told apart from the others all the same.
    pub(super) fn add(&mut self, text: &'p str, item: Option<Item>) {
        let known =
            if self.index.is_empty() { self.all.iter().position(|(known, _)| *known == text) } else { self.index.get(text).copied() };
        if let Some((_, items)) = known.and_then(|at| self.all.get_mut(at)) {
            items.extend(item);
            return;
        }
        self.all.push((text, item.into_iter().collect()));
        if self.all.len() > FEW {
            let from = self.index.len();
            self.index.extend(self.all.iter().enumerate().skip(from).map(|(at, (text, _))| (*text, at)));
        }
    }

    /// All of them.
    pub(super) fn take(&mut self) -> Vec<(&'p str, Items)> {
        self.index.clear();
        std::mem::take(&mut self.all)
    }
}

impl<'p> Expansion<'p> {
    /// Where `items` lead.
    ///
    /// # Errors
    /// [`TooLarge`]: more than [`AFFIXES`].
    pub(super) fn of(items: &[Item], shapes: &'p [Shape<'p>]) -> Result<Self, TooLarge> {
        let mut expansion = Self::default();
        for item in items {
            if let Some(shape) = usize::try_from(item.pattern).ok().and_then(|pattern| shapes.get(pattern)) {
                expansion.add(*item, shape);
            }
            if expansion.between.len() > AFFIXES {
                return Err(TooLarge);
            }
        }
        Ok(expansion)
    }

    fn add(&mut self, item: Item, shape: &'p Shape<'p>) {
        let in_rest = Item { steps: IN_REST, ..item };
        if item.steps == IN_REST {
            self.accepts.push(item.pattern);
            self.rest.push(in_rest);
            return;
        }
        let next = Item { steps: item.steps.saturating_add(1), ..item };
        match usize::try_from(item.steps).ok().and_then(|steps| shape.steps.get(steps)) {
            None if shape.rest => self.rest.push(in_rest),
            None => self.accepts.push(item.pattern),
            Some(Step::Any) => self.any.push(next),
            Some(Step::Literal(text)) => self.literals.add(text, Some(next)),
            Some(Step::Between(affix)) => match self.between.iter_mut().find(|(known, _)| known == affix) {
                Some((_, items)) => items.push(next),
                None => self.between.push((*affix, vec![next])),
            },
        }
    }

    /// What goes on with a segment that is not empty and fits exactly those of `between` that `fits` tells.
    pub(super) fn with(&self, mut fits: impl FnMut(usize, Affix<'p>) -> bool) -> Items {
        let between = self.between.iter().enumerate().filter(|(index, (affix, _))| fits(*index, *affix));
        [&self.rest, &self.any].into_iter().chain(between.map(|(_, (_, items))| items)).flatten().copied().collect()
    }
}
