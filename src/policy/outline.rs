//! Where the parts of a table stand in its text. Only the tools ask: a running table has no room for it.

use crate::document::{Document, Position, Section};
use std::collections::BTreeSet;

/// The places of a table that was read from this text.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    pub(super) file: String,
    /// In file order, as the rules of the table.
    pub(super) rules: Vec<RuleOutline>,
    /// Named sets, of principals and of addresses.
    pub(super) sets: Vec<SetOutline>,
    pub(super) mode: Position,
    /// Of each `[[egress]]`.
    pub(super) egress: Vec<Position>,
    ports: Vec<u16>,
}

/// The places of one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleOutline {
    pub(super) id: String,
    pub(super) at: Position,
    pub(super) from: Position,
    pub(super) methods: Position,
    /// Of each path pattern, in order; of each `grpc` method where there are such.
    pub(super) paths: Vec<Position>,
    pub(super) expires: Position,
    pub(super) mode: Position,
}

/// A named set.
#[derive(Debug, Clone)]
pub(super) struct SetOutline {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) is_used: bool,
}

impl Outline {
    /// Reads the places of a text; of one that is no TOML there are none.
    pub fn read(file: &str, text: &str) -> Self {
        let Ok(document) = Document::parse(file, text) else { return Self { file: file.to_owned(), ..Self::default() } };
        let root = document.root();
        let (rules, cases) = (root.sections("rule"), root.sections("case"));
        let in_rules = rules.iter().filter(|rule| rule.has("ports")).flat_map(|rule| rule.integers("ports").unwrap_or_default());
        let ports = in_rules.chain(cases.iter().filter_map(|case| case.integer("port")));
        let ports = ports.filter_map(|port| u16::try_from(port.value).ok()).collect();
        let used: BTreeSet<String> = rules.iter().flat_map(used_sets).collect();
        Self {
            file: file.to_owned(),
            rules: rules.iter().map(|rule| RuleOutline::read(rule, &document)).collect(),
            sets: sets(&root, &used, &document),
            mode: document.position(&root.place_of("mode")),
            egress: root.sections("egress").iter().map(|entry| document.position(&entry.place())).collect(),
            ports,
        }
    }

    /// The file and the line of a rule, as a compiler would write it.
    pub fn rule(&self, index: usize) -> String {
        match self.line(index) {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }

    /// The id of a rule.
    pub fn id(&self, index: usize) -> &str {
        self.rules.get(index).map_or("", |rule| &rule.id)
    }

    /// The line on which a rule begins, from 1.
    pub fn line(&self, index: usize) -> Option<usize> {
        self.rules.get(index).map(|rule| rule.at.line)
    }

    /// What problems call the text.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The ports that rules and cases name: those of the listeners, where nobody knows these.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }
}

impl RuleOutline {
    fn read(section: &Section<'_>, document: &Document<'_>) -> Self {
        let of = |key: &str| document.position(&section.place_of(key));
        let list = if section.has("grpc") { "grpc" } else { "paths" };
        Self {
            id: section.str("id").map(|id| id.value).unwrap_or_default(),
            at: document.position(&section.place()),
            from: of("from"),
            methods: of("methods"),
            paths: section
                .has(list)
                .then(|| section.strings(list))
                .flatten()
                .into_iter()
                .flatten()
                .map(|item| document.position(&item.place))
                .collect(),
            expires: of("expires"),
            mode: of("mode"),
        }
    }
}

fn sets(root: &Section<'_>, used: &BTreeSet<String>, document: &Document<'_>) -> Vec<SetOutline> {
    let Some(sets) = root.section("sets") else { return Vec::new() };
    let kinds = ["principals", "cidrs"].into_iter().filter_map(|kind| Some((kind, sets.section(kind)?)));
    let named = kinds.flat_map(|(kind, section)| section.named_lists().into_iter().map(move |(name, _)| (kind, name)));
    named
        .map(|(kind, name)| SetOutline {
            is_used: used.contains(&use_of(kind, &name.value)),
            name: name.value,
            at: document.position(&name.place),
        })
        .collect()
}

/// The sets that a rule names, each with its kind.
fn used_sets(rule: &Section<'_>) -> Vec<String> {
    let inside = |table: &str, section: Option<Section<'_>>, list: &'static str| {
        let items = section.filter(|section| section.kind(list) == Some("array")).and_then(|section| section.strings(list));
        let names = items.into_iter().flatten().filter_map(|item| item.value.strip_prefix('@').map(|name| use_of(table, name)));
        names.collect::<Vec<_>>()
    };
    let mut used = inside("principals", rule.section("from"), "spiffe");
    let when = rule.has("when").then(|| rule.section("when")).flatten();
    if let Some(when) = when.filter(|when| when.has("source_ip")) {
        used.extend(inside("cidrs", when.section("source_ip"), "in"));
    }
    used
}

fn use_of(kind: &str, name: &str) -> String {
    format!("{kind}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_sets_are_found_where_they_stand() {
        let text = "schema = 1\nname = 't'\n[sets.principals]\nweb = ['spiffe://d/a']\nold = ['spiffe://d/b']\n\n\
                    [[rule]]\nid = 'r'\nfrom = { spiffe = ['@web'] }\npaths = [\n  '/a',\n  '/b',\n]\n";
        let outline = Outline::read("p.toml", text);
        assert_eq!(outline.rule(0), "p.toml:7");
        let lines: Vec<usize> = outline.rules[0].paths.iter().map(|place| place.line).collect();
        assert_eq!(lines, [11, 12]);
        let sets: Vec<(&str, bool)> = outline.sets.iter().map(|set| (set.name.as_str(), set.is_used)).collect();
        assert_eq!(sets, [("old", false), ("web", true)]);
        assert_eq!(Outline::read("p.toml", "= =").rule(0), "p.toml");
    }
}
