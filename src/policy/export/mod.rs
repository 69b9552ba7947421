//! A table in the words of others, where these say exactly the same; otherwise what is in the way.

mod cedar;
mod expression;
mod istio;
#[cfg(test)]
mod tests;

pub use cedar::cedar;
pub use istio::{Named, istio};

use super::Table;
use super::condition::{HeaderTest, Operator, SourceTest, Test};
use super::rule::{Effect, Mode, Rule};
use super::standing::Percent;
use std::collections::BTreeSet;

/// What others cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The rule that says it; empty: the table as a whole does.
    pub rule: String,
    /// The field that says it.
    pub field: &'static str,
    /// Why it cannot be said.
    pub what: String,
}

impl Gap {
    fn new(rule: &Rule, field: &'static str, what: impl Into<String>) -> Self {
        Self { rule: rule.facts.id.clone(), field, what: what.into() }
    }
}

/// What stands at the head of a table and is said by nobody else.
fn of_table(table: &Table) -> Vec<Gap> {
    let gap = |field, what: &str| Gap { rule: String::new(), field, what: what.to_owned() };
    let mode = (table.mode != Mode::Enforce).then(|| gap("mode", "a trial is not enforced, and the export would be"));
    let percent = (table.percent != Percent::ALL).then(|| gap("enforce_percent", "a share of identities has no counterpart"));
    let egress = (!table.egress.is_empty()).then(|| gap("egress", "is about what the service asks of others"));
    [mode, percent, egress].into_iter().flatten().collect()
}

/// What of a rule is said by nobody else.
fn of_rule(rule: &Rule) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let fields = [
        (rule.mode != Mode::Enforce, "mode", "a trial is not enforced, and the export would be"),
        (rule.percent != Percent::ALL, "enforce_percent", "a share of identities has no counterpart"),
        (rule.expires.is_some(), "expires", "rules end at no time there"),
        (!rule.excepts.is_empty(), "except_rules", "a deny spares no allow there"),
        (rule.tcp, "tcp", "is about connections and no request"),
        (rule.is_grpc(), "grpc", "asks for a class of content types"),
    ];
    gaps.extend(fields.into_iter().filter(|(there, ..)| *there).map(|(_, field, what)| Gap::new(rule, field, what)));
    for condition in &rule.conditions {
        match condition.test() {
            Test::Header(test) => gaps.extend(of_header(rule, test)),
            Test::Source(_) => {}
            Test::Tls(_) => gaps.push(Gap::new(rule, "when.tls", "the channel has no counterpart")),
            Test::Tag(_) => gaps.push(Gap::new(rule, "when.principal_tag", "tags of an identity have no counterpart")),
            Test::CertAge(_) => gaps.push(Gap::new(rule, "when.cert_age", "the age of a certificate has no counterpart")),
            Test::Time(_) => gaps.push(Gap::new(rule, "when.time", "hours have no counterpart")),
            Test::Claim(_) => gaps.push(Gap::new(rule, "claims", "who verifies tokens there is configured elsewhere")),
        }
    }
    gaps
}

/// A deny is met by a list of which one member alone fits (`user,admin`): others compare the value as a whole, and would let it pass.
fn of_header(rule: &Rule, test: &HeaderTest) -> Option<Gap> {
    let compares = !matches!(test.operator, Operator::Present);
    (rule.effect == Effect::Deny && compares)
        .then(|| Gap::new(rule, "headers", format!("a deny is met by one member of a list in {}, and others compare all of it", test.name)))
}

/// The header fields that must fit.
fn headers(rule: &Rule) -> impl Iterator<Item = &HeaderTest> {
    rule.conditions.iter().filter_map(|condition| match condition.test() {
        Test::Header(test) => Some(test),
        _ => None,
    })
}

/// The networks of the TCP peer; `None`: any.
fn source(rule: &Rule) -> Option<Vec<String>> {
    let test = rule.conditions.iter().find_map(|condition| match condition.test() {
        Test::Source(test) => Some(test),
        _ => None,
    });
    test.map(SourceTest::networks)
}

/// The methods that a rule lists; `None`: any.
fn methods(rule: &Rule) -> Option<Vec<&str>> {
    match &rule.methods {
        super::methods::Methods::Any => None,
        super::methods::Methods::Of(written) => Some(written.all.iter().map(http::Method::as_str).collect()),
    }
}

/// Whether a rule is about every target, so that others need not be told any.
fn is_about_every_path(rule: &Rule) -> bool {
    let templates: BTreeSet<&str> = rule.facts.templates().collect();
    let has_options = methods(rule).is_none_or(|methods| methods.contains(&"OPTIONS"));
    templates.contains("/**") && (templates.contains("*") || !has_options)
}
