//! `[[egress]]`.

use super::fields::{self, each, list_of};
use crate::document::{Item, Section};
use crate::policy::RuleFacts;
use crate::policy::egress::Egress;
use crate::policy::pattern::HostPattern;
use std::collections::HashSet;
use std::sync::Arc;

/// Reads all entries; what is wrong is noted.
pub(super) fn read(root: &Section<'_>) -> Vec<Egress> {
    let mut seen = HashSet::new();
    let entries = root.sections("egress").into_iter().filter_map(|section| {
        let id = super::rule::id(&section);
        if let Some(id) = id.as_ref().filter(|id| !seen.insert(id.value.clone())) {
            section.document().report(
                id.place.clone(),
                format!("`{}` is the id of an earlier entry", id.value),
                "give each entry an id of its own",
            );
        }
        entry(section, id)
    });
    entries.collect()
}

fn entry(section: Section<'_>, id: Option<Item<String>>) -> Option<Egress> {
    if !section.has("hosts") {
        section.problem("hosts", "is missing", "write hosts = [\"api.example.com\"]");
    }
    let hosts = list_of(&section, "hosts", "list at least one host", HostPattern::parse);
    let ports = ports(&section);
    if !section.has("tls") {
        section.problem("tls", "is missing", "write tls = \"required\", or \"optional\" where it cannot be");
    }
    let tls = section.str("tls").and_then(|item| {
        each(&section, item, |text| match text {
            "required" => Ok(true),
            "optional" => Ok(false),
            _ => Err(("is neither".to_owned(), "write \"required\" or \"optional\"".to_owned())),
        })
    });
    section.close();
    let facts = Arc::new(RuleFacts::new(&id?.value, []));
    Some(Egress { facts, hosts: hosts?.into(), ports: ports.into(), tls: tls? })
}

/// Ports elsewhere: those of our own listeners have nothing to do with them.
fn ports(section: &Section<'_>) -> Vec<u16> {
    let Some(numbers) = section.integers("ports") else { return Vec::new() };
    if numbers.is_empty() {
        section.problem("ports", "is an empty list", "list at least one port, or remove it");
    }
    numbers.into_iter().filter_map(|number| fields::any_port(section, &number.place, number.value)).collect()
}
