//! Makes an automaton of patterns: each of its states is a set of patterns that have matched so far.

use super::expand::{Expansion, Item, Items};
use super::{Automaton, BRANCH, Branch, DEAD, EDGES, END, Edge, FULL, NONE, State, Text};
use crate::policy::lists::Lists;
use crate::policy::pattern::{Affix, Shape};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::rc::Rc;

/// The most states of an automaton of few patterns.
const STATES: usize = 65_536;

/// The most states for each step of a pattern, where there are many: literals alone take one each.
const STATES_A_STEP: usize = 2;

/// The most patterns that all of its states together hold: what bounds time and memory while it is made, about a second and 300 MiB.
pub(in crate::policy) const WORK: usize = 8 << 20;

/// The most sets of them that some segment may fit.
const SETS: usize = 1_024;

/// The patterns are such that their automaton would be too large: many of them have placeholders in different places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct TooLarge;

impl Automaton {
    /// Makes one of `shapes` with so much effort, [`WORK`] at most; a pattern's number is its place among them. Gives the sets of patterns that some sequence matches, the first of them empty.
    ///
    /// # Errors
    /// [`TooLarge`]: patterns of which each is looked at by itself take less.
    pub(in crate::policy) fn new(shapes: &[Shape<'_>], effort: usize) -> Result<(Self, Lists), TooLarge> {
        let steps = shapes.iter().map(|shape| shape.steps.len() + 1).sum::<usize>();
        let mut building = Building::new(shapes, STATES.max(steps.saturating_mul(STATES_A_STEP)), effort);
        let start = (0..).zip(shapes).map(|(pattern, _)| Item { pattern, steps: 0 }).collect();
        building.state_of(start)?;
        // States are numbered in the order in which they are found, and expanded in it.
        while let Some(items) = building.found.get(building.states.len()).cloned() {
            building.expand(&items)?;
        }
        Ok(building.finish())
    }
}

struct Building<'p> {
    shapes: &'p [Shape<'p>],
    numbers: HashMap<Rc<[Item]>, u32>,
    found: Vec<Rc<[Item]>>,
    most: usize,
    /// The most work.
    effort: usize,
    work: usize,
    states: Vec<State>,
    edges: Vec<Edge>,
    text: String,
    texts: HashMap<&'p str, Text>,
    branches: Vec<Branch>,
    sets: Vec<Rc<[u32]>>,
    set_numbers: HashMap<Rc<[u32]>, u32>,
}

impl<'p> Building<'p> {
    /// With the dead state, and the empty set.
    fn new(shapes: &'p [Shape<'p>], most: usize, effort: usize) -> Self {
        let (nothing, empty): (Rc<[Item]>, Rc<[u32]>) = ([].into(), [].into());
        Self {
            shapes,
            numbers: HashMap::from([(nothing.clone(), DEAD)]),
            found: vec![nothing],
            most,
            effort,
            work: 0,
            states: vec![State::DEAD],
            edges: Vec::new(),
            text: String::new(),
            texts: HashMap::new(),
            branches: Vec::new(),
            sets: vec![empty.clone()],
            set_numbers: HashMap::from([(empty, NONE)]),
        }
    }

    fn expand(&mut self, items: &[Item]) -> Result<(), TooLarge> {
        let from = number(self.states.len())?;
        let mut next = Expansion::of(items, self.shapes)?;
        let accepts = self.set_of(std::mem::take(&mut next.accepts))?;
        let others = next.with(|_, _| false);
        // What goes on with any segment does not go on with the empty one, unless that is a rest.
        let mut flags = if next.rest.is_empty() { FULL } else { 0 };
        let asks = !next.any.is_empty() || !next.between.is_empty();
        if asks && !next.rest.is_empty() {
            next.literals.add("", None);
        }
        for (text, items) in next.literals.take() {
            let beside = if text.is_empty() { next.rest.clone() } else { next.with(|_, affix| affix.fits(text)) };
            let to = self.state_of(items.into_iter().chain(beside).collect())?;
            let segment = self.text(text)?;
            self.edges.push(Edge { from, to, segment });
            flags |= EDGES;
        }
        let other = self.state_of(others)?;
        if !next.between.is_empty() {
            flags |= self.branch(&next)?.checked_mul(1 << BRANCH).ok_or(TooLarge)?;
        }
        self.states.push(State { accepts, other, flags });
        Ok(())
    }

    /// The number of the state of these items, or that of what they match where all of them must end.
    fn state_of(&mut self, mut items: Items) -> Result<u32, TooLarge> {
        items.sort_unstable();
        items.dedup();
        self.work = self.work.saturating_add(items.len()).saturating_add(1);
        if !items.is_empty() && items.iter().all(|item| item.must_end(self.shapes)) {
            let set = self.set_of(items.into_iter().map(|item| item.pattern).collect())?;
            return Ok(END | set);
        }
        if let Some(number) = self.numbers.get(&*items) {
            return Ok(*number);
        }
        if self.found.len() >= self.most || self.work > self.effort {
            return Err(TooLarge);
        }
        let (number, items) = (number(self.found.len())?, Rc::<[Item]>::from(items));
        self.found.push(items.clone());
        self.numbers.insert(items, number);
        Ok(number)
    }

    fn set_of(&mut self, mut patterns: Vec<u32>) -> Result<u32, TooLarge> {
        patterns.sort_unstable();
        if let Some(number) = self.set_numbers.get(&*patterns) {
            return Ok(*number);
        }
        if self.work > self.effort {
            return Err(TooLarge);
        }
        let (number, patterns) = (number(self.sets.len())?, Rc::<[u32]>::from(patterns));
        self.sets.push(patterns.clone());
        self.set_numbers.insert(patterns, number);
        Ok(number)
    }

    fn text(&mut self, text: &'p str) -> Result<Text, TooLarge> {
        if let Some(known) = self.texts.get(text) {
            return Ok(*known);
        }
        let new = Text { at: number(self.text.len())?, len: number(text.len())? };
        self.text.push_str(text);
        self.texts.insert(text, new);
        Ok(new)
    }

    /// Tells segments apart by the affixes that they fit; gives the branch's number, plus one.
    fn branch(&mut self, next: &Expansion<'p>) -> Result<u32, TooLarge> {
        let affixes: Vec<Affix<'p>> = next.between.iter().map(|(affix, _)| *affix).collect();
        let mut targets = Vec::new();
        for fits in meeting(&affixes)? {
            let items = next.with(|index, _| fits & (1 << index) != 0);
            targets.push((fits, self.state_of(items)?));
        }
        targets.sort_unstable();
        self.work = self.work.saturating_add(affixes.len());
        let affixes = affixes.into_iter().map(|affix| Ok((self.text(affix.before)?, self.text(affix.after)?)));
        let affixes = affixes.collect::<Result<_, _>>()?;
        self.branches.push(Branch { affixes, targets: targets.into() });
        number(self.branches.len())
    }

    fn finish(self) -> (Automaton, Lists) {
        let hasher = DefaultHashBuilder::default();
        let text: Box<str> = self.text.into();
        let hash = |edge: &Edge| hasher.hash_one((edge.from, edge.segment.of(&text)));
        let mut edges = HashTable::with_capacity(self.edges.len());
        for edge in self.edges {
            edges.insert_unique(hash(&edge), edge, hash);
        }
        let sets = self.sets.iter().collect();
        (Automaton { states: self.states.into(), edges, hasher, text, branches: self.branches.into() }, sets)
    }
}

/// Every set of affixes, not empty, of which any two may meet in one segment.
fn meeting(affixes: &[Affix<'_>]) -> Result<Vec<u64>, TooLarge> {
    let mut sets: Vec<u64> = Vec::new();
    for (bit, affix) in affixes.iter().enumerate() {
        let friends = affixes.iter().enumerate().filter(|(_, other)| affix.may_meet(**other)).fold(0_u64, |set, (bit, _)| set | 1 << bit);
        let with = sets.iter().filter(|set| **set & !friends == 0).map(|set| set | 1 << bit).collect::<Vec<_>>();
        sets.push(1 << bit);
        sets.extend(with);
        if sets.len() > SETS {
            return Err(TooLarge);
        }
    }
    Ok(sets)
}

/// A number without the bit of [`END`].
fn number(number: usize) -> Result<u32, TooLarge> {
    u32::try_from(number).ok().filter(|number| number & END == 0).ok_or(TooLarge)
}
