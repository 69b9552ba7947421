//! The one spelling of a table that its hash is over: sorted keys, defaults filled in, sets resolved, times in UTC.

use super::Destination;
use super::egress::Egress;
use super::jwt::{Claims, Issuer, Issuers};
use super::methods::Methods;
use super::moment;
use super::parse::{Case, Connection, ConnectionCase};
use super::rule::{Effect, From, Mode, Rule};
use super::standing::Percent;
use crate::document;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What the hash covers besides the rules.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) mode: Mode,
    pub(super) percent: Percent,
}

/// Writes the table.
pub(super) fn write(head: &Head<'_>, rules: &[Rule], egress: &[Egress], issuers: &Issuers, cases: (&[Case], &[ConnectionCase])) -> String {
    let rules = rules.iter().map(|rule| self::rule(rule, rules)).collect();
    let table = object([
        ("schema", json!(1)),
        ("name", json!(head.name)),
        ("version", json!(head.version)),
        ("mode", mode(head.mode)),
        ("shadow_until", shadow_until(head.mode)),
        ("enforce_percent", json!(head.percent.get())),
        ("rule", Value::Array(rules)),
        ("egress", egress.iter().map(outgoing).collect()),
        ("jwt_issuer", issuers.iter().map(issuer).collect()),
        ("case", cases.0.iter().map(case).chain(cases.1.iter().map(connection)).collect()),
    ]);
    table.to_string()
}

/// SHA-256 of the canonical text, lower-case hex.
pub(super) fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule(rule: &Rule, all: &[Rule]) -> Value {
    let effect = match rule.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::Audit => "audit",
    };
    let excepts = rule.excepts.iter().filter_map(|index| all.get(usize::try_from(*index).ok()?));
    let hosts = rule.hosts.iter().map(|host| json!(host.as_str()));
    object([
        ("id", json!(rule.facts.id)),
        ("effect", json!(effect)),
        ("mode", mode(rule.mode)),
        ("shadow_until", shadow_until(rule.mode)),
        ("enforce_percent", json!(rule.percent.get())),
        ("from", from(&rule.from)),
        ("methods", methods(&rule.methods)),
        ("tcp", json!(rule.tcp)),
        ("paths", rule.facts.templates.iter().map(|path| json!(&**path)).collect()),
        ("hosts", hosts.collect()),
        ("ports", json!(&*rule.ports)),
        ("grpc", rule.grpc.iter().map(|method| json!(&**method)).collect()),
        ("conditions", rule.conditions.iter().map(|condition| condition.json()).collect()),
        ("break_glass", rule.facts.ticket.as_ref().map_or(Value::Null, |ticket| object([("ticket", json!(**ticket))]))),
        ("why", json!(rule.why.as_deref())),
        ("sample", json!(shortest(rule.sample))),
        ("expires", json!(rule.expires.map(moment::format))),
        ("except_rules", excepts.map(|rule| json!(rule.facts.id)).collect()),
    ])
}

fn issuer(issuer: &Issuer) -> Value {
    let aud: Vec<&str> = issuer.aud.iter().map(|aud| &**aud).collect();
    let algs: Vec<&str> = issuer.algs.iter().map(|algorithm| algorithm.as_str()).collect();
    object([("iss", json!(&*issuer.iss)), ("aud", json!(aud)), ("algs", json!(algs)), ("jwks", json!(issuer.source().as_written()))])
}

/// The number as it was written: single precision widened digit by digit, not bit by bit.
fn shortest(share: f32) -> f64 {
    share.to_string().parse().unwrap_or_default()
}

fn from(from: &From) -> Value {
    let patterns: Vec<&str> = from.patterns.iter().map(|pattern| pattern.as_str()).collect();
    let (spiffe, dns): (Vec<&str>, Vec<&str>) = patterns.into_iter().partition(|text| text.starts_with("spiffe://"));
    object([("any_authenticated", json!(from.any_authenticated)), ("dns_san", json!(dns)), ("spiffe", json!(spiffe))])
}

fn methods(methods: &Methods) -> Value {
    match methods {
        Methods::Any => json!(["*"]),
        Methods::Of { written, .. } => written.iter().map(|method| json!(&**method)).collect(),
    }
}

fn case(case: &Case) -> Value {
    object([
        ("name", json!(case.name)),
        ("from", json!(case.from.as_str())),
        ("method", json!(case.method.as_str())),
        ("path", json!(case.path)),
        ("host", json!(case.host)),
        ("headers", headers(case)),
        ("claims", json!(case.claims.as_ref().map(Claims::as_map))),
        ("ctype", json!(case.ctype.as_str())),
        ("port", json!(case.port)),
        ("source_ip", json!(case.source_ip)),
        ("cert_age", json!(case.cert_age.map(document::written))),
        ("at", json!(case.at.map(moment::format))),
        ("expect", json!(case.expect.as_str())),
        ("rule", json!(case.rule)),
    ])
}

fn connection(case: &ConnectionCase) -> Value {
    let (about, what) = match &case.connection {
        Connection::To(from, port) => ("tcp", json!([from.as_str(), port])),
        Connection::From(Destination { host, port, tls }) => ("egress", json!([host, port, tls])),
    };
    object([("name", json!(case.name)), (about, what), ("expect", json!(case.expect.as_str())), ("rule", json!(case.rule))])
}

fn outgoing(entry: &Egress) -> Value {
    let hosts = entry.hosts.iter().map(|host| json!(host.as_str()));
    object([("id", json!(entry.facts.id)), ("hosts", hosts.collect()), ("ports", json!(&*entry.ports)), ("tls", json!(entry.tls))])
}

fn headers(case: &Case) -> Value {
    let sorted: BTreeMap<&str, Value> = case.headers.iter().map(|(name, value)| (name.as_str(), json!(value))).collect();
    Value::Object(sorted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn mode(mode: Mode) -> Value {
    match mode {
        Mode::Enforce => json!("enforce"),
        Mode::Shadow { .. } => json!("shadow"),
    }
}

fn shadow_until(mode: Mode) -> Value {
    match mode {
        Mode::Enforce => Value::Null,
        Mode::Shadow { until } => json!(moment::format(until)),
    }
}

/// Sorted here, so that the text does not hang on how a map of the JSON library orders its keys.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let sorted: BTreeMap<&str, Value> = entries.into_iter().collect();
    Value::Object(sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}
