//! Patterns and methods that miss what stands beside them.

use super::{Around, Findings, Lint, RuleOutline, Severity};
use crate::document::Position;
use crate::policy::Table;
use crate::policy::methods::{self, Methods};
use crate::policy::pattern::{PathPattern, Shape};
use crate::policy::rule::{Effect, Rule};
use crate::policy::space::{Alphabet, Budget, ways};
use crate::request::{PathError, Strictness, canonical_path};
use http::Method;

/// The work for one pattern, which meets no other here.
const WORK: u64 = 10_000;

/// The most patterns that are compared with paths above others, over the whole table: about a second.
const COMPARED: usize = 10_000_000;

pub(super) fn look(table: &Table, around: &Around, findings: &mut Findings<'_>) {
    let patterns: usize = table.rules.iter().map(|rule| rule.facts.templates().count()).sum();
    let mut left = Some(COMPARED);
    for (index, rule) in table.rules.iter().enumerate() {
        head(index, rule, findings);
        connect(index, rule, findings);
        for (at, path) in rule.facts.templates().enumerate() {
            if let Some(above) = above(path) {
                match left.map(|left| left.checked_sub(patterns)) {
                    Some(Some(less)) => {
                        left = Some(less);
                        root((index, rule), at, (path, &above), table, findings);
                    }
                    Some(None) => {
                        left = None;
                        let what = format!(
                            "whether something is about {above}, as about what is below it, was not found out, nor for what follows"
                        );
                        let said = (what, "there are too many patterns; look at them by hand");
                        findings.rule(index, rule, path_place(at), Lint::NotAnalysed, Severity::Note, said);
                    }
                    None => {}
                }
            }
            unmatchable((index, rule), at, path, &around.strictness, findings);
        }
        if rule.is_grpc() && around.is_http1 {
            let what = format!("rule `{}` is about gRPC, which needs HTTP/2, and the app is spoken to in HTTP/1.1", rule.facts.id);
            let instead = "let the app speak HTTP/2 and write app_protocol = \"h2c\"";
            findings.rule(index, rule, path_place(0), Lint::GrpcNeedsHttp2, Severity::Warning, (what, instead));
        }
    }
}

fn path_place(at: usize) -> impl Fn(&RuleOutline) -> Position {
    move |places| places.paths.get(at).cloned().unwrap_or_default()
}

/// How bad it is to miss something: what a deny misses passes.
fn severity(rule: &Rule) -> Severity {
    if rule.effect == Effect::Deny { Severity::Warning } else { Severity::Note }
}

/// HEAD asks for what GET would give (RFC 9110, section 9.3.2).
fn head(index: usize, rule: &Rule, findings: &mut Findings<'_>) {
    let has = |method: &Method| rule.methods.contains(method, methods::bit(method));
    if has(&Method::GET) && !has(&Method::HEAD) {
        let does = if rule.effect == Effect::Deny { "denies GET and lets HEAD pass" } else { "is about GET and not about HEAD" };
        let what = format!("rule `{}` {does}, which asks for the same without its body", rule.facts.id);
        findings.rule(
            index,
            rule,
            |places| places.methods.clone(),
            Lint::GetWithoutHead,
            severity(rule),
            (what, "add \"HEAD\" to methods"),
        );
    }
}

fn connect(index: usize, rule: &Rule, findings: &mut Findings<'_>) {
    if let Methods::Of(written) = &rule.methods
        && written.all.contains(&Method::CONNECT)
    {
        let what = format!("rule `{}` names CONNECT, which is refused before any rule is looked at", rule.facts.id);
        let instead = "remove it; a WebSocket over HTTP/2 is decided as GET";
        findings.rule(index, rule, |places| places.methods.clone(), Lint::Unmatchable, Severity::Warning, (what, instead));
    }
}

/// Of `/a/**`, a path that it begins with and does not match: `/a`.
fn above(path: &str) -> Option<String> {
    let shape = Shape::of_path(path);
    if shape.rest && shape.steps.len() > 1 { example(&Shape { rest: false, ..shape }) } else { None }
}

/// Notes a pattern whose path above is nobody's.
fn root((index, rule): (usize, &Rule), at: usize, (path, above): (&str, &str), table: &Table, findings: &mut Findings<'_>) {
    let alike = |other: &&Rule| other.effect == rule.effect && (other.from == rule.from || other.from.any_authenticated);
    if table.rules.iter().filter(alike).any(|other| other.template(above).is_some()) {
        return;
    }
    let written = path.trim_end_matches("/**");
    let what = format!("rule `{}` is about everything below {written} and not about {written} itself", rule.facts.id);
    let instead = "add it to paths, unless it is meant to be left out";
    findings.rule(index, rule, path_place(at), Lint::SubtreeWithoutRoot, severity(rule), (what, instead));
}

/// A path that the listener refuses never comes to a rule.
fn unmatchable((index, rule): (usize, &Rule), at: usize, path: &str, strictness: &Strictness, findings: &mut Findings<'_>) {
    if PathPattern::of(path).is_asterisk() {
        return;
    }
    let Some(example) = example(&Shape::of_path(path)) else { return };
    let Err(error) = canonical_path(&example, strictness) else { return };
    let what = format!("no request can match {path} of rule `{}`: the listener refuses such paths ({error})", rule.facts.id);
    let instead = match error {
        PathError::Params => "write path_params = \"allow\" in [inbound], or remove the pattern",
        _ => "write escapes = \"opaque\" in [inbound], or remove the pattern",
    };
    findings.rule(index, rule, path_place(at), Lint::Unmatchable, Severity::Warning, (what, instead));
}

/// A path that it takes in.
fn example(shape: &Shape<'_>) -> Option<String> {
    let ways = ways(shape, &[], Alphabet::Path, &mut Budget::new(WORK)).ok()?;
    ways.first().map(|way| way.example.join("/"))
}
