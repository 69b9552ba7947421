//! `from` and the sets that it may name.

use super::Context;
use super::fields::{each, list};
use super::source::NetworkSets;
use crate::document::{Item, Section};
use crate::identity::pattern::PrincipalPattern;
use crate::policy::rule::{From, PrincipalSet, Whom};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sets that a problem names.
const NAMED: usize = 10;

/// The named sets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    principals: BTreeMap<String, Arc<PrincipalSet>>,
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
            let set = PrincipalSet::new(&name.value, members.collect());
            (name.value, Arc::new(set))
        });
        Self { principals: lists.collect(), networks }
    }

    /// All of them, in the order of their names.
    pub(super) fn principals(&self) -> impl Iterator<Item = &PrincipalSet> {
        self.principals.values().map(|set| &**set)
    }

    fn known(&self) -> String {
        let names: Vec<String> = self.principals.keys().take(NAMED).map(|name| format!("@{name}")).collect();
        match self.principals.len().saturating_sub(NAMED) {
            0 if names.is_empty() => "define it in [sets.principals]".to_owned(),
            0 => format!("known sets: {}", names.join(", ")),
            more => format!("known sets: {} and {more} more", names.join(", ")),
        }
    }
}

/// Reads a rule's `from`.
pub(super) fn read(rule: &Section<'_>, context: &Context<'_>) -> Option<Arc<From>> {
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
    let names = names.into_iter().flatten().filter_map(|item| whom(&section, item, &context.sets));
    let dns = dns.into_iter().flatten().filter_map(|item| each(&section, item, dns_name)).map(Whom::Pattern);
    let whom = names.chain(dns).collect();
    section.close();
    Some(context.shared.from(From { any_authenticated: any.is_some_and(|any| any.value), whom }))
}

/// An identity, or a set.
fn whom(section: &Section<'_>, item: Item<String>, sets: &Sets) -> Option<Whom> {
    let Some(name) = item.value.strip_prefix('@') else { return each(section, item, spiffe).map(Whom::Pattern) };
    let set = sets.principals.get(name);
    if set.is_none() {
        section.document().report(item.place, format!("`@{name}` is no set"), sets.known());
    }
    set.cloned().map(Whom::Set)
}

fn spiffe(text: &str) -> Result<PrincipalPattern, (String, String)> {
    PrincipalPattern::spiffe(text)
        .map_err(|what| (what, "write \"spiffe://trust.domain/path\"; * is one segment, a last ** the rest".into()))
}

fn dns_name(text: &str) -> Result<PrincipalPattern, (String, String)> {
    PrincipalPattern::dns(text).map_err(|what| (what, "write \"billing.corp.example\"".into()))
}
