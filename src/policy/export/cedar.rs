//! A table as policies of Cedar: a `permit` or a `forbid` for each rule, whose conditions are over `context`.

use super::expression::{Attribute, Expression, quoted};
use super::{Gap, headers, methods, of_rule, of_table, source};
use crate::identity::pattern::{Part, PrincipalPattern};
use crate::policy::Table;
use crate::policy::condition::Operator;
use crate::policy::pattern::{Affix, PathPattern, Step};
use crate::policy::rule::{Effect, Rule};
use std::fmt::Write as _;

const HEAD: &str = "// Made by `countersign policy export --cedar`. Of a request with a verified caller, context has: caller, method, path and host (texts, canonical, the path
// without query, the host without port), port (a number), source_ip (an ipaddr), headers (a record: each header field that is there once, by its name).
";

/// The policies.
///
/// # Errors
/// What they cannot say; nothing is left out but what decides nothing, which is named in a comment.
pub fn cedar(table: &Table) -> Result<String, Vec<Gap>> {
    let mut gaps = of_table(table);
    let mut text = HEAD.to_owned();
    for rule in &table.rules {
        if rule.effect == Effect::Audit {
            let _ = write!(text, "\n// The audit rule {} decides nothing.\n", rule.facts.id);
            continue;
        }
        gaps.extend(of_rule(rule));
        match condition(rule) {
            Ok(all) => {
                let effect = if rule.effect == Effect::Allow { "permit" } else { "forbid" };
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                let id = quoted(&rule.facts.id);
                let _ = write!(text, "\n@id({id})\n{effect} (principal, action, resource)\nwhen {{\n  {}\n}};\n", all.join(" &&\n  "));
            }
            Err(gap) => gaps.push(gap),
        }
    }
    if gaps.is_empty() { Ok(text) } else { Err(gaps) }
}

/// All of these must be so.
pub(super) fn condition(rule: &Rule) -> Result<Vec<Expression>, Gap> {
    let mut all = Vec::new();
    if !rule.from.any_authenticated {
        all.push(any(rule.from.patterns().map(|pattern| caller(rule, pattern)))?);
    }
    if let Some(methods) = methods(rule) {
        all.push(Expression::Any(methods.into_iter().map(|method| Expression::Is(Attribute::Method, method.to_owned())).collect()));
    }
    all.push(any(rule.paths().map(|pattern| path(rule, &pattern)))?);
    if !rule.hosts.is_empty() {
        all.push(any(rule.hosts.iter().map(|host| self::host(rule, host.as_str())))?);
    }
    if !rule.ports.is_empty() {
        all.push(Expression::Any(rule.ports.iter().copied().map(Expression::IsPort).collect()));
    }
    for test in headers(rule) {
        let attribute = || Attribute::Header(test.name.as_str().to_owned());
        all.push(Expression::Has(test.name.as_str().to_owned()));
        match &test.operator {
            Operator::Present => {}
            Operator::Prefix(begin) => all.push(Expression::Like(attribute(), vec![begin.to_string(), String::new()])),
            Operator::In(values) => {
                all.push(Expression::Any(values.iter().map(|value| Expression::Is(attribute(), value.to_string())).collect()))
            }
        }
    }
    if let Some(networks) = source(rule) {
        all.push(Expression::Any(networks.into_iter().map(Expression::InRange).collect()));
    }
    Ok(all)
}

fn any(all: impl Iterator<Item = Result<Expression, Gap>>) -> Result<Expression, Gap> {
    Ok(Expression::Any(all.collect::<Result<Vec<_>, _>>()?))
}

fn caller(rule: &Rule, pattern: &PrincipalPattern) -> Result<Expression, Gap> {
    let text = pattern.as_str();
    let Some(id) = text.strip_prefix("spiffe://") else {
        if pattern.is_wild() {
            return Err(Gap::new(rule, "from", format!("`{text}` is one label, and a star is any text there")));
        }
        return Ok(Expression::Is(Attribute::Caller, text.to_owned()));
    };
    // The scheme and its slashes are segments like others.
    let scheme = ["spiffe:", ""].into_iter().map(Step::Literal);
    let parts: Vec<Step<'_>> = scheme
        .chain(id.split('/').filter(|part| *part != "**").map(|part| if part == "*" { Step::Any } else { Step::Literal(part) }))
        .collect();
    let rest = pattern.parts().any(|part| part == Part::Rest);
    like(Attribute::Caller, &parts, rest, "/")
        .ok_or_else(|| Gap::new(rule, "from", format!("`{text}` has a wildcard before its **, and a star is any text there")))
}

fn path(rule: &Rule, pattern: &PathPattern<'_>) -> Result<Expression, Gap> {
    let text = pattern.as_str();
    let shape = pattern.shape();
    // What stands between may not end inside of an escape, which nobody looks at there.
    let cuts = |step: &Step<'_>| matches!(step, Step::Between(Affix { after, .. }) if after.starts_with(|c: char| c.is_ascii_hexdigit()));
    if shape.steps.iter().any(cuts) {
        return Err(Gap::new(rule, "paths", format!("`{text}` goes on with a hexadecimal digit, which may be part of an escape")));
    }
    like(Attribute::Path, &shape.steps, shape.rest, "/")
        .ok_or_else(|| Gap::new(rule, "paths", format!("`{text}` has a name before its **, and a star is any text there")))
}

fn host(rule: &Rule, text: &str) -> Result<Expression, Gap> {
    let steps: Vec<Step<'_>> = text.split('.').map(|label| if label == "*" { Step::Any } else { Step::Literal(label) }).collect();
    let like = like(Attribute::Host, &steps, false, ".").ok_or_else(|| Gap::new(rule, "hosts", text))?;
    if !steps.contains(&Step::Any) {
        return Ok(like);
    }
    // An address in brackets has no labels.
    let address = Expression::Like(Attribute::Host, vec!["[".to_owned(), String::new()]);
    Ok(Expression::All(vec![like, Expression::Not(Box::new(address))]))
}

/// Steps with something between them. A star is any text there, also one with separators: so these are counted, and with as many as the pattern has, each
/// star stands for one step.
fn like(attribute: Attribute, steps: &[Step<'_>], rest: bool, between: &str) -> Option<Expression> {
    let is_wild = |step: &Step<'_>| !matches!(step, Step::Literal(_));
    let texts = texts(steps, between, None);
    match (steps.iter().any(is_wild), rest) {
        (false, false) => return Some(Expression::Is(attribute, texts.concat())),
        (false, true) => return Some(Expression::Like(attribute, vec![texts.concat() + between, String::new()])),
        (true, true) => return None,
        (true, false) => {}
    }
    let more =
        std::iter::once(String::new()).chain((1..steps.len()).map(|_| between.to_owned())).chain([between.to_owned(), String::new()]);
    let more = Expression::Like(attribute.clone(), more.collect());
    let mut all = vec![Expression::Like(attribute.clone(), texts), Expression::Not(Box::new(more))];
    // No step stands for nothing.
    for (index, _) in steps.iter().enumerate().filter(|(_, step)| is_wild(step)) {
        all.push(Expression::Not(Box::new(Expression::Like(attribute.clone(), self::texts(steps, between, Some(index))))));
    }
    Some(Expression::All(all))
}

/// What stands literally, with a star between one text and the next; the step `empty` stands for nothing.
fn texts(steps: &[Step<'_>], between: &str, empty: Option<usize>) -> Vec<String> {
    let mut texts = vec![String::new()];
    for (index, step) in steps.iter().enumerate() {
        if index > 0 {
            push(&mut texts, between);
        }
        let (before, after) = match step {
            Step::Literal(text) => {
                push(&mut texts, text);
                continue;
            }
            Step::Any => ("", ""),
            Step::Between(Affix { before, after }) => (*before, *after),
        };
        push(&mut texts, before);
        if empty != Some(index) {
            texts.push(String::new());
        }
        push(&mut texts, after);
    }
    texts
}

fn push(texts: &mut [String], text: &str) {
    if let Some(last) = texts.last_mut() {
        last.push_str(text);
    }
}
