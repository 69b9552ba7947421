//! One rule beside one request, dimension by dimension.

use super::Ask;
use crate::policy::condition::Conditional;
use crate::policy::jwt::EndUser;
use crate::policy::looked::Looking;
use crate::policy::methods::{self, Methods};
use crate::policy::rule::{Effect, From, Question, Rule};
use crate::policy::standing::Standing;
use crate::policy::{Truth, moment};
use crate::request::{CanonicalRequest, ContentType};

/// The most members of a list that are shown.
const SHOWN: usize = 4;

/// Whom a rule is about that names nobody.
pub(super) const ANYONE: &str = "any authenticated caller";

/// One thing that a rule asks for, and what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// What it is, as the table's key or the record's condition calls it.
    pub name: String,
    /// What the rule wants.
    pub wanted: String,
    /// What the request has.
    pub found: String,
    /// Whether that fits; `None`: the record does not say.
    pub truth: Option<Truth>,
}

impl Dimension {
    fn new(name: &str, wanted: String, found: impl Into<String>, truth: impl Into<Truth>) -> Self {
        Self { name: name.to_owned(), wanted, found: found.into(), truth: Some(truth.into()) }
    }

    /// Whether a rule with this effect goes on to match: a deny does where it cannot be told.
    pub(super) fn is_enough(&self, effect: Effect) -> bool {
        let truth = self.truth.unwrap_or(Truth::Unknown);
        if effect == Effect::Allow { truth.is_certain() } else { truth.is_possible() }
    }
}

/// A request, and what one table knows of who asks.
pub(super) struct Asked<'a> {
    pub(super) ask: &'a Ask,
    pub(super) request: &'a CanonicalRequest,
    pub(super) standing: &'a Standing,
    pub(super) user: &'a EndUser<'a>,
    /// Nobody reads it: what is looked at here goes into no record.
    pub(super) looking: &'a Looking,
}

/// Everything that a rule asks for. What it does not ask for fits and is not there.
pub(super) fn compare(rule: &Rule, asked: &Asked<'_>) -> Vec<Dimension> {
    let Asked { ask, request, .. } = asked;
    let mut all = Vec::new();
    if let Some(identity) = &ask.caller.identity {
        let fits = rule.from.matches(&identity.principal);
        all.push(Dimension::new("from", from(&rule.from), identity.principal.as_str(), fits));
    }
    if !rule.ports.is_empty() {
        let ports = listed(rule.ports.iter().map(u16::to_string));
        all.push(Dimension::new("ports", ports, ask.caller.local_port.to_string(), rule.is_on(ask.caller.local_port)));
    }
    if rule.tcp {
        all.push(Dimension::new("tcp", "a TCP connection".into(), "an HTTP request", false));
        return all;
    }
    let fits = rule.template(request.path()).is_some();
    all.push(Dimension::new("paths", listed(rule.facts.templates().map(str::to_owned)), request.path(), fits));
    if let Methods::Of(written) = &rule.methods {
        let fits = rule.methods.contains(&request.method, methods::bit(&request.method));
        all.push(Dimension::new("methods", listed(written.all.iter().map(ToString::to_string)), request.method.as_str(), fits));
    }
    if !rule.hosts.is_empty() {
        let found = request.authority.as_ref().map_or("none", |_| request.host());
        all.push(Dimension::new("hosts", listed(rule.hosts.iter().map(|host| host.as_str().to_owned())), found, rule.host(request)));
    }
    if rule.is_grpc() {
        let fits = request.content_type == ContentType::Grpc;
        all.push(Dimension::new("content type", "grpc".into(), request.content_type.as_str(), fits));
    }
    all.extend(rule.conditions.iter().map(|condition| conditional(condition, asked)));
    if let Some(end) = rule.expires {
        all.push(Dimension::new("expires", format!("before {}", moment::format(end)), moment::format(ask.at), ask.at < end));
    }
    all
}

/// A condition, by its value or by what a record says of it.
fn conditional(condition: &Conditional, asked: &Asked<'_>) -> Dimension {
    let Asked { ask, request, standing, user, looking } = *asked;
    let (name, wanted) = (condition.facts().name.to_string(), condition.json().to_string());
    let Some(recorded) = &ask.conditions else {
        let method_bit = methods::bit(&request.method);
        let question = Question { request: Some(request), caller: &ask.caller, standing, user, method_bit, now: ask.at, looking };
        let truth = condition.holds(&question);
        return Dimension { name, wanted, found: condition.found(&question), truth: Some(truth) };
    };
    let truth = recorded.get(&*condition.facts().hash).copied();
    let found = match truth {
        Some(Truth::True) => "recorded: it held",
        Some(Truth::False) => "recorded: it did not hold",
        Some(Truth::Unknown) => "recorded: it could not be told",
        None => "not looked at when this was decided",
    };
    Dimension { name, wanted, found: found.to_owned(), truth }
}

/// Whom a rule is about.
pub(super) fn from(from: &From) -> String {
    let anyone = from.any_authenticated.then(|| ANYONE.to_owned());
    listed(anyone.into_iter().chain(from.patterns().map(|pattern| pattern.as_str().to_owned())))
}

/// The first few of a list.
pub(super) fn listed(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" or ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} or {more} more"),
    }
}
