//! Decides one request rule by rule, with what was assumed of everything opaque: what confirms a witness.

use super::By;
use super::atoms::{Atom, Value, Want, nanos};
use super::joint::{Joint, PARTS};
use super::sought::{Host, Sought};
use super::weigh::Values;
use crate::identity::Principal;
use crate::policy::evaluate::{Candidate, Outcome, findings_where};
use crate::policy::explain::RulePlace;
use crate::policy::methods;
use crate::policy::rule::Rule;
use crate::policy::ruling::{Ruling, Said};
use crate::policy::standing::Percent;
use crate::policy::{Mode, Part, Table, Tables, Truth, Verdict};
use crate::request::{CanonicalRequest, ContentType, Escapes, Listener, Mentioned, PathParams, Strictness, canonicalize};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Uri, Version};
use std::sync::Arc;
use std::time::SystemTime;

/// A listener may accept all of these.
const WIDEST: Strictness = Strictness { path_params: PathParams::Allow, escapes: Escapes::Opaque, head_fields: 2 };

/// One request, and what is assumed.
pub(super) struct Asked<'a> {
    pub(super) principal: &'a Principal,
    pub(super) port: Option<u16>,
    pub(super) sought: &'a Sought,
    pub(super) values: &'a Values,
    pub(super) now: SystemTime,
}

/// What a side decides, and by what; `None`: it cannot be such a request.
pub(super) fn judge(joint: &Joint<'_>, side: usize, tables: &Tables, asked: &Asked<'_>) -> Option<(Verdict, By)> {
    let request = match asked.sought {
        Sought::Connection => None,
        Sought::Request { .. } => Some(request(asked.sought)?),
    };
    let said = |part: usize, table| {
        let issuers = (*joint.issuers.get(side)?.get(part)?)?;
        Some(Judging { joint, asked, request: request.as_ref(), issuers }.said(PARTS[part], table))
    };
    let boundary = tables.boundary().map(|table| said(1, table));
    let boundary = match boundary {
        Some(said) => Some(said?),
        None => None,
    };
    let ruling = Ruling::of(said(0, tables.own())?, boundary);
    let place = |candidate: Candidate| Some(RulePlace { part: ruling.by.part, index: usize::try_from(candidate.rule).ok()? });
    let by = match (ruling.verdict, ruling.by.outcome) {
        (Verdict::Allow, Outcome::Deny(_) | Outcome::Nothing) => By::Shadow,
        (_, outcome) => outcome.candidate().and_then(place).map_or(By::Nothing(ruling.by.part), By::Rule),
    };
    Some((ruling.verdict, by))
}

/// The request, through the function that requests pass through.
fn request(sought: &Sought) -> Option<CanonicalRequest> {
    let Sought::Request { method, path, host, grpc } = sought else { return None };
    let mut headers = HeaderMap::new();
    let version = match host {
        Host::Missing => Version::HTTP_10,
        Host::Any => {
            headers.insert(HOST, HeaderValue::from_static("x"));
            Version::HTTP_11
        }
        Host::Named(host) => {
            headers.insert(HOST, HeaderValue::from_str(host).ok()?);
            Version::HTTP_11
        }
    };
    if *grpc == Some(true) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    }
    let uri = Uri::try_from(path.as_str()).ok()?;
    let request = canonicalize(method, &uri, version, &headers, &WIDEST, Listener::Inbound, &Mentioned::default()).ok()?;
    (request.path() == path).then_some(request)
}

struct Judging<'a, 't> {
    joint: &'a Joint<'t>,
    asked: &'a Asked<'a>,
    request: Option<&'a CanonicalRequest>,
    issuers: u32,
}

impl Judging<'_, '_> {
    fn said<'r>(&self, part: Part, table: &'r Arc<Table>) -> Said<'r> {
        let candidates: Vec<Candidate> = (0..).zip(&table.rules).filter_map(|(index, rule)| self.candidate(index, rule)).collect();
        let tries = |_, rule: &Rule| rule.is_shadow() || !self.has(rule.percent, &rule.facts.id);
        let findings = findings_where(&table.rules, &candidates, tries, |rule| self.truth(rule));
        let is_in_shadow = matches!(table.mode(), Mode::Shadow { .. }) || !self.has(table.percent, &table.facts.name);
        Said { part, table, is_in_shadow, findings }
    }

    fn candidate(&self, index: u32, rule: &Rule) -> Option<Candidate> {
        let template = match self.request {
            None => rule.tcp.then_some(0)?,
            Some(request) => rule.template(request.path())?,
        };
        // Without a port no rule of the caller names one.
        let is_on = self.asked.port.map_or(rule.ports.is_empty(), |port| rule.is_on(port));
        let is_concerned = is_on && rule.from.matches(self.asked.principal);
        is_concerned.then_some(Candidate { rule: index, template })
    }

    fn truth(&self, rule: &Rule) -> Truth {
        let mut truth = Truth::from(rule.expires.is_none_or(|end| self.asked.now < end && self.is_before(end)));
        if let Some(request) = self.request {
            truth = truth.and(rule.methods.contains(&request.method, methods::bit(&request.method)).into());
            truth = truth.and(rule.host(request)).and((!rule.is_grpc() || request.content_type == ContentType::Grpc).into());
        }
        let holds = |condition| match self.joint.atoms.known(condition, self.issuers).map(|atom| self.value(atom)) {
            Some(Some(Value::Truth(truth))) => truth,
            // What nothing hangs on may be anything.
            _ => Truth::False,
        };
        rule.conditions.iter().fold(truth, |truth, condition| truth.and(holds(condition)))
    }

    /// Whether the caller is among a share.
    fn has(&self, percent: Percent, name: &str) -> bool {
        percent == Percent::ALL || self.is_below(&Atom::Share(name.into()), u128::from(percent.get()))
    }

    fn is_before(&self, end: SystemTime) -> bool {
        self.is_below(&Atom::Hour, nanos(end))
    }

    fn is_below(&self, atom: &Atom, mark: u128) -> bool {
        let value = self.joint.atoms.known_dial(atom).and_then(|atom| Some((atom, self.value(atom)?)));
        value.is_none_or(|(atom, value)| value.holds(Want { atom, below: Some(mark) }).is_certain())
    }

    fn value(&self, atom: u32) -> Option<Value> {
        self.asked.values.iter().find(|(known, _)| *known == atom).map(|(_, value)| *value)
    }
}
