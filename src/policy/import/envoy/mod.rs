//! RBAC of Envoy: `config.rbac.v3.RBAC`, alone or inside of the HTTP filter, as JSON or YAML.

mod permission;
mod principal;
mod text;

use super::Read;
use super::compile::Asked;
use super::expr::Expr;
use super::fields::{At, Fields, Findings};
use super::node::{Node, Value};
use crate::document::Position;
use crate::policy::rule::Effect;
use text::Reading;

/// What stands around the rules and says nothing about requests.
const AROUND: [&str; 5] = ["rules_stat_prefix", "shadow_rules_stat_prefix", "track_per_rule_stats", "name", "disabled"];

const ACTION: &str = "write ALLOW, DENY or LOG";

/// Reads the rules of a filter.
pub(super) fn read(documents: &[Node], findings: &Findings<'_>) -> Read {
    let mut read = Read { rules: Vec::new(), notes: Vec::new(), premises: Vec::new(), origin: findings.file.to_owned() };
    match documents {
        [node] => filter(&At { node, path: String::new() }, findings, &mut read),
        [] => findings.problem(Position::default(), "is empty", "give the rules of a filter"),
        [_, second, ..] => findings.problem(second.position(""), "begins a second document", "give one filter"),
    }
    read
}

/// The filter, what is around it, or its rules alone.
fn filter(at: &At<'_>, findings: &Findings<'_>, read: &mut Read) {
    let Some(fields) = at.fields(findings) else { return };
    if let Some(kind) = fields.string("@type").filter(|kind| !kind.contains(".rbac.v3.RBAC")) {
        findings.problem(at.position(), format!("is a `{kind}`"), "give a filter or rules of RBAC, v3");
    }
    if let Some(inner) = fields.take_either("typed_config") {
        AROUND.iter().for_each(|name| drop(fields.take_either(name)));
        fields.close();
        return filter(&inner, findings, read);
    }
    if is_filter(at) {
        return around(fields, findings, read);
    }
    rules(fields, findings, read);
}

fn is_filter(at: &At<'_>) -> bool {
    const KEYS: [&str; 6] = ["rules", "shadow_rules", "shadowRules", "matcher", "shadow_matcher", "shadowMatcher"];
    matches!(&at.node.value, Value::Map(entries) if entries.is_empty() || entries.iter().any(|(key, _)| KEYS.contains(&key.text.as_str())))
}

fn around(fields: Fields<'_, '_>, findings: &Findings<'_>, read: &mut Read) {
    AROUND.iter().for_each(|name| drop(fields.take_either(name)));
    for name in ["shadow_rules", "shadow_matcher"] {
        if fields.take_either(name).is_some() {
            read.notes.push(format!("{name} is not in this table: it changes nothing; import it by itself, as a candidate"));
        }
    }
    let (inner, matcher) = (fields.take_either("rules"), fields.take_either("matcher"));
    let at = fields.at.clone();
    fields.close();
    match (inner, matcher) {
        (_, Some(matcher)) => {
            let what = "decides by a tree of matchers, which is not read: the table allows nothing";
            findings.gap("matcher", matcher.position(), what, "write it as rules, in the filter or by hand");
        }
        (Some(inner), None) => {
            if let Some(fields) = inner.fields(findings) {
                rules(fields, findings, read);
            }
        }
        (None, None) => {
            read.notes.push("the filter has no rules: everything is allowed".to_owned());
            read.rules.push(everything(&at));
        }
    }
}

fn rules(fields: Fields<'_, '_>, findings: &Findings<'_>, read: &mut Read) {
    let effect = action(&fields, findings);
    if fields.take_either("audit_logging_options").is_some() {
        read.notes.push("audit_logging_options is not in this table: it changes nothing".to_owned());
    }
    let policies = fields.take("policies");
    let at = fields.at.clone();
    fields.close();
    match policies.as_ref().map(|policies| (policies, &policies.node.value)) {
        Some((policies, Value::Map(entries))) => {
            for (key, node) in entries {
                let at = At { node, path: format!("{}[{}]", policies.path, key.text) };
                policy(&at, &key.text, effect, findings, read);
            }
        }
        Some((policies, _)) => {
            findings.problem(policies.position(), format!("is {} and no mapping", policies.node.kind()), "write policies by their names");
        }
        None => read.notes.push("there are no policies: nothing meets them".to_owned()),
    }
    if effect != Effect::Allow {
        read.rules.push(everything(&at));
    }
}

/// What is neither refused nor has to be allowed.
fn everything(at: &At<'_>) -> Asked {
    Asked {
        id: "everything-else".to_owned(),
        origin: "what no policy has to allow".to_owned(),
        at: at.position(),
        effect: Effect::Allow,
        expr: Expr::ALWAYS,
    }
}

fn action(fields: &Fields<'_, '_>, findings: &Findings<'_>) -> Effect {
    let Some(action) = fields.take("action") else { return Effect::Allow };
    match (action.node.string(), action.node.number()) {
        (Some("ALLOW"), _) | (_, Some(0)) => Effect::Allow,
        (Some("DENY"), _) | (_, Some(1)) => Effect::Deny,
        (Some("LOG"), _) | (_, Some(2)) => Effect::Audit,
        _ => {
            findings.problem(action.position(), "is no action", ACTION);
            Effect::Deny
        }
    }
}

/// One policy: one of its permissions, and one of its principals.
fn policy(at: &At<'_>, name: &str, effect: Effect, findings: &Findings<'_>, read: &mut Read) {
    let Some(fields) = at.fields(findings) else { return };
    let origin = format!("policy {name}");
    let reading = Reading { findings, rule: &origin };
    let mut all = Vec::new();
    for list in ["permissions", "principals"] {
        let Some(items) = fields.take(list) else {
            findings.problem(at.position(), format!("has no {list}"), format!("write {list}, at least one"));
            continue;
        };
        let one = |item: &At<'_>| if list == "permissions" { reading.permission(item) } else { reading.principal(item) };
        all.push(Expr::any(items.items(findings).iter().map(one)));
    }
    for condition in ["condition", "checked_condition", "cel_config"] {
        if let Some(condition) = fields.take_either(condition) {
            all.push(reading.gap(&condition, "is an expression of CEL", "write headers, when and claims by hand"));
        }
    }
    fields.close();
    read.rules.push(Asked { id: name.to_owned(), origin, at: at.position(), effect, expr: Expr::all(all) });
}
