//! Which rules a path can meet at all, found by how their patterns begin: a table of many rules costs about as much as one of a few.

use super::rule::{Effect, Rule};
use std::collections::BTreeMap;

/// Segments of a beginning that tell rules apart; those that begin alike for longer stay together.
const DEPTH: usize = 8;
/// The most groups that one path is under: each ends one segment later than the one above it, and one has no beginning at all.
const CHAIN: usize = DEPTH + 2;

/// Rules grouped by the literal beginning of their path patterns.
#[derive(Debug)]
pub(super) struct Index {
    /// Sorted by `head`; the first has the empty one.
    groups: Box<[Group]>,
}

/// Rules of which a pattern begins with `head`.
#[derive(Debug)]
struct Group {
    /// Empty, or up to and with a slash, or a whole path.
    head: Box<str>,
    /// The group with the longest head that this one's begins with.
    above: Option<usize>,
    rules: Rules,
}

/// Rules by effect, by index, in file order.
#[derive(Debug, Default)]
struct Rules {
    denies: Vec<u32>,
    allows: Vec<u32>,
    audits: Vec<u32>,
}

/// The rules that one path can meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidates<'i> {
    chain: [Option<&'i Rules>; CHAIN],
}

impl Index {
    /// Groups these rules, given in file order.
    pub(super) fn new(rules: &[(u32, &Rule)]) -> Self {
        let mut by_head = BTreeMap::from([("", Rules::default())]);
        for (index, rule) in rules {
            for pattern in &rule.paths {
                let list = by_head.entry(shortened(pattern.head())).or_default().of_mut(rule.effect);
                if list.last() != Some(index) {
                    list.push(*index);
                }
            }
        }
        let mut groups: Vec<Group> = Vec::with_capacity(by_head.len());
        for (head, rules) in by_head {
            // What begins like this one directly precedes it, or is above what does.
            let mut above = groups.len().checked_sub(1);
            while let Some(group) = above.and_then(|at| groups.get(at)).filter(|group| !covers(&group.head, head)) {
                above = group.above;
            }
            groups.push(Group { head: head.into(), above, rules });
        }
        Self { groups: groups.into() }
    }

    /// The rules of which a pattern begins as `path` does, and none that matters is missing.
    pub(super) fn candidates(&self, path: &str) -> Candidates<'_> {
        let mut chain = [None; CHAIN];
        let mut free = chain.iter_mut();
        let mut at = self.groups.partition_point(|group| *group.head <= *path).checked_sub(1);
        while let Some(group) = at.and_then(|at| self.groups.get(at)) {
            if covers(&group.head, path)
                && let Some(slot) = free.next()
            {
                *slot = Some(&group.rules);
            }
            at = group.above;
        }
        Candidates { chain }
    }
}

/// Whether what begins with `path` belongs under `head`: by whole segments, or because they are the same.
fn covers(head: &str, path: &str) -> bool {
    path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || head.is_empty() || head.ends_with('/'))
}

/// At most [`DEPTH`] segments of a head, with the slash after them.
fn shortened(head: &str) -> &str {
    head.match_indices('/').nth(DEPTH).and_then(|(slash, _)| head.get(..=slash)).unwrap_or(head)
}

impl Rules {
    fn of(&self, effect: Effect) -> &[u32] {
        match effect {
            Effect::Deny => &self.denies,
            Effect::Allow => &self.allows,
            Effect::Audit => &self.audits,
        }
    }

    fn of_mut(&mut self, effect: Effect) -> &mut Vec<u32> {
        match effect {
            Effect::Deny => &mut self.denies,
            Effect::Allow => &mut self.allows,
            Effect::Audit => &mut self.audits,
        }
    }
}

impl<'i> Candidates<'i> {
    /// Those with this effect, each once and in file order.
    pub(super) fn of(&self, effect: Effect) -> impl Iterator<Item = u32> + use<'i> {
        let mut lists: [&[u32]; CHAIN] = [&[]; CHAIN];
        let found = self.chain.iter().flatten().map(|rules| rules.of(effect)).filter(|list| !list.is_empty());
        let open = lists.iter_mut().zip(found).map(|(slot, list)| *slot = list).count();
        std::iter::from_fn(move || {
            let lists = lists.get_mut(..open)?;
            let next = lists.iter().filter_map(|list| list.first()).min().copied()?;
            for list in lists {
                *list = list.strip_prefix(&[next]).unwrap_or(list);
            }
            Some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Listeners;
    use super::super::parse::parse_at;
    use super::*;
    use proptest::prelude::*;

    /// Paths and patterns over few names, so that they meet often, and deeper than the index looks.
    fn path() -> impl Strategy<Value = String> {
        "(/(a|b|ab)){1,12}/?"
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn no_rule_that_matches_is_missing(patterns in prop::collection::vec(("(/(a|b|ab)){0,12}", "(|/|/\\*\\*|/\\{x\\}|/a\\{x\\})"), 1..12), paths in prop::collection::vec(path(), 1..12)) {
            let rule = |(index, (head, tail)): (usize, &(String, String))| {
                let effect = ["allow", "deny", "audit"][index % 3];
                format!("[[rule]]\nid = 'r{index}'\neffect = '{effect}'\nwhy = 'w'\nfrom = {{ any_authenticated = true }}\npaths = ['{head}{tail}', '/z/{{x}}']\n")
            };
            let patterns: Vec<_> = patterns.into_iter().filter(|(head, tail)| !head.is_empty() || !tail.is_empty()).collect();
            let text: String = patterns.iter().enumerate().map(rule).collect();
            let table = parse_at("t", &format!("schema = 1\nname = 't'\n{text}"), &Listeners::default(), std::time::SystemTime::now()).unwrap();
            let rules: Vec<_> = (0..).zip(&table.rules).collect();
            let index = Index::new(&rules);
            for path in &paths {
                let candidates = index.candidates(path);
                for effect in [Effect::Allow, Effect::Deny, Effect::Audit] {
                    let found: Vec<u32> = candidates.of(effect).collect();
                    prop_assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
                    let matching = rules.iter().filter(|(_, rule)| rule.effect == effect && rule.paths.iter().any(|pattern| pattern.matches(path)));
                    for (at, _) in matching {
                        prop_assert!(found.contains(at), "{path}: {at} is not in {found:?}");
                    }
                }
            }
        }
    }
}
