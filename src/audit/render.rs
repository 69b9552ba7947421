//! A record as text: a fixed field order, absent values left out. Each is left open for its last field, the chain.

use super::boot_key::{Certificate, Holder};
use super::chain::Link;
use super::entry::{Aggregate, Entry, Gap, Key, RuleKey, Span, What};
use super::json::{Line, key};
use super::stamp::SCHEMA;
use super::time::{Stamps, whole_second};
use super::users::Names;
use super::{Claimed, Decision, DecisionId, Direction, Outcome, Phase, RefusedHandshake, Target};
use crate::identity::{Channel, Group, PeerIdentity};
use crate::policy::{Caller, Looked, Rendered, RuleFacts, TableFacts, Trial};
use crate::request::{Framing, TraceContext};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

mod control;

/// Writes records as NDJSON, always with the same boot id and labels. What many records share is rendered once: the boot id, the labels, the table
/// and, kept by the connection, its caller.
pub(super) struct Renderer {
    boot: Rendered,
    labels: Rendered,
    stamps: Stamps,
    table: Option<(Arc<TableFacts>, Rendered)>,
    users: Names,
}

/// Where a record stands: its number in the log, and for records of a shard the shard's.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) shard: Option<(u16, u64)>,
}

/// What a checkpoint says.
pub(super) struct Point<'p> {
    /// The number of the record before it.
    pub(super) last: u64,
    /// That record's link.
    pub(super) chain: Link,
    /// The signature of the checkpoint before, in base64.
    pub(super) previous: Option<&'p str>,
    pub(super) holder: &'p Holder,
    pub(super) certificate: Option<&'p Certificate>,
}

impl Renderer {
    pub(super) fn new(boot: &str, labels: &BTreeMap<String, String>) -> Self {
        let boot = Line::fragment(|line| line.text(key!("boot"), boot));
        let labels = Line::fragment(|line| render_labels(line, labels));
        Self { boot, labels, stamps: Stamps::default(), table: None, users: Names::Plain }
    }

    /// Calls end users so.
    pub(super) fn naming(self, users: Names) -> Self {
        Self { users, ..self }
    }

    /// Appends the record of one entry; says its kind.
    pub(super) fn entry(&mut self, out: &mut Vec<u8>, seq: u64, shard: u16, entry: &Entry) -> &'static str {
        let position = Position { seq, shard: Some((shard, entry.shard_seq)) };
        let (kind, at) = match &entry.what {
            What::Decision(decision) => ("decision", decision.at),
            What::Handshake(refused) => ("handshake", refused.at),
            What::Aggregate(aggregate) => ("aggregate", aggregate.span.last),
            What::Gap(gap) => ("gap", gap.span.last),
        };
        let mut line = self.begin(out, position, kind, at);
        match &entry.what {
            What::Decision(decision) => render_decision(&mut line, decision, &mut self.table, &self.users),
            What::Handshake(refused) => render_handshake(&mut line, refused),
            What::Aggregate(aggregate) => render_aggregate(&mut line, aggregate, &mut self.stamps),
            What::Gap(gap) => render_gap(&mut line, gap, &mut self.stamps),
        }
        self.end(line);
        kind
    }

    /// Appends a gap that the writer itself found.
    pub(super) fn gap(&mut self, out: &mut Vec<u8>, seq: u64, gap: &Gap) {
        let mut line = self.begin(out, Position { seq, shard: None }, "gap", gap.span.last);
        render_gap(&mut line, gap, &mut self.stamps);
        self.end(line);
    }

    fn begin<'b>(&mut self, out: &'b mut Vec<u8>, position: Position, kind: &'static str, at: SystemTime) -> Line<'b> {
        let mut line = Line::begin(out);
        line.label(key!("v"), SCHEMA);
        line.number(key!("seq"), position.seq);
        if let Some((shard, shard_seq)) = position.shard {
            line.number(key!("shard"), u64::from(shard));
            line.number(key!("shard_seq"), shard_seq);
        }
        line.fields(&self.boot);
        line.label(key!("kind"), kind);
        time(&mut line, key!("time"), at, &mut self.stamps);
        line
    }

    fn end(&self, mut line: Line<'_>) {
        line.fields(&self.labels);
        line.end();
    }
}

fn render_decision(line: &mut Line<'_>, decision: &Decision, kept: &mut Option<(Arc<TableFacts>, Rendered)>, users: &Names) {
    let facts = &decision.facts;
    line.name(key!("id"));
    id(line, decision.id);
    line.label(key!("dir"), direction(decision.direction));
    line.label(key!("decision"), decision.verdict.as_str());
    line.text(key!("reason"), &facts.reason.text());
    line.optional(key!("rule"), rule(facts.rule.as_deref()));
    line.optional(key!("break_glass"), facts.ticket());
    if let Some(would) = &facts.would {
        line.label(key!("would"), would.verdict.as_str());
        line.optional(key!("would_rule"), rule(would.rule.as_deref()));
        if let Trial::Candidate(candidate) = &would.by {
            line.text(key!("would_sha256"), &candidate.sha256);
        }
    }
    if let Some(facts) = &facts.table {
        render_table(line, facts, kept);
    }
    if let Some(boundary) = &facts.boundary {
        line.text(key!("boundary_sha256"), &boundary.sha256);
    }
    line.fields(decision.caller.rendered.get_or_init(|| Line::fragment(|line| render_caller(line, &decision.caller))));
    render_target(line, decision);
    render_request(line, decision);
    render_outcome(line, decision.decide_ns, &decision.outcome);
    if let Some(user) = facts.user() {
        users.render(line, user);
    }
    if let Some(context) = decision.request.as_ref().and_then(|request| request.trace.context()) {
        render_trace(line, context);
    }
}

/// The trace, and the span that the caller did this in.
fn render_trace(line: &mut Line<'_>, context: &TraceContext) {
    line.hex(key!("trace_id"), context.trace_id());
    line.hex(key!("span_id"), context.parent_id());
}

fn render_table(line: &mut Line<'_>, facts: &Arc<TableFacts>, kept: &mut Option<(Arc<TableFacts>, Rendered)>) {
    match kept {
        Some((known, text)) if Arc::ptr_eq(known, facts) => line.fields(text),
        _ => {
            let (_, text) = kept.insert((Arc::clone(facts), Line::fragment(|line| table(line, facts))));
            line.fields(text);
        }
    }
}

fn render_caller(line: &mut Line<'_>, caller: &Caller) {
    let identity = caller.identity.as_deref();
    source(line, identity.map(|identity| identity.principal.as_str()), Some(caller.source));
    if let Some(identity) = identity {
        render_certificate(line, identity);
    }
    if let Some(channel) = &caller.channel {
        render_channel(line, channel);
    }
}

fn render_certificate(line: &mut Line<'_>, identity: &PeerIdentity) {
    line.open(key!("cert"));
    line.text(key!("serial"), &identity.serial);
    line.text(key!("sha256"), &identity.fingerprint);
    second(line, key!("not_after"), identity.not_after);
    line.text(key!("issuer"), &identity.issuer);
    line.close();
}

fn render_channel(line: &mut Line<'_>, channel: &Channel) {
    line.open(key!("tls"));
    line.label(key!("version"), channel.version);
    line.label(key!("cipher"), channel.cipher);
    line.optional(key!("group"), channel.group.map(Group::as_str));
    line.optional(key!("alpn"), Some(channel.alpn).filter(|alpn| !alpn.is_empty()));
    line.optional(key!("sni"), channel.sni.as_deref());
    line.close();
}

/// Without a target, which an inbound request may lack, the request's own host and the listener's port.
fn render_target(line: &mut Line<'_>, decision: &Decision) {
    line.open(key!("dst"));
    match decision.target.as_deref() {
        Some(Target { id, host, port }) => {
            line.optional(key!("id"), id.as_deref());
            line.optional(key!("host"), Some(host.as_str()).filter(|host| !host.is_empty()));
            port_field(line, *port);
        }
        None => {
            let host = decision.request.as_ref().map(|request| request.host());
            line.optional(key!("host"), host.filter(|host| !host.is_empty()));
            port_field(line, decision.caller.local_port);
        }
    }
    line.close();
}

fn render_request(line: &mut Line<'_>, decision: &Decision) {
    let request = decision.request.as_ref();
    let method = request.map(|request| &request.method).or(decision.method.as_ref());
    line.open(key!("http"));
    line.optional(key!("method"), method.map(http::Method::as_str));
    line.optional(key!("path"), request.map(|request| request.path()));
    line.optional(key!("template"), decision.facts.template());
    if let Some(request) = request {
        line.label(key!("version"), http_version(request.version));
        line.label(key!("ctype"), request.content_type.as_str());
    }
    if decision.outcome.status != 0 {
        line.number(key!("status"), u64::from(decision.outcome.status));
    }
    line.close();
    line.optional(key!("framing"), request.and_then(|request| request.framing).map(Framing::as_str));
    if let Some(looked) = &decision.facts.looked {
        render_conditions(line, &looked.conditions);
    }
}

fn render_conditions(line: &mut Line<'_>, looked: &[Looked]) {
    line.name(key!("conds"));
    for (index, Looked { condition, result }) in looked.iter().enumerate() {
        line.out.push(if index == 0 { b'[' } else { b',' });
        line.out.extend_from_slice(b"{\"name\":");
        // A short token: nothing in it needs an escape.
        line.out.push(b'"');
        line.out.extend_from_slice(condition.name.as_bytes());
        line.out.extend_from_slice(b"\",\"cond\":\"");
        line.out.extend_from_slice(condition.hash.as_bytes());
        line.out.extend_from_slice(b"\",\"result\":\"");
        line.out.extend_from_slice(result.letter().as_bytes());
        line.out.extend_from_slice(b"\"}");
    }
    line.out.push(b']');
}

fn render_outcome(line: &mut Line<'_>, decide_ns: u32, outcome: &Outcome) {
    line.number(key!("bytes_in"), outcome.bytes_in);
    line.number(key!("bytes_out"), outcome.bytes_out);
    line.number(key!("decide_ns"), u64::from(decide_ns));
    if let Some(group) = outcome.group {
        // The caller is the app, without TLS: this is the channel to the peer.
        line.open(key!("tls"));
        line.label(key!("group"), group.as_str());
        line.close();
    }
    if let Some(upstream_us) = outcome.upstream_us {
        line.number(key!("upstream_us"), upstream_us);
    }
    line.number(key!("total_us"), outcome.total_us);
    line.optional(key!("close_reason"), outcome.close_reason);
    line.optional(key!("phase"), outcome.phase.map(Phase::as_str));
}

fn render_handshake(line: &mut Line<'_>, refused: &RefusedHandshake) {
    let claimed = refused.claimed.as_ref();
    line.name(key!("id"));
    id(line, refused.id);
    line.label(key!("dir"), direction(refused.direction));
    line.label(key!("decision"), "deny");
    line.text(key!("reason"), &refused.reason);
    let id = claimed.and_then(|claimed| claimed.id.as_deref());
    if refused.direction == Direction::Inbound {
        source(line, id, Some(refused.source));
    }
    render_claimed_certificate(line, claimed);
    line.open(key!("tls"));
    line.optional(key!("sni"), refused.server_name.as_deref());
    line.close();
    line.open(key!("dst"));
    match refused.direction {
        Direction::Inbound => port_field(line, refused.local_port),
        // The peer that we refused is the one that we called.
        Direction::Outbound => {
            line.optional(key!("id"), id);
            line.plain(key!("host"), refused.source.ip().to_canonical());
            port_field(line, refused.source.port());
        }
    }
    line.close();
}

fn render_claimed_certificate(line: &mut Line<'_>, claimed: Option<&Claimed>) {
    line.open(key!("cert"));
    if let Some(claimed) = claimed {
        line.optional(key!("serial"), claimed.serial.as_deref());
        line.optional(key!("sha256"), claimed.fingerprint.as_deref());
        if let Some(not_after) = claimed.not_after {
            second(line, key!("not_after"), not_after);
        }
        line.optional(key!("issuer"), claimed.issuer.as_deref());
    }
    line.close();
}

fn render_aggregate(line: &mut Line<'_>, aggregate: &Aggregate, stamps: &mut Stamps) {
    line.name(key!("id"));
    id(line, aggregate.id);
    match &aggregate.key {
        Key::Decision { direction: way, caller, rule: by, method, reason } => {
            line.label(key!("dir"), direction(*way));
            line.label(key!("decision"), "deny");
            line.text(key!("reason"), &reason.text());
            line.optional(key!("rule"), rule(by.as_ref().map(|by| &*by.rule)));
            if let Some(facts) = &aggregate.table {
                table(line, facts);
            }
            source(line, caller.as_ref().map(|caller| caller.as_str()), None);
            line.open(key!("http"));
            line.optional(key!("method"), method.as_ref().map(http::Method::as_str));
            line.optional(key!("template"), by.as_ref().and_then(RuleKey::template));
            line.close();
            line.label(key!("of"), "decision");
        }
        Key::Handshake { direction: way, claimed, reason } => {
            line.label(key!("dir"), direction(*way));
            line.label(key!("decision"), "deny");
            line.text(key!("reason"), reason);
            line.open(if *way == Direction::Inbound { key!("src") } else { key!("dst") });
            line.optional(key!("id"), claimed.as_deref());
            line.close();
            line.label(key!("of"), "handshake");
        }
        Key::Other => {
            line.label(key!("decision"), "deny");
            line.label(key!("of"), "other");
        }
    }
    span(line, &aggregate.span, stamps);
}

fn render_gap(line: &mut Line<'_>, gap: &Gap, stamps: &mut Stamps) {
    line.name(key!("id"));
    id(line, gap.id);
    line.label(key!("cause"), gap.cause.as_str());
    span(line, &gap.span, stamps);
}

fn span(line: &mut Line<'_>, span: &Span, stamps: &mut Stamps) {
    line.number(key!("count"), span.count);
    time(line, key!("first"), span.first, stamps);
    time(line, key!("last"), span.last, stamps);
}

fn table(line: &mut Line<'_>, table: &TableFacts) {
    line.text(key!("policy"), &table.name);
    line.optional(key!("policy_version"), Some(table.version.as_str()).filter(|version| !version.is_empty()));
    line.text(key!("policy_sha256"), &table.sha256);
}

fn source(line: &mut Line<'_>, id: Option<&str>, address: Option<SocketAddr>) {
    line.open(key!("src"));
    line.optional(key!("id"), id);
    if let Some(address) = address {
        line.plain(key!("ip"), address.ip().to_canonical());
        port_field(line, address.port());
    }
    line.close();
}

fn port_field(line: &mut Line<'_>, port: u16) {
    if port != 0 {
        line.number(key!("port"), u64::from(port));
    }
}

fn id(line: &mut Line<'_>, id: DecisionId) {
    line.out.push(b'"');
    line.out.extend_from_slice(&id.text());
    line.out.push(b'"');
}

fn time(line: &mut Line<'_>, key: &'static str, at: SystemTime, stamps: &mut Stamps) {
    line.name(key);
    line.out.push(b'"');
    stamps.nanos(line.out, at);
    line.out.push(b'"');
}

fn second(line: &mut Line<'_>, key: &'static str, at: SystemTime) {
    line.name(key);
    line.out.push(b'"');
    whole_second(line.out, at);
    line.out.push(b'"');
}

fn rule(rule: Option<&RuleFacts>) -> Option<&str> {
    rule.map(|rule| rule.id.as_str())
}

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn http_version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "0.9",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn render_labels(line: &mut Line<'_>, labels: &BTreeMap<String, String>) {
    line.open(key!("labels"));
    for (name, value) in labels {
        line.named(name, value);
    }
    line.close();
}
