//! The local ports that rules tell apart.

use super::joint::Joint;
use crate::policy::space::{Budget, Exhausted};
use std::collections::{BTreeMap, BTreeSet};

/// Rules, by a local port that they are about.
type ByPort = Vec<(Option<u16>, Vec<u32>)>;

/// The rules that are about each local port, of ports with the same rules the first; without a port where none of the rules asks.
pub(super) fn by_port(joint: &Joint<'_>, nodes: &[u32], known: Option<&[u16]>, budget: &mut Budget) -> Result<ByPort, Exhausted> {
    let ports = |node: &u32| joint.node(*node).map_or(&[][..], |node| &node.meaning.ports);
    let named: BTreeSet<u16> = nodes.iter().flat_map(ports).copied().collect();
    if named.is_empty() {
        return Ok(vec![(None, nodes.to_vec())]);
    }
    let all: BTreeSet<u16> = match known {
        Some(known) if !known.is_empty() => known.iter().copied().collect(),
        // And one that no rule names.
        _ => named.iter().copied().chain((1..=u16::MAX).find(|port| !named.contains(port))).collect(),
    };
    let mut by_rules: BTreeMap<Vec<u32>, u16> = BTreeMap::new();
    for port in all {
        budget.spend(nodes.len())?;
        let is_on = |node: &u32| ports(node).is_empty() || ports(node).binary_search(&port).is_ok();
        by_rules.entry(nodes.iter().copied().filter(is_on).collect()).or_insert(port);
    }
    Ok(by_rules.into_iter().map(|(nodes, port)| (Some(port), nodes)).collect())
}
