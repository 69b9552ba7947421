//! The patterns of both sides, each once and by a number.

use super::Limit;
use crate::policy::pattern::Shape;
use crate::policy::principals;
use crate::policy::rule::{From, Rule};
use crate::policy::space::identity;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The most callers that the rules name together, those of sets counted wherever a list of callers names them.
const CALLERS: usize = 2_000_000;

/// Whom a rule is about that names nobody: every SPIFFE id and every DNS name.
pub(super) const EVERYBODY: [u32; 2] = [0, 1];

/// What stands for them.
pub(super) const ANYONE: &str = "any authenticated caller";

/// Patterns of callers, lists of them, and patterns of paths.
#[derive(Default)]
pub(super) struct Words<'t> {
    /// The first two are [`EVERYBODY`].
    pub(super) callers: Vec<(&'t str, Shape<'t>)>,
    /// By number: patterns of callers, in ascending order.
    pub(super) lists: Vec<Box<[u32]>>,
    pub(super) templates: Vec<&'t str>,
    caller_numbers: HashMap<&'t str, u32>,
    list_numbers: HashMap<Box<[u32]>, u32>,
    /// Of what was read already: rules share it.
    froms: HashMap<*const From, u32>,
    template_numbers: HashMap<Cow<'t, str>, u32>,
    listed: usize,
}

impl<'t> Words<'t> {
    pub(super) fn new() -> Self {
        let callers = identity::everybody().into_iter().map(|shape| (ANYONE, shape)).collect();
        Self { callers, ..Self::default() }
    }

    /// The number of a rule's list of callers, whatever their order and the names of its sets.
    pub(super) fn list(&mut self, from: &'t Arc<From>) -> Result<u32, Limit> {
        if let Some(known) = self.froms.get(&Arc::as_ptr(from)) {
            return Ok(*known);
        }
        let mut list: Vec<u32> = if from.any_authenticated {
            EVERYBODY.to_vec()
        } else {
            self.listed += from.count();
            if self.listed > CALLERS {
                return Err(Limit::Callers);
            }
            from.patterns()
                .map(|pattern| number(&mut self.caller_numbers, &mut self.callers, pattern.as_str(), || principals::shape(pattern)))
                .collect()
        };
        list.sort_unstable();
        list.dedup();
        let list: Box<[u32]> = list.into();
        let new = index(self.lists.len());
        let known = *self.list_numbers.entry(list.clone()).or_insert(new);
        if known == new {
            self.lists.push(list);
        }
        self.froms.insert(Arc::as_ptr(from), known);
        Ok(known)
    }

    /// The numbers of a rule's path patterns, in ascending order; what placeholders are called does not matter.
    pub(super) fn paths(&mut self, rule: &'t Rule) -> Box<[u32]> {
        let mut paths: Vec<u32> = rule.facts.templates().map(|text| self.template(text)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into()
    }

    /// The number of a path pattern.
    pub(super) fn template(&mut self, text: &'t str) -> u32 {
        let new = index(self.templates.len());
        let known = *self.template_numbers.entry(nameless(text)).or_insert(new);
        if known == new {
            self.templates.push(text);
        }
        known
    }
}

fn number<'t>(
    numbers: &mut HashMap<&'t str, u32>,
    all: &mut Vec<(&'t str, Shape<'t>)>,
    text: &'t str,
    shape: impl FnOnce() -> Shape<'t>,
) -> u32 {
    let new = index(all.len());
    let known = *numbers.entry(text).or_insert(new);
    if known == new {
        all.push((text, shape()));
    }
    known
}

/// A pattern with `{x}` for every placeholder.
fn nameless(text: &str) -> Cow<'_, str> {
    if !text.contains('{') {
        return Cow::Borrowed(text);
    }
    let mut nameless = String::with_capacity(text.len());
    for (at, part) in text.split('{').enumerate() {
        match part.split_once('}') {
            // Without a name it is what ends a literal `**`.
            Some((name, after)) if at > 0 => nameless.extend([if name.is_empty() { "{" } else { "{x" }, "}", after]),
            _ => nameless.push_str(part),
        }
    }
    nameless.into()
}

/// There are fewer of all these than bytes in the texts of four tables, which have 64 MiB each at most.
pub(super) fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::nameless;

    #[test]
    fn names_of_placeholders_are_forgotten_and_nothing_else() {
        let table = [("/a", "/a"), ("/a/{id}", "/a/{x}"), ("/{a}/v{b}.png/**", "/{x}/v{x}.png/**"), ("/a/**{}", "/a/**{}")];
        for (text, expected) in table {
            assert_eq!(nameless(text), expected);
        }
    }
}
