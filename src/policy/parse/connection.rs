//! Cases about what is no HTTP request: a TCP connection to the service, and one of the service to somewhere.

use super::case::{principal, required, verdict};
use super::{Context, fields};
use crate::document::{Document, Place, Section};
use crate::identity::Principal;
use crate::policy::{Destination, Outgoing, Reason, Table, Tables, Verdict, decide_connection, decide_destination};
use crate::request::Authority;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

/// One connection and what the table must say to it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionCase {
    pub(crate) name: String,
    pub(crate) connection: Connection,
    pub(crate) expect: Verdict,
    pub(crate) rule: Option<String>,
    place: Place,
}

/// What kind of connection.
#[derive(Debug, Clone)]
pub(crate) enum Connection {
    /// Of this caller, to a local port.
    To(Principal, u16),
    /// Of the service.
    From(Destination),
}

impl ConnectionCase {
    /// Whether a `[[case]]` is one of these.
    pub(super) fn is(section: &Section<'_>) -> bool {
        section.has("tcp") || section.has("egress")
    }

    /// Reads one; what is wrong is noted.
    pub(super) fn read(section: Section<'_>, context: &Context<'_>) -> Option<Self> {
        let name = required(&section, "name", "what the case is about", |text| Ok(text.to_owned()));
        let connection = if section.has("egress") { from_here(&section) } else { to_here(&section, context) };
        let expect = required(&section, "expect", "\"allow\" or \"deny\"", verdict);
        let rule = section.str("rule").map(|rule| rule.value);
        let place = section.place_of("expect");
        section.close();
        Some(Self { name: name?, connection: connection?, expect: expect?, rule, place })
    }

    /// Decides it, and notes it when the table says something else.
    pub(super) fn check(&self, table: &Arc<Table>, now: SystemTime, document: &Document<'_>) {
        let (verdict, rule, reason) = self.decide(table, now);
        let right = verdict == self.expect && self.rule.as_ref().is_none_or(|wanted| rule.as_ref() == Some(wanted));
        if !right {
            let wanted = self.rule.as_ref().map_or_else(String::new, |rule| format!(" by `{rule}`"));
            let by = rule.map_or(reason, |rule| format!("`{rule}`"));
            let what = format!("case `{}` expects {}{wanted} and gets {} by {by}", self.name, self.expect.as_str(), verdict.as_str());
            document.report(self.place.clone(), what, "correct the rules or the case");
        }
    }

    /// The verdict, the rule that decides, and the reason where none does.
    pub(crate) fn decide(&self, table: &Arc<Table>, now: SystemTime) -> (Verdict, Option<String>, String) {
        let tables = Tables::from(Arc::clone(table));
        match &self.connection {
            Connection::From(to) => match decide_destination(&tables, to) {
                Outgoing::Allowed(entry) => (Verdict::Allow, Some(entry.id.clone()), String::new()),
                Outgoing::Unlisted => (Verdict::Allow, None, "the lack of any [[egress]]".into()),
                Outgoing::Denied(_) => (Verdict::Deny, None, Reason::ImplicitDeny.text().into_owned()),
            },
            Connection::To(from, port) => {
                let caller = super::case::caller(from.clone(), None, Ipv4Addr::LOCALHOST.into(), *port, now);
                let (verdict, facts) = match decide_connection(&Some(Arc::new(tables)), &caller, now) {
                    Ok(permit) => (Verdict::Allow, permit.facts().clone()),
                    Err(denial) => (Verdict::Deny, denial.facts),
                };
                let (verdict, rule) = super::case::told(verdict, &facts);
                (verdict, rule.map(|rule| rule.id.clone()), facts.reason.text().into_owned())
            }
        }
    }
}

fn to_here(section: &Section<'_>, context: &Context<'_>) -> Option<Connection> {
    if section.bool("tcp").is_some_and(|tcp| !tcp.value) {
        section.problem("tcp", "is false, which says nothing", "remove it, or write true");
    }
    let from = required(section, "from", "a SPIFFE id or a DNS name", principal);
    let ports = &context.listeners.ports;
    let port = section.integer("port").and_then(|port| fields::port(section, &port.place, port.value, ports));
    Some(Connection::To(from?, port.or(ports.first().copied()).unwrap_or_default()))
}

/// `tls://host:port` or `tcp://host:port`.
fn from_here(section: &Section<'_>) -> Option<Connection> {
    let read = |text: &str| {
        let wrong = || ("is no destination".to_owned(), "write \"tls://api.example.com:443\", or tcp:// for one in the clear".to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "tls" => true,
            "tcp" => false,
            _ => return Err(wrong()),
        };
        let authority = Authority::parse_str(rest).map_err(|_| wrong())?;
        Ok(Destination { host: authority.host().to_owned(), port: authority.port().ok_or_else(wrong)?, tls })
    };
    section.str("egress").and_then(|item| fields::each(section, item, read)).map(Connection::From)
}
