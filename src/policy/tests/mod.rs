//! Tests of tables and decisions. A test named after a CVE holds a bypass that some other proxy had.

mod agreement;
mod bypasses;
mod claims;
mod conditions;
mod connections;
mod decisions;
mod differences;
mod documented;
mod explanations;
mod format;
mod headers;
mod hostile;
mod percentages;
mod properties;
mod quarantines;
mod reaches;
mod replays;
mod shadows;
mod together;

use super::parse::parse_at;
use super::{Caller, Denial, Listeners, Permit, Reason, Snapshot, Table, Verdict, decide};
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use crate::request::{CanonicalRequest, Listener, Mentioned, Strictness, canonicalize};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const WEB: &str = "spiffe://prod.example/ns/web/sa/frontend";
const PORT: u16 = 8_443;

/// One listener, nothing stripped beyond what always is.
fn here() -> Listeners {
    Listeners { ports: vec![PORT], ..Listeners::default() }
}

/// 2026-11-21T12:00:00Z.
pub(super) fn noon() -> SystemTime {
    super::moment::parse("2026-11-21T12:00:00Z").unwrap()
}

/// A table of these rules, under a head that says nothing special.
fn table(rules: &str) -> Snapshot {
    table_with("", rules)
}

fn table_with(head: &str, rules: &str) -> Snapshot {
    Some(Arc::new(parsed(head, rules).into()))
}

pub(super) fn parsed(head: &str, rules: &str) -> Arc<Table> {
    let text = format!("schema = 1\nname = 't'\n{head}\n{rules}");
    parse_at("t.toml", &text, &here(), noon()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// One rule on one line.
pub(super) fn rule(id: &str, effect: &str, from: &str, more: &str) -> String {
    format!("[[rule]]\nid = '{id}'\neffect = '{effect}'\nfrom = {from}\nwhy = 'a test'\n{more}\n")
}

/// A rule about everybody.
fn anyone(id: &str, effect: &str, more: &str) -> String {
    rule(id, effect, "{ any_authenticated = true }", more)
}

pub(super) fn caller(id: &str) -> Caller {
    let principal = if id.contains("://") { Principal::Spiffe(SpiffeId::parse(id).unwrap()) } else { Principal::Dns(id.into()) };
    let identity = PeerIdentity {
        principal,
        serial: "01".into(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: noon() + Duration::from_secs(3_600),
        not_before: noon() - Duration::from_secs(3_600),
    };
    Caller::new(Some(Arc::new(identity)), ([127, 0, 0, 1], 40_000).into(), PORT, None)
}

pub(super) fn request(method: &str, target: &str, host: &str) -> CanonicalRequest {
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_str(host).unwrap())]);
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let uri = Uri::try_from(target).unwrap();
    canonicalize(&method, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &Mentioned::default()).unwrap()
}

type Decision = Result<Permit, Box<Denial>>;

/// What `web` gets for `GET target`.
fn get(table: &Snapshot, target: &str) -> Decision {
    decide(table, &caller(WEB), &request("GET", target, "a.foo"), noon())
}

/// The reason and the deciding rule, `-` where there is none.
fn why(decision: &Decision) -> (Reason, String) {
    let facts = match decision {
        Ok(permit) => permit.facts(),
        Err(denial) => &denial.facts,
    };
    (facts.reason, facts.rule.as_ref().map_or_else(|| "-".into(), |rule| rule.id.clone()))
}

/// The verdict that was not enforced, and its rule.
fn would(decision: &Decision) -> Option<(Verdict, Option<String>)> {
    let facts = match decision {
        Ok(permit) => permit.facts(),
        Err(denial) => &denial.facts,
    };
    facts.would.as_ref().map(|would| (would.verdict, would.rule.as_ref().map(|rule| rule.id.clone())))
}
