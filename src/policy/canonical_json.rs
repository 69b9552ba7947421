//! The one spelling of a table that its hash is over: sorted keys, defaults filled in, sets resolved, times in UTC.

use super::condition::Conditional;
use super::methods::Methods;
use super::moment;
use super::parse::Case;
use super::rule::{Effect, From, Mode, Rule};
use crate::document;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What the hash covers besides the rules.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) mode: Mode,
}

/// Writes the table.
pub(super) fn write(head: &Head<'_>, rules: &[Rule], cases: &[Case]) -> String {
    let rules = rules.iter().map(|rule| self::rule(rule, rules)).collect();
    let table = object([
        ("schema", json!(1)),
        ("name", json!(head.name)),
        ("version", json!(head.version)),
        ("mode", mode(head.mode)),
        ("shadow_until", shadow_until(head.mode)),
        ("rule", Value::Array(rules)),
        ("case", cases.iter().map(case).collect()),
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
        ("from", from(&rule.from)),
        ("methods", methods(&rule.methods)),
        ("paths", rule.facts.templates.iter().map(|path| json!(&**path)).collect()),
        ("hosts", hosts.collect()),
        ("ports", json!(&*rule.ports)),
        ("grpc", rule.grpc.iter().map(|method| json!(&**method)).collect()),
        ("conditions", rule.conditions.iter().map(Conditional::json).collect()),
        ("why", json!(rule.why.as_deref())),
        ("sample", json!(shortest(rule.sample))),
        ("expires", json!(rule.expires.map(moment::format))),
        ("except_rules", excepts.map(|rule| json!(rule.facts.id)).collect()),
    ])
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
        ("ctype", json!(case.ctype.as_str())),
        ("port", json!(case.port)),
        ("source_ip", json!(case.source_ip)),
        ("cert_age", json!(case.cert_age.map(document::written))),
        ("at", json!(case.at.map(moment::format))),
        ("expect", json!(case.expect.as_str())),
        ("rule", json!(case.rule)),
    ])
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
