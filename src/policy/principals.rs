//! Which rules an identity can meet, whatever it asks for.

use super::automaton::{self, Automaton, TooLarge};
use super::lists::{Lists, index};
use super::pattern::{Shape, Step};
use super::rule::{From, PrincipalSet, Rule, Whom};
use crate::identity::Principal;
use crate::identity::pattern::{Part, PrincipalPattern};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The rules of a table by whom they are about: from patterns to the groups that they are in, to the `from`s that list these, to the rules that have one of
/// those. A set of a hundred thousand that ten thousand rules name takes their sum, and not their product.
#[derive(Debug, Default)]
pub(super) struct Principals {
    /// The rules about everybody.
    everybody: Box<[u32]>,
    patterns: Patterns,
    /// By pattern: named sets, and what `from`s list beside them.
    groups: Lists,
    /// By group.
    froms: Lists,
    /// By `from`.
    rules: Lists,
}

/// All patterns, each once.
#[derive(Debug)]
enum Patterns {
    /// And what matches what.
    Automaton(Automaton, Lists),
    /// They are such that each is better looked at by itself.
    OneByOne(Box<[PrincipalPattern]>),
}

impl Default for Patterns {
    fn default() -> Self {
        Self::OneByOne(Box::default())
    }
}

impl Principals {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Index::default();
        let mut everybody = Vec::new();
        for (number, rule) in (0..).zip(rules) {
            if rule.from.any_authenticated {
                everybody.push(number);
            } else {
                index.add(number, &rule.from);
            }
        }
        let shapes: Vec<Shape<'_>> = index.patterns.iter().map(|pattern| shape(pattern)).collect();
        let patterns = match Automaton::new(&shapes, automaton::WORK) {
            Ok((automaton, sets)) => Patterns::Automaton(automaton, sets),
            Err(TooLarge) => Patterns::OneByOne(index.patterns.iter().map(|pattern| (*pattern).clone()).collect()),
        };
        Self {
            everybody: everybody.into(),
            patterns,
            groups: index.groups.into_iter().collect(),
            froms: index.froms.into_iter().collect(),
            rules: index.rules.into_iter().collect(),
        }
    }

    /// The rules that `principal` can meet on a local port, by index, in file order. Of `all`, which these were made of.
    pub(super) fn rules(&self, all: &[Rule], principal: &Principal, port: u16) -> Arc<[u32]> {
        let patterns: Cow<'_, [u32]> = match &self.patterns {
            Patterns::Automaton(automaton, sets) => sets.members(automaton.find(principal.parts())).into(),
            Patterns::OneByOne(all) => {
                (0..).zip(all).filter(|(_, pattern)| pattern.matches(principal)).map(|(number, _)| number).collect::<Vec<u32>>().into()
            }
        };
        let rules = through(&through(&through(&patterns, &self.groups), &self.froms), &self.rules);
        let mut rules: Vec<u32> = self.everybody.iter().copied().chain(rules).collect();
        rules.retain(|rule| all.get(index(*rule)).is_some_and(|rule| rule.is_on(port)));
        rules.sort_unstable();
        rules.into()
    }
}

/// The members of all these lists, each once.
fn through(numbers: &[u32], lists: &Lists) -> Vec<u32> {
    let mut members: Vec<u32> = numbers.iter().flat_map(|list| lists.members(*list)).copied().collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// [`Principals`] in the making: numbers are given as things are met.
#[derive(Debug, Default)]
struct Index<'r> {
    pattern_numbers: HashMap<&'r PrincipalPattern, u32>,
    patterns: Vec<&'r PrincipalPattern>,
    set_numbers: HashMap<&'r PrincipalSet, u32>,
    from_numbers: HashMap<*const From, u32>,
    groups: Vec<Vec<u32>>,
    froms: Vec<Vec<u32>>,
    rules: Vec<Vec<u32>>,
}

impl<'r> Index<'r> {
    /// Equal `from`s are one: the parser shares them.
    fn add(&mut self, rule: u32, from: &'r Arc<From>) {
        let new = number(self.rules.len());
        let known = *self.from_numbers.entry(Arc::as_ptr(from)).or_insert(new);
        if known != new {
            if let Some(rules) = self.rules.get_mut(index(known)) {
                rules.push(rule);
            }
            return;
        }
        self.rules.push(vec![rule]);
        let own = from.whom.iter().filter_map(|whom| if let Whom::Pattern(pattern) = whom { Some(pattern) } else { None });
        let own: Vec<&PrincipalPattern> = own.collect();
        if !own.is_empty() {
            let group = self.group(own);
            self.list(group, new);
        }
        for set in from.whom.iter().filter_map(|whom| if let Whom::Set(set) = whom { Some(&**set) } else { None }) {
            let group = match self.set_numbers.get(set) {
                Some(group) => *group,
                None => {
                    let group = self.group(&set.members);
                    self.set_numbers.insert(set, group);
                    group
                }
            };
            self.list(group, new);
        }
    }

    /// A new group with these members.
    fn group(&mut self, members: impl IntoIterator<Item = &'r PrincipalPattern>) -> u32 {
        let group = number(self.froms.len());
        self.froms.push(Vec::new());
        for pattern in members {
            let new = number(self.patterns.len());
            let known = *self.pattern_numbers.entry(pattern).or_insert(new);
            if known == new {
                self.patterns.push(pattern);
                self.groups.push(Vec::new());
            }
            if let Some(groups) = self.groups.get_mut(index(known)) {
                groups.push(group);
            }
        }
        group
    }

    fn list(&mut self, group: u32, from: u32) {
        if let Some(froms) = self.froms.get_mut(index(group)) {
            froms.push(from);
        }
    }
}

/// There are fewer of all these than bytes in a table's text, which has 64 MiB at most.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The parts of a pattern as the automaton reads them.
pub(super) fn shape(pattern: &PrincipalPattern) -> Shape<'_> {
    let mut rest = false;
    let steps = pattern.parts().filter_map(|part| match part {
        Part::Literal(text) => Some(Step::Literal(text)),
        Part::Any => Some(Step::Any),
        Part::Rest => {
            rest = true;
            None
        }
    });
    let steps = steps.collect();
    Shape { steps, rest }
}
