//! Where the service may connect to, and what nothing carries yet.

use super::{Findings, Lint, Severity};
use crate::policy::Table;
use crate::policy::egress::Egress;

pub(super) fn look(table: &Table, findings: &mut Findings<'_>) {
    for (at, entry) in table.egress.iter().enumerate() {
        let place = findings.outline.egress.get(at).cloned().unwrap_or_default();
        for (what, instead) in wide(entry) {
            let what = format!("egress `{}` {what}", entry.facts.id);
            findings.table(place.clone(), Lint::WideEgress, Severity::Warning, what, instead);
        }
    }
    if !table.egress.is_empty() {
        let place = findings.outline.egress.first().cloned().unwrap_or_default();
        let what = "a running sidecar refuses this table: no connection of the service goes this way yet".to_owned();
        findings.table(place, Lint::NotCarried, Severity::Warning, what, "keep [[egress]] in another table until then");
    }
    if let Some((index, rule)) = table.rules.iter().enumerate().find(|(_, rule)| rule.tcp) {
        let what =
            format!("a running sidecar refuses this table: rule `{}` is about TCP connections, and none is carried yet", rule.facts.id);
        let said = (what, "keep such rules in another table until then");
        findings.rule(index, rule, |places| places.at.clone(), Lint::NotCarried, Severity::Warning, said);
    }
}

/// What it lets go that few mean.
fn wide(entry: &Egress) -> Vec<(String, &'static str)> {
    // A * and one label: everybody can have a name under a top-level domain.
    let anybody = |host: &str| host.split('.').filter(|label| *label != "*").count() < 2;
    let hosts = entry.hosts.iter().filter(|host| host.is_wild() && anybody(host.as_str()));
    let mut found: Vec<_> =
        hosts.map(|host| (format!("has {}, under which anybody can have a name", host.as_str()), "name the hosts")).collect();
    if entry.ports.is_empty() {
        found.push(("is about every port".to_owned(), "name the ports, as in ports = [443]"));
    }
    if !entry.tls {
        found.push((
            "may go without TLS, so that whoever is on the way can be the host".to_owned(),
            "write tls = \"required\" where the host has it",
        ));
    }
    found
}
