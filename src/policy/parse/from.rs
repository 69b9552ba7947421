//! `from` and the sets that it may name.

use super::Context;
use super::fields::{each, list};
use super::source::NetworkSets;
use crate::document::{Item, Section};
use crate::identity::pattern::PrincipalPattern;
use crate::policy::rule::From;
use std::collections::HashMap;

/// The named sets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    principals: HashMap<String, Vec<PrincipalPattern>>,
    pub(super) networks: NetworkSets,
}

impl Sets {
    /// Reads `[sets]`.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let Some(section) = root.section("sets") else { return Self::default() };
        let networks = NetworkSets::read(&section);
        let principals = section.section("principals");
        section.close();
        let Some(principals) = principals else { return Self { networks, ..Self::default() } };
        let lists = principals.named_lists().into_iter().map(|(name, members)| {
            if members.is_empty() {
                principals.document().report(name.place, "is an empty set", "list at least one identity, or remove the set");
            }
            let members = members.into_iter().filter_map(|member| each(&principals, member, spiffe));
            (name.value, members.collect())
        });
        Self { principals: lists.collect(), networks }
    }

    fn known(&self) -> String {
        let mut names: Vec<String> = self.principals.keys().map(|name| format!("@{name}")).collect();
        names.sort();
        if names.is_empty() { "define it in [sets.principals]".to_owned() } else { format!("known sets: {}", names.join(", ")) }
    }
}

/// Reads a rule's `from`.
pub(super) fn read(rule: &Section<'_>, context: &Context<'_>) -> Option<From> {
    const INSTEAD: &str = "write from = { spiffe = [\"spiffe://…\"] }, { dns_san = [\"…\"] } or { any_authenticated = true }";
    if !rule.has("from") {
        rule.problem("from", "is missing", INSTEAD);
    }
    let section = rule.section("from")?;
    let any = section.bool("any_authenticated");
    if any.as_ref().is_some_and(|any| !any.value) {
        section.problem("any_authenticated", "is false, which says nothing", "remove it, or write true");
    }
    let names = list(&section, "spiffe", "list at least one identity");
    let dns = list(&section, "dns_san", "list at least one name");
    if !["any_authenticated", "spiffe", "dns_san"].iter().any(|kind| section.has(kind)) {
        rule.problem("from", "is about nobody", INSTEAD);
    }
    let mut patterns = Vec::new();
    for item in names.into_iter().flatten() {
        patterns.extend(members(&section, item, &context.sets));
    }
    patterns.extend(dns.into_iter().flatten().filter_map(|item| each(&section, item, dns_name)));
    section.close();
    Some(From { any_authenticated: any.is_some_and(|any| any.value), patterns: patterns.into() })
}

/// An identity, or the members of a set.
fn members(section: &Section<'_>, item: Item<String>, sets: &Sets) -> Vec<PrincipalPattern> {
    let Some(name) = item.value.strip_prefix('@') else { return each(section, item, spiffe).into_iter().collect() };
    match sets.principals.get(name) {
        Some(members) => members.clone(),
        None => {
            section.document().report(item.place, format!("`@{name}` is no set"), sets.known());
            Vec::new()
        }
    }
}

fn spiffe(text: &str) -> Result<PrincipalPattern, (String, String)> {
    PrincipalPattern::spiffe(text)
        .map_err(|what| (what, "write \"spiffe://trust.domain/path\"; * is one segment, a last ** the rest".into()))
}

fn dns_name(text: &str) -> Result<PrincipalPattern, (String, String)> {
    PrincipalPattern::dns(text).map_err(|what| (what, "write \"billing.corp.example\"".into()))
}
