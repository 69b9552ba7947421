//! The one spelling of a table that its hash is over: sorted keys, defaults filled in, times in UTC.

use super::Destination;
use super::egress::Egress;
use super::jwt::{Claims, Issuer, Issuers};
use super::methods::Methods;
use super::moment;
use super::parse::{Case, Connection, ConnectionCase};
use super::rule::{From, Mode, PrincipalSet, Rule, Whom};
use super::standing::Percent;
use crate::document;
use crate::identity::x509::hex;
use aws_lc_rs::digest::{self, Context, SHA256};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, IntoInnerError, Write};

/// What the hash covers.
pub(super) struct Said<'t> {
    pub(super) mode: Mode,
    pub(super) percent: Percent,
    pub(super) name: &'t str,
    pub(super) version: &'t str,
    /// In the order of their names.
    pub(super) sets: &'t [&'t PrincipalSet],
    pub(super) rules: &'t [Rule],
    pub(super) egress: &'t [Egress],
    pub(super) issuers: &'t Issuers,
    pub(super) cases: &'t [Case],
    pub(super) connections: &'t [ConnectionCase],
}

/// SHA-256 over the canonical text of a table, lower-case hex. The text is hashed as it is written: it is larger than all that is kept of the table.
pub(super) fn hash(table: &Said<'_>) -> String {
    let mut hashing = BufWriter::new(Hashing(Context::new(&SHA256)));
    // Hashing takes whatever is written.
    let written = write(&mut hashing, table).and_then(|()| hashing.into_inner().map_err(IntoInnerError::into_error));
    written.map(|hashing| hex(hashing.0.finish().as_ref())).unwrap_or_default()
}

/// SHA-256 over the canonical text of one rule of a table with the rules `all`, lower-case hex. What is in the sets that it names is not part of it.
pub(super) fn rule_hash(rule: &Rule, all: &[Rule]) -> String {
    let mut hashing = Hashing(Context::new(&SHA256));
    // Hashing takes whatever is written.
    self::rule(&mut hashing, rule, all).map(|()| hex(hashing.0.finish().as_ref())).unwrap_or_default()
}

/// Writes the canonical text.
pub(super) fn write(out: &mut impl Write, table: &Said<'_>) -> io::Result<()> {
    out.write_all(b"{\"case\":")?;
    list(out, table.cases.iter().map(case).chain(table.connections.iter().map(connection)), value)?;
    out.write_all(b",\"egress\":")?;
    list(out, table.egress.iter().map(outgoing), value)?;
    out.write_all(b",\"enforce_percent\":")?;
    serde_json::to_writer(&mut *out, &table.percent.get())?;
    out.write_all(b",\"jwt_issuer\":")?;
    list(out, table.issuers.iter().map(issuer), value)?;
    out.write_all(b",\"mode\":")?;
    serde_json::to_writer(&mut *out, &mode(table.mode))?;
    out.write_all(b",\"name\":")?;
    serde_json::to_writer(&mut *out, table.name)?;
    out.write_all(b",\"rule\":")?;
    list(out, table.rules.iter(), |out, rule| self::rule(out, rule, table.rules))?;
    out.write_all(b",\"schema\":1,\"sets\":{\"principals\":")?;
    list(out, table.sets.iter().map(|set| self::set(set)), value)?;
    out.write_all(b"},\"shadow_until\":")?;
    serde_json::to_writer(&mut *out, &shadow_until(table.mode))?;
    out.write_all(b",\"version\":")?;
    serde_json::to_writer(&mut *out, table.version)?;
    out.write_all(b"}")
}

/// Writes one value after the other, so that no more than one is there at a time.
fn list<W: Write, T>(out: &mut W, values: impl Iterator<Item = T>, write: impl Fn(&mut W, T) -> io::Result<()>) -> io::Result<()> {
    let mut before: &[u8] = b"[";
    for value in values {
        out.write_all(before)?;
        write(out, value)?;
        before = b",";
    }
    out.write_all(if before == b"[" { b"[]" } else { b"]" })
}

fn value(out: &mut impl Write, value: Value) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &value)?)
}

struct Hashing(Context);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// SHA-256 of the canonical text, lower-case hex.
pub(super) fn sha256(text: &str) -> String {
    hex(digest::digest(&SHA256, text.as_bytes()).as_ref())
}

fn rule(out: &mut impl Write, rule: &Rule, all: &[Rule]) -> io::Result<()> {
    let excepts = rule.excepts.iter().filter_map(|index| all.get(usize::try_from(*index).ok()?));
    let hosts = rule.hosts.iter().map(|host| json!(host.as_str()));
    members(
        out,
        [
            ("id", json!(rule.facts.id)),
            ("effect", json!(rule.effect.as_str())),
            ("mode", mode(rule.mode)),
            ("shadow_until", shadow_until(rule.mode)),
            ("enforce_percent", json!(rule.percent.get())),
            ("from", from(&rule.from)),
            ("methods", methods(&rule.methods)),
            ("tcp", json!(rule.tcp)),
            ("paths", rule.facts.templates().map(Value::from).collect()),
            ("hosts", hosts.collect()),
            ("ports", json!(&*rule.ports)),
            ("grpc", rule.grpc.iter().map(|method| json!(&**method)).collect()),
            ("conditions", rule.conditions.iter().map(|condition| condition.json()).collect()),
            ("break_glass", rule.facts.ticket.as_ref().map_or(Value::Null, |ticket| object([("ticket", json!(**ticket))]))),
            ("why", json!(rule.why.as_deref())),
            ("sample", json!(shortest(rule.sample))),
            ("expires", json!(rule.expires.map(moment::format))),
            ("except_rules", excepts.map(|rule| json!(rule.facts.id)).collect()),
        ],
    )
}

/// The issuers of a table in one spelling, whatever their order.
pub(super) fn issuers(issuers: &Issuers) -> String {
    let mut all: Vec<String> = issuers.iter().map(|one| issuer(one).to_string()).collect();
    all.sort_unstable();
    all.join(",")
}

fn issuer(issuer: &Issuer) -> Value {
    let aud: Vec<&str> = issuer.aud.iter().map(|aud| &**aud).collect();
    let algs: Vec<&str> = issuer.algs.iter().map(|algorithm| algorithm.as_str()).collect();
    object([("iss", json!(&*issuer.iss)), ("aud", json!(aud)), ("algs", json!(algs)), ("jwks", json!(issuer.source().as_written()))])
}

/// The number as it was written: single precision widened digit by digit, not bit by bit.
fn shortest(share: f32) -> f64 {
    // Most rules say nothing about it.
    if share.total_cmp(&1.0).is_eq() { 1.0 } else { share.to_string().parse().unwrap_or_default() }
}

/// Sets by their names: what is in them stands there once.
fn from(from: &From) -> Value {
    let (mut dns, mut spiffe): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for whom in &from.whom {
        match whom {
            Whom::Set(set) => spiffe.push(format!("@{}", set.name).into()),
            Whom::Pattern(pattern) if pattern.as_str().starts_with("spiffe://") => spiffe.push(pattern.as_str().into()),
            Whom::Pattern(pattern) => dns.push(pattern.as_str().into()),
        }
    }
    object([("any_authenticated", json!(from.any_authenticated)), ("dns_san", dns.into()), ("spiffe", spiffe.into())])
}

fn set(set: &PrincipalSet) -> Value {
    object([("name", json!(set.name)), ("spiffe", set.members.iter().map(|member| json!(member.as_str())).collect())])
}

fn methods(methods: &Methods) -> Value {
    match methods {
        Methods::Any => json!(["*"]),
        Methods::Of(written) => written.all.iter().map(|method| json!(method.as_str())).collect(),
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
pub(super) fn object<const N: usize>(mut entries: [(&str, Value); N]) -> Value {
    entries.sort_unstable_by_key(|(key, _)| *key);
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// The same, written at once: there are a hundred thousand rules, and a map of each takes a third of the time of loading them.
fn members<const N: usize>(out: &mut impl Write, mut entries: [(&str, Value); N]) -> io::Result<()> {
    entries.sort_unstable_by_key(|(key, _)| *key);
    let mut before: &[u8] = b"{\"";
    for (key, value) in &entries {
        out.write_all(before)?;
        out.write_all(key.as_bytes())?;
        out.write_all(b"\":")?;
        serde_json::to_writer(&mut *out, value)?;
        before = b",\"";
    }
    out.write_all(b"}")
}
