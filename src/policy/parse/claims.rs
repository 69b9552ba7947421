//! `claims` of a rule and of a case.

use super::Context;
use super::fields::{duration, each, list_of};
use crate::document::Section;
use crate::policy::condition::{ClaimOperator, ClaimTest};
use crate::policy::jwt::Claims;
use serde_json::Value;

type Wrong = (String, String);

const OPERATORS: [&str; 5] = ["eq", "in", "has", "any", "max_age"];

/// What to write in place of something that is no test.
const INSTEAD: &str = "write one of { eq = \"…\" }, { in = [\"…\"] }, { has = \"…\" }, { any = [\"…\"] }, { max_age = \"15m\" }";

/// Claims inside claims.
const DEPTH: usize = 4;

/// The most bytes of a claim's name, with those that lead to it: it goes into records as it is.
const MAX_NAME: usize = 256;

/// Reads the conditions; what is wrong is noted.
pub(super) fn read(rule: &Section<'_>, context: &Context<'_>) -> Vec<ClaimTest> {
    let Some(claims) = rule.section("claims") else { return Vec::new() };
    if context.issuers.iter().len() == 0 {
        rule.problem("claims", "stands in a table that believes no token", "add [[jwt_issuer]] with iss, aud, jwks and algs");
    }
    let mut tests = Vec::new();
    if claims.keys().is_empty() {
        rule.problem("claims", "is empty", "write a claim and what it must be, as in scope = { has = \"orders.read\" }");
    }
    inside(&claims, &[], context, &mut tests);
    tests
}

/// A table with an operator in it is a test of the claim of its name; any other one is a claim that holds claims.
fn inside(section: &Section<'_>, path: &[Box<str>], context: &Context<'_>, tests: &mut Vec<ClaimTest>) {
    for (name, inner) in section.named_sections(INSTEAD) {
        let path: Box<[Box<str>]> = path.iter().cloned().chain([name.value.as_str().into()]).collect();
        let length: usize = path.iter().map(|name| name.len() + 1).sum();
        if name.value.is_empty() || length > MAX_NAME {
            section.document().report(
                name.place,
                "is no name of a claim: it is empty or longer than 255 bytes",
                "write it as tokens have it",
            );
            continue;
        }
        let is_test = OPERATORS.iter().any(|operator| inner.has(operator));
        if is_test {
            tests.extend(test(inner, path, context));
        } else if inner.keys().is_empty() || path.len() == DEPTH {
            section.document().report(name.place, "has no operator", INSTEAD);
        } else {
            inside(&inner, &path, context, tests);
        }
    }
}

fn test(section: Section<'_>, path: Box<[Box<str>]>, context: &Context<'_>) -> Option<ClaimTest> {
    let operator = operator(&section);
    if path.len() == 1 && path.iter().all(|name| **name == *"iss") {
        issuers(&section, operator.as_ref(), context);
    }
    let document = section.document();
    let place = section.place();
    let written = OPERATORS.iter().filter(|operator| section.has(operator)).count();
    section.close();
    if written > 1 {
        document.report(place, "has more than one operator", "write one; two tests of one claim are two rules");
        return None;
    }
    Some(ClaimTest { path, operator: operator? })
}

fn operator(section: &Section<'_>) -> Option<ClaimOperator> {
    let eq = equal(section).map(|value| ClaimOperator::In([value].into()));
    let any_of = list_of(section, "in", "list at least one value", |text| Ok::<_, Wrong>(Value::from(text)));
    let has = section.str("has").and_then(|item| each(section, item, member)).map(|value| ClaimOperator::Any([value].into()));
    let any = list_of(section, "any", "list at least one value", member);
    eq.or(any_of.map(|values| ClaimOperator::In(values.into())))
        .or(has)
        .or(any.map(|values| ClaimOperator::Any(values.into())))
        .or(duration(section, "max_age").map(ClaimOperator::MaxAge))
}

/// A string, a whole number, or true or false.
fn equal(section: &Section<'_>) -> Option<Value> {
    match section.kind("eq") {
        Some("integer") => section.integer("eq").map(|item| item.value.into()),
        Some("boolean") => section.bool("eq").map(|item| item.value.into()),
        _ => section.str("eq").map(|item| item.value.into()),
    }
}

fn member(text: &str) -> Result<Box<str>, Wrong> {
    if text.is_empty() { Err(("is empty".into(), "write the member that must be there".into())) } else { Ok(text.into()) }
}

/// A rule about an issuer that the table does not have would never match, or deny nobody.
fn issuers(section: &Section<'_>, operator: Option<&ClaimOperator>, context: &Context<'_>) {
    let known: Vec<&str> = context.issuers.iter().map(|issuer| &*issuer.iss).collect();
    let instead = || format!("write one that has a [[jwt_issuer]]: {}", known.join(", "));
    match operator {
        Some(ClaimOperator::In(values)) => {
            for unknown in values.iter().filter(|value| !value.as_str().is_some_and(|iss| known.contains(&iss))) {
                section.document().report(section.place(), format!("{unknown} is no issuer of this table"), instead());
            }
        }
        Some(_) => section.document().report(section.place(), "is compared as a whole", "write { eq = \"…\" } or { in = [\"…\"] }"),
        None => {}
    }
}

/// Reads the claims that a case is decided with, as if a token with them had been verified.
pub(super) fn of_case(case: &Section<'_>, context: &Context<'_>) -> Option<Claims> {
    let claims = case.section("claims")?;
    let read = claims.json();
    match read.get("iss") {
        _ if context.issuers.iter().len() == 0 => {
            case.problem("claims", "stands in a table that believes no token", "add [[jwt_issuer]] with iss, aud, jwks and algs");
        }
        Some(Value::String(iss)) if context.issuers.named(iss).is_some() => {}
        _ => case.problem("claims", "has no iss of this table", "write iss = \"…\", which has a [[jwt_issuer]]"),
    }
    Some(Claims::new(read))
}
