//! `[[rule]]`.

use super::fields::{self, list, list_of};
use super::{Context, break_glass, claims, from, grpc, header, when};
use crate::document::{Document, Item, Section};
use crate::policy::RuleFacts;
use crate::policy::condition::Test;
use crate::policy::methods::{self, Methods};
use crate::policy::pattern::{HostPattern, PathPattern};
use crate::policy::rule::{Details, Effect, From, Mode, Rule};
use http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// A rule that does not know yet which others it spares.
pub(super) struct Draft {
    facts: Arc<RuleFacts>,
    effect: Effect,
    from: Arc<From>,
    methods: Methods,
    details: Details,
}

impl Draft {
    /// The rule; it spares `excepts`, and shares the `plain` details if it has none of its own.
    pub(super) fn finish(self, excepts: Box<[u32]>, plain: &Arc<Details>) -> Rule {
        Rule::new(self.facts, self.effect, self.from, self.methods, Details { excepts, ..self.details }, plain)
    }

    fn paths(&self) -> impl Iterator<Item = PathPattern<'_>> {
        self.facts.templates().map(PathPattern::of)
    }
}

/// A rule whose references to other rules are still names.
pub(super) struct ParsedRule {
    pub(super) id: Option<Item<String>>,
    effect: Option<Effect>,
    pub(super) rule: Option<Draft>,
    excepts: Vec<Item<String>>,
}

impl ParsedRule {
    /// The rules that this one names in `except_rules`, by index.
    pub(super) fn excepted(&self, ids: &HashMap<&str, u32>, all: &[Self], document: &Document<'_>) -> Box<[u32]> {
        let named = self.excepts.iter().filter_map(|item| {
            let index = ids.get(item.as_str()).copied();
            let effect = index.and_then(|index| all.get(usize::try_from(index).ok()?)).and_then(|rule| rule.effect);
            match (index, effect) {
                (None, _) => {
                    document.report(item.place.clone(), format!("`{}` is no rule", item.value), "name a rule of this table by its id")
                }
                (Some(_), Some(Effect::Deny | Effect::Audit)) => {
                    document.report(item.place.clone(), format!("`{}` is no allow", item.value), "name the allow that this deny spares");
                }
                _ => {}
            }
            index
        });
        let mut named: Vec<u32> = named.collect();
        named.sort_unstable();
        named.dedup();
        named.into()
    }
}

/// Reads one rule; what is wrong is noted.
pub(super) fn read(section: Section<'_>, context: &Context<'_>) -> ParsedRule {
    let id = id(&section);
    let effect = effect(&section);
    let mode = fields::mode(&section, context.now);
    let percent = fields::percent(&section, mode);
    let from = from::read(&section, context);
    let (grpc, sugar): (Vec<_>, Vec<_>) = grpc::read(&section).into_iter().flatten().map(|method| (method.written, method.path)).unzip();
    let tcp = tcp(&section, context);
    let (methods, paths) = if tcp {
        (Some(Methods::Any), Some(Vec::new()))
    } else if section.has("grpc") {
        (Some(Methods::of(vec![Method::POST])), Some(sugar))
    } else {
        (methods(&section), paths(&section))
    };
    let hosts = list_of(&section, "hosts", "list at least one host, or remove it", HostPattern::parse).unwrap_or_default();
    let ports = ports(&section, context);
    let headers = header::read(&section, context).into_iter().map(Test::Header);
    let claims = claims::read(&section, context).into_iter().map(Test::Claim);
    let conditions = headers.chain(when::read(&section, context)).chain(claims).collect();
    let sample = sample(&section);
    let expires = fields::time(&section, "expires");
    let excepts = excepts(&section, effect);
    let why = section.str("why").map(|why| why.value).filter(|why| !why.trim().is_empty());
    let ticket = break_glass::read(&section, effect, expires, why.as_deref(), context.now);
    check_audit(&section, effect, mode);
    let details = Details {
        mode,
        percent,
        hosts: hosts.into(),
        ports: ports.into(),
        grpc: grpc.into(),
        tcp,
        conditions: context.conditions.in_order(conditions),
        expires,
        excepts: Box::default(),
        sample,
        why: why.map(String::into_boxed_str),
    };
    let rule = id.as_ref().zip(effect).zip(from).zip(methods).zip(paths).map(|((((id, effect), from), methods), paths)| Draft {
        facts: Arc::new(RuleFacts::new(id, paths.iter().map(PathPattern::as_str)).with_ticket(ticket)),
        effect,
        from,
        methods: context.shared.methods(methods),
        details,
    });
    if let Some(rule) = &rule {
        check_asterisk(&section, rule);
        check_why(&section, rule);
    }
    section.close();
    ParsedRule { id, effect, rule, excepts }
}

pub(super) fn id(section: &Section<'_>) -> Option<Item<String>> {
    const INSTEAD: &str = "write 1 to 64 of a-z, 0-9 and dashes, and keep it: logs and counters use it";
    if !section.has("id") {
        section.problem("id", "is missing", INSTEAD);
    }
    let id = section.str("id")?;
    let plain = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !plain || id.is_empty() || id.len() > 64 {
        section.problem("id", format!("`{}` is no id", id.value), INSTEAD);
    }
    Some(id)
}

fn effect(section: &Section<'_>) -> Option<Effect> {
    let effect = section.str("effect");
    match effect.as_deref().map(String::as_str) {
        Some("allow") => return Some(Effect::Allow),
        Some("deny") => return Some(Effect::Deny),
        Some("audit") => return Some(Effect::Audit),
        Some(other) => section.problem("effect", format!("is `{other}`"), "write \"allow\", \"deny\" or \"audit\""),
        None if section.has("effect") => {}
        None => section.problem("effect", "is missing", "write effect = \"allow\", \"deny\" or \"audit\""),
    }
    None
}

/// Whether the rule is about TCP connections; what only a request has is refused beside it.
fn tcp(section: &Section<'_>, context: &Context<'_>) -> bool {
    let Some(tcp) = section.bool("tcp") else { return section.has("tcp") };
    if !tcp.value {
        section.problem("tcp", "is false, which says nothing", "remove it, or write true");
        return false;
    }
    if context.listeners.http_only {
        section.problem("tcp", "is decided, and no TCP connection is carried yet", super::NOT_CARRIED);
    }
    for key in ["methods", "paths", "grpc", "hosts", "headers", "claims"] {
        section.refuse(key, "stands beside tcp, and a TCP connection has none", "remove it, or write another rule");
    }
    true
}

fn methods(section: &Section<'_>) -> Option<Methods> {
    let Some(items) = list(section, "methods", "list at least one method; leave it out for any") else {
        return (!section.has("methods")).then_some(Methods::Any);
    };
    if items.iter().any(|item| item.value == "*") {
        if items.len() > 1 {
            section.problem("methods", "has * beside other methods", "write [\"*\"] alone, or list the methods");
        }
        return Some(Methods::Any);
    }
    let read = items.into_iter().map(|item| fields::each(section, item, method)).collect::<Vec<_>>();
    read.into_iter().collect::<Option<Vec<Method>>>().map(Methods::of)
}

/// A method as requests have it; methods are compared byte by byte, so one in lower case would never match.
pub(super) fn method(text: &str) -> Result<Method, (String, String)> {
    let upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if upper => Ok(method),
        _ => Err(("is no method".into(), "write it in capitals, as in \"GET\"".into())),
    }
}

fn paths(section: &Section<'_>) -> Option<Vec<PathPattern<'static>>> {
    if !section.has("paths") && !section.has("grpc") {
        section.problem("paths", "is missing", "write paths = [\"/…\"], where [\"/**\"] is every path, grpc = [\"…\"], or tcp = true");
    }
    list_of(section, "paths", "list at least one path", PathPattern::parse)
}

fn ports(section: &Section<'_>, context: &Context<'_>) -> Vec<u16> {
    let Some(numbers) = section.integers("ports") else { return Vec::new() };
    if numbers.is_empty() {
        section.problem("ports", "is an empty list", "list at least one port, or remove it");
    }
    numbers.into_iter().filter_map(|number| fields::port(section, &number.place, number.value, &context.listeners.ports)).collect()
}

fn sample(section: &Section<'_>) -> f32 {
    let Some(sample) = section.number("sample") else { return 1.0 };
    if !(0.0..=1.0).contains(&sample.value) {
        section.problem("sample", format!("is {}", sample.value), "write a share from 0.0 to 1.0");
    }
    // A share needs no more than single precision.
    #[allow(clippy::cast_possible_truncation)]
    let share = sample.value as f32;
    share
}

fn excepts(section: &Section<'_>, effect: Option<Effect>) -> Vec<Item<String>> {
    if section.has("except_rules") && matches!(effect, Some(Effect::Allow | Effect::Audit)) {
        section.problem("except_rules", "stands in a rule that denies nothing", "move it to the deny that shall spare these rules");
    }
    list(section, "except_rules", "name at least one rule, or remove it").unwrap_or_default()
}

fn check_audit(section: &Section<'_>, effect: Option<Effect>, mode: Mode) {
    if effect != Some(Effect::Audit) {
        return;
    }
    if mode != Mode::Enforce {
        section.problem("mode", "is shadow in an audit rule, which changes no outcome anyway", "remove it and shadow_until");
    }
    section.refuse("enforce_percent", "stands in an audit rule, which changes no outcome anyway", "remove it");
    section.refuse("sample", "stands in an audit rule, which records everything", "remove it");
}

/// `*` is the target of one method: a rule about others would only look like a rule about it.
fn check_asterisk(section: &Section<'_>, rule: &Draft) {
    let takes_it = rule.methods.contains(&Method::OPTIONS, methods::bit(&Method::OPTIONS));
    if !takes_it && rule.paths().any(|path| path.is_asterisk()) {
        section.problem("methods", "has no OPTIONS, and no other method has the target *", "add \"OPTIONS\", or remove \"*\" from paths");
    }
}

/// A broad allow says why it is broad.
fn check_why(section: &Section<'_>, rule: &Draft) {
    if rule.effect != Effect::Allow || rule.details.why.is_some() {
        return;
    }
    let From { any_authenticated, .. } = *rule.from;
    let broad = [
        (any_authenticated, "lets every authenticated caller in"),
        (rule.from.is_wild(), "has a wildcard in from"),
        (rule.methods == Methods::Any && !rule.details.tcp, "allows every method"),
        (rule.paths().any(|path| path.is_wild()), "has a ** in paths"),
        (rule.details.hosts.iter().any(HostPattern::is_wild), "has a * in hosts"),
        (rule.details.conditions.iter().any(|condition| condition.is_wild()), "has a /0 in source_ip"),
    ];
    if let Some((_, what)) = broad.into_iter().find(|(holds, _)| *holds) {
        section.problem("why", format!("is missing and the rule {what}"), "add why = \"…\", or name exactly what is allowed");
    }
}
