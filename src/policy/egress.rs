//! `[[egress]]`: where the service itself may connect to.

use super::pattern::HostPattern;
use super::{Part, RuleFacts, Tables};
use std::sync::Arc;

/// Destinations that a table lists.
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) facts: Arc<RuleFacts>,
    pub(super) hosts: Box<[HostPattern]>,
    /// Empty: any.
    pub(super) ports: Box<[u16]>,
    /// Whether the connection must be TLS.
    pub(super) tls: bool,
}

/// Where a connection would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The canonical host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it would be TLS.
    pub tls: bool,
}

/// What the tables say to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// No table lists any.
    Unlisted,
    /// Every table that lists any has it; the entry is that of the first of them.
    Allowed(Arc<RuleFacts>),
    /// This table lists others and not this one.
    Denied(Part),
}

impl Egress {
    fn matches(&self, to: &Destination) -> bool {
        let port = self.ports.is_empty() || self.ports.contains(&to.port);
        port && (to.tls || !self.tls) && self.hosts.iter().any(|host| host.matches(&to.host))
    }
}

/// Decides a connection of the service to somewhere: a table that lists destinations allows no others.
pub fn decide_destination(tables: &Tables, to: &Destination) -> Outgoing {
    let mut allowed = Outgoing::Unlisted;
    for (part, table) in tables.all().filter(|(part, table)| *part != Part::Candidate && !table.egress.is_empty()) {
        let Some(entry) = table.egress.iter().find(|entry| entry.matches(to)) else { return Outgoing::Denied(part) };
        if allowed == Outgoing::Unlisted {
            allowed = Outgoing::Allowed(Arc::clone(&entry.facts));
        }
    }
    allowed
}
