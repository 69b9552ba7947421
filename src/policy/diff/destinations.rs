//! Where the service itself may connect to, under each side: every host, port and kind of connection that the lists tell apart.

use super::{ALLOWED, DENIED, Limit};
use crate::policy::egress::Egress;
use crate::policy::space::{Alphabet, Budget, Exhausted, host, ways};
use crate::policy::{Destination, Outgoing, Part, Tables, decide_destination};
use std::collections::{BTreeMap, BTreeSet};

/// A destination that one side lets the service connect to and the other one does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The shortest.
    pub to: Destination,
    /// The entry of each side that lets it; `None`: none does, or there are no lists.
    pub by: [Option<String>; 2],
}

/// Compares the lists, by direction.
pub(super) fn compare(a: &Tables, b: &Tables, budget: &mut Budget) -> ([Option<Leaving>; 2], Option<Limit>) {
    let mut leaving = [None, None];
    let cut = look([a, b], &mut leaving, budget).err();
    (leaving, cut.map(|Exhausted| Limit::Work))
}

fn look(sides: [&Tables; 2], leaving: &mut [Option<Leaving>; 2], budget: &mut Budget) -> Result<(), Exhausted> {
    let entries: Vec<&Egress> = sides.into_iter().flat_map(entries).collect();
    let meanings = sides.map(|side| entries_by_part(side).map(|part| part.map(meaning).collect::<BTreeSet<_>>()));
    if meanings[0] == meanings[1] {
        return Ok(());
    }
    let ports: BTreeSet<u16> = entries.iter().flat_map(|entry| entry.ports.iter().copied()).collect();
    // And one that no entry names.
    let other = (1..=u16::MAX).find(|port| !ports.contains(port));
    let ports: Vec<u16> = ports.into_iter().chain(other).collect();
    let patterns: BTreeMap<_, _> = entries.iter().flat_map(|entry| &entry.hosts).map(|host| (host.as_str(), host::shape(host))).collect();
    let mut hosts = ways(&host::every(), &patterns.values().collect::<Vec<_>>(), Alphabet::Host, budget)?;
    hosts.sort_by_key(|way| (way.example.len(), way.example.iter().map(String::len).sum::<usize>()));
    for host in hosts {
        for port in &ports {
            for tls in [true, false] {
                budget.spend(entries.len())?;
                note(sides, Destination { host: host.example.join("."), port: *port, tls }, leaving);
            }
        }
        if leaving.iter().all(Option::is_some) {
            return Ok(());
        }
    }
    Ok(())
}

fn note(sides: [&Tables; 2], to: Destination, leaving: &mut [Option<Leaving>; 2]) {
    let said = sides.map(|side| decide_destination(side, &to));
    let direction = match said.each_ref().map(|said| matches!(said, Outgoing::Denied(_))) {
        [true, false] => ALLOWED,
        [false, true] => DENIED,
        _ => return,
    };
    let by = said.map(|said| if let Outgoing::Allowed(entry) = said { Some(entry.id.clone()) } else { None });
    leaving[direction].get_or_insert(Leaving { to, by });
}

fn entries(side: &Tables) -> impl Iterator<Item = &Egress> {
    entries_by_part(side).into_iter().flatten()
}

/// Of the own table, and of the one that caps it.
fn entries_by_part(side: &Tables) -> [impl Iterator<Item = &Egress>; 2] {
    [Part::Own, Part::Boundary].map(|part| side.all().filter(move |(own, _)| *own == part).flat_map(|(_, table)| &table.egress))
}

/// All of an entry but its id.
fn meaning(entry: &Egress) -> (BTreeSet<&str>, BTreeSet<u16>, bool) {
    (entry.hosts.iter().map(|host| host.as_str()).collect(), entry.ports.iter().copied().collect(), entry.tls)
}
