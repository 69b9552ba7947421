//! `source_ip` of a rule, and the sets that it may name.

use super::fields::{each, list};
use crate::document::Section;
use crate::policy::condition::{NetworkSet, Networks, SourceTest};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The named sets of networks.
#[derive(Debug, Default)]
pub(super) struct NetworkSets(HashMap<String, Arc<NetworkSet>>);

impl NetworkSets {
    /// Reads `[sets.cidrs]`.
    pub(super) fn read(sets: &Section<'_>) -> Self {
        let Some(section) = sets.section("cidrs") else { return Self::default() };
        let lists = section.named_lists().into_iter().map(|(name, members)| {
            if members.is_empty() {
                section.document().report(name.place, "is an empty set", "list at least one network, or remove the set");
            }
            let networks = members.into_iter().filter_map(|member| each(&section, member, network));
            (name.value, Arc::new(NetworkSet::new(networks.collect())))
        });
        Self(lists.collect())
    }

    fn known(&self) -> String {
        let mut names: Vec<String> = self.0.keys().map(|name| format!("@{name}")).collect();
        names.sort();
        if names.is_empty() { "define it in [sets.cidrs]".to_owned() } else { format!("known sets: {}", names.join(", ")) }
    }
}

/// Reads the condition; what is wrong is noted.
pub(super) fn read(when: &Section<'_>, sets: &NetworkSets) -> Option<SourceTest> {
    const INSTEAD: &str = "write source_ip = { in = [\"10.0.0.0/8\"] }, or in = [\"@name\"] for a set of [sets.cidrs]";
    let source = when.section("source_ip")?;
    if !source.has("in") {
        when.problem("source_ip", "says nothing", INSTEAD);
    }
    let (mut own, mut named): (Vec<IpNet>, Vec<Arc<NetworkSet>>) = (Vec::new(), Vec::new());
    for item in list(&source, "in", INSTEAD).into_iter().flatten() {
        match item.value.strip_prefix('@').map(|name| sets.0.get(name)) {
            None => own.extend(each(&source, item, network)),
            Some(Some(set)) => named.push(Arc::clone(set)),
            Some(None) => source.document().report(item.place, format!("`{}` is no set", item.value), sets.known()),
        }
    }
    source.close();
    Some(SourceTest::new(own.into_iter().collect::<Networks>(), named))
}

/// A network; one with bits beyond its prefix is a slip of the pen, in the address or in the length.
fn network(text: &str) -> Result<IpNet, (String, String)> {
    let wrong = || ("is no network".to_owned(), "write \"10.20.0.0/16\" or \"2600:1f18::/32\"".to_owned());
    let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
    // The library's own reader takes 010.0.0.0, which others read as octal.
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let Some(len) = len else {
        return Err(("has no prefix length".to_owned(), format!("write \"{}\" for one address", IpNet::from(address))));
    };
    let digits = len.bytes().all(|byte| byte.is_ascii_digit());
    let network = len.parse().ok().filter(|_| digits).and_then(|len| IpNet::new(address, len).ok()).ok_or_else(wrong)?;
    if network.trunc() != network {
        return Err(("has bits beyond its prefix".to_owned(), format!("write \"{}\", or a longer prefix", network.trunc())));
    }
    Ok(network)
}
