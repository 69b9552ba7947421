//! `headers` of a rule.

use super::Context;
use super::fields::{each, list_of};
use crate::document::Section;
use crate::policy::condition::{HeaderTest, Operator};
use crate::request::reserved::{self, Reserved};
use http::HeaderName;

type Wrong = (String, String);

/// The most bytes of a header name: it goes into records as it is.
const MAX_NAME: usize = 256;

/// Reads the conditions; what is wrong is noted.
pub(super) fn read(rule: &Section<'_>, context: &Context<'_>) -> Vec<HeaderTest> {
    let Some(entries) = rule.sections_if_present("headers") else { return Vec::new() };
    if entries.is_empty() {
        rule.problem("headers", "is an empty list", "list at least one condition, or remove it");
    }
    let mut tests: Vec<HeaderTest> = Vec::new();
    for section in entries {
        let name = name(&section, context);
        let operator = operator(&section);
        let place = section.place_of("name");
        section.close();
        let (Some(name), Some(operator)) = (name, operator) else { continue };
        if tests.iter().any(|test| test.name == name) {
            let what = format!("`{name}` has a condition in this rule already");
            rule.document().report(place, what, "write one condition with in = [\"…\"], or two rules");
        }
        tests.push(HeaderTest { name, operator });
    }
    tests
}

fn name(section: &Section<'_>, context: &Context<'_>) -> Option<HeaderName> {
    if !section.has("name") {
        section.problem("name", "is missing", "write name = \"x-tenant\"");
    }
    let item = section.str("name")?;
    each(section, item, |text| decidable(text, &context.listeners.reserved))
}

/// A name that a rule can decide on: what a client sends under it reaches the app as it is, or not at all.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(in crate::policy) fn decidable(text: &str, reserved: &Reserved) -> Result<HeaderName, Wrong> {
    let wrong = |what: &str, instead: &str| Err((what.to_owned(), instead.to_owned()));
    if text.starts_with(':') {
        return wrong("is a pseudo-header of HTTP/2", "use methods, paths and hosts");
    }
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return wrong("is no header name", "write letters, digits and dashes, as in \"x-tenant\"");
    };
    match name.as_str() {
        long if long.len() > MAX_NAME => wrong("is longer than 256 bytes", "write the name of a header that exists"),
        "host" => wrong("is decided on by hosts", "write hosts = [\"…\"]"),
        "cookie" => wrong("holds many values, which HTTP/2 clients send in pieces", "decide on a header of one value"),
        "sec-websocket-key" => wrong("is made anew for a WebSocket that comes over HTTP/2", "decide on a header that is forwarded"),
        _ if reserved::is_of_one_leg(&name) => {
            wrong("concerns one connection and never reaches the app as it was sent", "decide on a header that is forwarded")
        }
        _ if reserved.contains(&name) => wrong(
            "is stripped from requests, since anybody could write it",
            "decide by from, paths and hosts, or on a header that is forwarded",
        ),
        _ => Ok(name),
    }
}

fn operator(section: &Section<'_>) -> Option<Operator> {
    const INSTEAD: &str = "write one of eq = \"…\", in = [\"…\"], prefix = \"…\", present = true";
    let written = ["eq", "in", "prefix", "present"].into_iter().filter(|key| section.has(key)).count();
    let eq = section.str("eq").and_then(|item| each(section, item, value)).map(|value| Operator::In([value].into()));
    let any = list_of(section, "in", "list at least one value", value).map(|values| Operator::In(values.into()));
    let prefix = section.str("prefix").and_then(|item| each(section, item, prefix)).map(Operator::Prefix);
    let present = section.bool("present");
    if present.as_ref().is_some_and(|present| !present.value) {
        section.problem("present", "is false, and there is no `not`", "write a deny rule with present = true");
    }
    match written {
        0 => section.problem("name", "stands without an operator", INSTEAD),
        1 => return eq.or(any).or(prefix).or(present.filter(|present| present.value).map(|_| Operator::Present)),
        _ => section.problem("name", "has more than one operator", INSTEAD),
    }
    None
}

/// A value as requests have it; any other would never match.
fn value(text: &str) -> Result<Box<str>, Wrong> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        let what = "has a byte that is not printable ASCII";
        return Err((what.to_owned(), "write ASCII; requests with anything else in this header are refused".to_owned()));
    }
    if text.trim_matches([' ', '\t']).len() != text.len() {
        let what = "begins or ends with a blank";
        return Err((what.to_owned(), "remove it; requests with such values are refused".to_owned()));
    }
    Ok(text.into())
}

fn prefix(text: &str) -> Result<Box<str>, Wrong> {
    if text.is_empty() {
        return Err(("is what every value begins with".to_owned(), "write present = true".to_owned()));
    }
    // A prefix may end with a blank, since a value may have one there.
    value(text.trim_end_matches([' ', '\t'])).map(|_| text.into())
}
