//! Which rules an identity can meet, whatever it asks for.

use super::automaton::Automaton;
use super::pattern::{Shape, Step};
use super::rule::Rule;
use crate::identity::Principal;
use crate::identity::pattern::{Part, PrincipalPattern};
use std::collections::HashMap;
use std::sync::Arc;

/// The rules of a table by whom they are about.
#[derive(Debug, Default)]
pub(super) struct Principals {
    /// Those about everybody.
    everybody: Box<[u32]>,
    /// Over all patterns of all rules; `None`: they are such that each is better looked at by itself.
    automaton: Option<Automaton>,
    /// The rules that have a pattern, by its number.
    rules: Box<[Box<[u32]>]>,
}

impl Principals {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let (mut everybody, mut by_pattern) = (Vec::new(), HashMap::<&PrincipalPattern, Vec<u32>>::new());
        for (index, rule) in (0..).zip(rules) {
            if rule.from.any_authenticated {
                everybody.push(index);
            } else {
                rule.from.patterns.iter().for_each(|pattern| by_pattern.entry(pattern).or_default().push(index));
            }
        }
        let (patterns, rules): (Vec<_>, Vec<_>) = by_pattern.into_iter().unzip();
        let shapes: Vec<Shape> = patterns.into_iter().map(shape).collect();
        Self { everybody: everybody.into(), automaton: Automaton::new(&shapes).ok(), rules: rules.into_iter().map(Into::into).collect() }
    }

    /// The rules that `principal` can meet on a local port, by index, in file order. Of `all`, which these were made of.
    pub(super) fn rules(&self, all: &[Rule], principal: &Principal, port: u16) -> Arc<[u32]> {
        let here = |index: &u32| usize::try_from(*index).ok().and_then(|index| all.get(index)).is_some_and(|rule| rule.is_on(port));
        let Some(automaton) = &self.automaton else {
            return (0..).zip(all).filter(|(_, rule)| rule.concerns(principal, port)).map(|(index, _)| index).collect();
        };
        let matching = automaton.set(automaton.find(principal.parts())).iter();
        let theirs = matching.filter_map(|pattern| self.rules.get(usize::try_from(*pattern).ok()?)).flatten();
        let mut rules: Vec<u32> = self.everybody.iter().chain(theirs).copied().filter(here).collect();
        rules.sort_unstable();
        rules.dedup();
        rules.into()
    }
}

fn shape(pattern: &PrincipalPattern) -> Shape {
    let parts = pattern.parts();
    let step = |part: &Part<'_>| match part {
        Part::Literal(text) => Some(Step::Literal((*text).into())),
        Part::Any => Some(Step::Any),
        Part::Rest => None,
    };
    Shape { steps: parts.iter().filter_map(step).collect(), rest: parts.last() == Some(&Part::Rest) }
}
