//! Makes an automaton of patterns: each of its states is a set of patterns that have matched so far.

use super::expand::{Expansion, Item, Items};
use super::{Automaton, Branch, DEAD, Edge, NONE, State, index};
use crate::policy::pattern::{Affix, Shape};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::rc::Rc;

/// The most states of an automaton of few patterns.
const STATES: usize = 65_536;

/// The most states for each step of a pattern, where there are many: literals alone take one each.
const STATES_A_STEP: usize = 2;

/// The most patterns that all of its states together hold: what bounds time and memory while it is made.
const WORK: usize = 8 << 20;

/// The most sets of them that some segment may fit.
const SETS: usize = 1_024;

/// The patterns are such that their automaton would be too large: many of them have placeholders in different places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct TooLarge;

impl Automaton {
    /// Makes one of `shapes`; a pattern's number is its place among them.
    ///
    /// # Errors
    /// [`TooLarge`]: patterns of which each is looked at by itself take less.
    pub(in crate::policy) fn new(shapes: &[Shape]) -> Result<Self, TooLarge> {
        let steps = shapes.iter().map(|shape| shape.steps.len() + 1).sum::<usize>();
        let mut building = Building::new(STATES.max(steps.saturating_mul(STATES_A_STEP)));
        let start = (0..).zip(shapes).map(|(pattern, _)| Item { pattern, steps: 0 }).collect();
        building.state_of(start)?;
        // States are numbered in the order in which they are found, and expanded in it.
        while let Some(items) = building.found.get(building.states.len()).cloned() {
            building.expand(&items, shapes)?;
        }
        Ok(building.finish())
    }
}

struct Building {
    numbers: HashMap<Rc<[Item]>, u32>,
    found: Vec<Rc<[Item]>>,
    most: usize,
    work: usize,
    states: Vec<State>,
    edges: Vec<Edge>,
    text: String,
    texts: HashMap<Box<str>, u32>,
    branches: Vec<Branch>,
    sets: Vec<Box<[u32]>>,
    set_numbers: HashMap<Box<[u32]>, u32>,
}

impl Building {
    /// With the dead state, and the empty set.
    fn new(most: usize) -> Self {
        let (nothing, empty): (Rc<[Item]>, Box<[u32]>) = ([].into(), Box::default());
        Self {
            numbers: HashMap::from([(nothing.clone(), DEAD)]),
            found: vec![nothing],
            most,
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

    fn expand(&mut self, items: &[Item], shapes: &[Shape]) -> Result<(), TooLarge> {
        let from = number(self.states.len())?;
        let mut next = Expansion::of(items, shapes)?;
        let accepts = self.set_of(std::mem::take(&mut next.accepts))?;
        let others = next.with(|_, _| false);
        if !others.is_empty() || !next.between.is_empty() {
            // What goes on with any segment does not go on with the empty one, unless that is a rest.
            next.literals.entry("").or_default();
        }
        let has_edges = !next.literals.is_empty();
        for (text, items) in std::mem::take(&mut next.literals) {
            let beside = if text.is_empty() { next.rest.clone() } else { next.with(|_, affix| affix.fits(text)) };
            let to = self.state_of(items.into_iter().chain(beside).collect())?;
            self.edge(from, text, to)?;
        }
        let other = self.state_of(others)?;
        let branch = if next.between.is_empty() { 0 } else { self.branch(&next)? };
        self.states.push(State { accepts, other, branch, has_edges });
        Ok(())
    }

    /// The number of the state of these items.
    fn state_of(&mut self, mut items: Items) -> Result<u32, TooLarge> {
        items.sort_unstable();
        items.dedup();
        self.work = self.work.saturating_add(items.len()).saturating_add(1);
        if let Some(number) = self.numbers.get(&*items) {
            return Ok(*number);
        }
        if self.found.len() >= self.most || self.work > WORK {
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
        let (number, patterns) = (number(self.sets.len())?, patterns.into_boxed_slice());
        self.sets.push(patterns.clone());
        self.set_numbers.insert(patterns, number);
        Ok(number)
    }

    fn edge(&mut self, from: u32, text: &str, to: u32) -> Result<(), TooLarge> {
        let at = match self.texts.get(text) {
            Some(at) => *at,
            None => {
                let at = number(self.text.len())?;
                self.text.push_str(text);
                self.texts.insert(text.into(), at);
                at
            }
        };
        self.edges.push(Edge { from, to, at, len: number(text.len())? });
        Ok(())
    }

    /// Tells segments apart by the affixes that they fit; gives the branch's number, plus one.
    fn branch(&mut self, next: &Expansion<'_>) -> Result<u32, TooLarge> {
        let affixes: Vec<&Affix> = next.between.iter().map(|(affix, _)| *affix).collect();
        let mut targets = Vec::new();
        for fits in meeting(&affixes)? {
            let items = next.with(|index, _| fits & (1 << index) != 0);
            targets.push((fits, self.state_of(items)?));
        }
        targets.sort_unstable();
        self.branches.push(Branch { affixes: affixes.into_iter().cloned().collect(), targets: targets.into() });
        number(self.branches.len())
    }

    fn finish(self) -> Automaton {
        let hasher = DefaultHashBuilder::default();
        let text: Box<str> = self.text.into();
        let hash = |edge: &Edge| {
            let segment = text.get(index(edge.at)..index(edge.at) + index(edge.len)).unwrap_or_default();
            hasher.hash_one((edge.from, segment))
        };
        let mut edges = HashTable::with_capacity(self.edges.len());
        for edge in self.edges {
            edges.insert_unique(hash(&edge), edge, hash);
        }
        Automaton {
            states: self.states.into(),
            edges,
            hasher: hasher.clone(),
            text: text.clone(),
            branches: self.branches.into(),
            sets: self.sets.into(),
        }
    }
}

/// Every set of affixes, not empty, of which any two may meet in one segment.
fn meeting(affixes: &[&Affix]) -> Result<Vec<u64>, TooLarge> {
    let mut sets: Vec<u64> = Vec::new();
    for (bit, affix) in affixes.iter().enumerate() {
        let friends = affixes.iter().enumerate().filter(|(_, other)| affix.may_meet(other)).fold(0_u64, |set, (bit, _)| set | 1 << bit);
        let with = sets.iter().filter(|set| **set & !friends == 0).map(|set| set | 1 << bit).collect::<Vec<_>>();
        sets.push(1 << bit);
        sets.extend(with);
        if sets.len() > SETS {
            return Err(TooLarge);
        }
    }
    Ok(sets)
}

fn number(number: usize) -> Result<u32, TooLarge> {
    u32::try_from(number).map_err(|_| TooLarge)
}
