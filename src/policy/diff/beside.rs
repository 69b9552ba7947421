//! What differs without letting anything pass or refusing it: told by name, and not part of the answer.

use super::SIDES;
use super::joint::{Force, Joint, Node, Stand};
use crate::policy::Tables;
use crate::policy::rule::{Effect, Rule};
use std::collections::BTreeSet;

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// What.
    pub what: String,
    /// The place of the side that alone has it; `None`: both have some, and they differ.
    pub only_in: Option<usize>,
}

pub(super) fn beside(joint: &Joint<'_>, sides: [&Tables; 2]) -> Vec<Beside> {
    let mut all = Vec::new();
    let [[a, _], [b, _]] = &joint.force;
    if [a, b] == [&Force::Never; 2] {
        all.push(Beside { what: "both tables are in shadow: nothing of either is enforced".to_owned(), only_in: None });
    }
    for (side, is_in) in SIDES.map(|side| (side, move |node: &&Node<'_>| node.is_in(side))) {
        let lone = joint.nodes.iter().filter(|node| node.meaning.stand == Stand::Beside && node.is_lone()).filter(is_in);
        let names =
            lone.filter_map(|node| node.rules.get(side).copied().flatten()).map(|rule| Beside { what: named(rule), only_in: Some(side) });
        all.extend(names);
    }
    let [a, b] = &joint.issuers;
    if a.iter().zip(b).any(|(a, b)| a.is_some() && b.is_some() && a != b) {
        let what = "the issuers of tokens differ, so conditions on claims are not the same in both".to_owned();
        all.push(Beside { what, only_in: None });
    }
    all.extend(headers(sides));
    all
}

fn named(rule: &Rule) -> String {
    let id = &rule.facts.id;
    match (rule.effect, rule.is_shadow()) {
        (Effect::Audit, _) => format!("audit rule `{id}`"),
        (effect, true) => format!("{} `{id}` in shadow", effect.as_str()),
        (effect, false) => format!("{} `{id}` of a table in shadow", effect.as_str()),
    }
}

/// A header that rules mention may come once at most.
fn headers(sides: [&Tables; 2]) -> Vec<Beside> {
    let names = sides.map(|side| {
        let enforced = [Some(side.own()), side.boundary()].into_iter().flatten();
        enforced.flat_map(|table| &table.rules).flat_map(Rule::mentioned).map(|name| name.to_string()).collect::<BTreeSet<String>>()
    });
    let [a, b] = &names;
    let only = |own: &BTreeSet<String>, other: &BTreeSet<String>, side: usize| {
        let what = |name: &String| format!("a rule that mentions header `{name}`, which no request may repeat then,");
        own.difference(other).map(|name| Beside { what: what(name), only_in: Some(side) }).collect::<Vec<_>>()
    };
    [only(a, b, 0), only(b, a, 1)].concat()
}
