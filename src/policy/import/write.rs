//! Rules as the text of a table.

use super::compile::Made;
use super::matching::{Header, Match, Wanted};
use super::{Gap, Header as Head};
use crate::identity::pattern::PrincipalPattern;
use crate::policy::rule::Effect;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The text of a table with these rules.
pub(super) fn table(head: &Head<'_>, made: &[Made], notes: &[String], gaps: &[Gap]) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("Made by `countersign policy import` of {}.", head.origin));
    comment(&mut text, "Every caller has a certificate: what said nothing about callers is about all of them.");
    for premise in head.premises {
        comment(&mut text, premise);
    }
    for note in notes {
        comment(&mut text, note);
    }
    for Gap { rule, problem } in gaps {
        comment(&mut text, &format!("Not expressed, {rule}: {problem}"));
    }
    let _ = write!(text, "schema = 1\nname = {}\n", quoted(head.name));
    made.iter().for_each(|rule| self::rule(&mut text, rule));
    text
}

fn rule(text: &mut String, made: &Made) {
    let Made { id, origin, effect, like, excepts } = made;
    text.push('\n');
    comment(text, origin);
    let _ = write!(text, "[[rule]]\nid = {}\neffect = {}\n", quoted(id), quoted(effect.as_str()));
    if *effect == Effect::Allow {
        let _ = writeln!(text, "why = {}", quoted(&format!("imported: {}", printable(origin))));
    }
    let _ = writeln!(text, "from = {}", from(like.from.as_deref()));
    if let Some(methods) = &like.methods {
        let _ = writeln!(text, "methods = {}", list(methods));
    }
    let _ = writeln!(text, "paths = {}", paths(like));
    if let Some(hosts) = &like.hosts {
        let _ = writeln!(text, "hosts = {}", list(hosts));
    }
    if let Some(ports) = &like.ports {
        let ports: BTreeSet<u16> = ports.iter().copied().collect();
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let _ = writeln!(text, "ports = [{}]", ports.join(", "));
    }
    if !like.headers.is_empty() {
        let headers: Vec<String> = like.headers.iter().map(header).collect();
        let _ = writeln!(text, "headers = [{}]", headers.join(", "));
    }
    if !excepts.is_empty() {
        let _ = writeln!(text, "except_rules = {}", list(excepts));
    }
    if let Some(networks) = &like.networks {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "when.source_ip = {{ in = {} }}", list(&networks));
    }
}

fn from(patterns: Option<&[PrincipalPattern]>) -> String {
    let Some(patterns) = patterns else { return "{ any_authenticated = true }".to_owned() };
    let (spiffe, dns): (Vec<&str>, Vec<&str>) = patterns.iter().map(PrincipalPattern::as_str).partition(|text| text.contains("://"));
    let kinds = [("spiffe", spiffe), ("dns_san", dns)];
    let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| format!("{kind} = {}", list(&names)));
    format!("{{ {} }}", kinds.collect::<Vec<_>>().join(", "))
}

/// Every target, where the rule asks for none: also that of `OPTIONS *`.
fn paths(like: &Match) -> String {
    match (&like.paths, &like.methods) {
        (Some(paths), _) => list(paths),
        (None, Some(methods)) if methods.iter().all(|method| method != "OPTIONS") => list(&["/**"]),
        (None, _) => list(&["/**", "*"]),
    }
}

fn header(header: &Header) -> String {
    let wanted = match &header.wanted {
        Wanted::In(values) => format!("in = {}", list(values)),
        Wanted::Prefix(begin) => format!("prefix = {}", quoted(begin)),
        Wanted::Present => "present = true".to_owned(),
    };
    format!("{{ name = {}, {wanted} }}", quoted(&header.name))
}

/// Each once, in the order of the first.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    let mut seen = BTreeSet::new();
    let items: Vec<String> = items.iter().map(AsRef::as_ref).filter(|item| seen.insert(*item)).map(quoted).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn comment(text: &mut String, line: &str) {
    let _ = writeln!(text, "# {}", printable(line));
}

/// What stands in a comment ends with its line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
