//! Callers by paths, with what each may do there.

use super::enforced;
use super::who_can::conditions;
use crate::identity::Principal;
use crate::identity::pattern::PrincipalPattern;
use crate::policy::methods::{self, Methods};
use crate::policy::pattern::{PathPattern, Shape};
use crate::policy::principals::shape;
use crate::policy::rule::{Effect, Rule};
use crate::policy::space::{Alphabet, Budget, Exhausted, identity, ways};
use crate::policy::{Part, Tables, moment};
use http::Method;
use std::time::SystemTime;

/// The work that one table may take, in half-read patterns.
const WORK: u64 = 50_000_000;

/// What stands for every method that no rule names.
const OTHER: &str = "OTHER";

/// Callers by paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The path patterns of the rules, each once.
    pub paths: Vec<String>,
    /// A row for each pattern of callers: its text, and a cell for each path.
    pub rows: Vec<(String, Vec<Cell>)>,
    /// Callers and paths that were left out.
    pub left_out: (usize, usize),
    /// When it holds, as records write times.
    pub at: String,
}

/// What a caller may do with a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// Methods that it may use; `any`: all.
    pub always: Vec<String>,
    /// Methods that it may use when conditions hold.
    pub sometimes: Vec<String>,
}

/// A rule, with its table and its place there.
type Placed<'t> = (Part, usize, &'t Rule);

/// The matrix of at most so many callers and as many paths, by the rules that are enforced at this time. A row is about those of its callers that no
/// narrower row is about, and so is a column; `None`: they overlap in too many ways.
pub fn matrix(tables: &Tables, most: usize, now: SystemTime) -> Option<Matrix> {
    let live = |rule: &&Rule| !rule.is_shadow() && rule.effect != Effect::Audit && rule.expires.is_none_or(|end| now < end);
    let rules: Vec<Placed> = enforced(tables)
        .flat_map(|(part, table)| table.rules.iter().enumerate().map(move |(index, rule)| (part, index, rule)))
        .filter(|(_, _, rule)| live(rule))
        .collect();
    let parts: Vec<Part> = enforced(tables).map(|(part, _)| part).collect();
    let callers = callers(&rules);
    let paths = paths(&rules);
    let left_out = (callers.len().saturating_sub(most), paths.len().saturating_sub(most));
    let mut budget = Budget::new(WORK);
    let (callers, paths) = (plain_callers(&callers, most, &mut budget).ok()?, plain_paths(&paths, most, &mut budget).ok()?);
    let methods = named_methods(&rules);
    let row = |caller: &Principal| paths.iter().map(|(_, path)| cell(&rules, &parts, caller, path, &methods)).collect();
    let rows = callers.iter().map(|(text, caller)| (text.clone(), row(caller))).collect();
    Some(Matrix { rows, paths: paths.into_iter().map(|(text, _)| text).collect(), left_out, at: moment::format(now) })
}

fn callers<'t>(rules: &[Placed<'t>]) -> Vec<&'t PrincipalPattern> {
    let mut callers: Vec<&PrincipalPattern> = Vec::new();
    for pattern in rules.iter().flat_map(|(_, _, rule)| rule.from.patterns()) {
        if !callers.contains(&pattern) {
            callers.push(pattern);
        }
    }
    callers
}

fn paths<'t>(rules: &[Placed<'t>]) -> Vec<&'t str> {
    let mut paths: Vec<&str> = Vec::new();
    for template in rules.iter().flat_map(|(_, _, rule)| rule.facts.templates()) {
        if !paths.contains(&template) {
            paths.push(template);
        }
    }
    paths
}

/// A member of each, and of nobody: whoever is only meant by rules about everybody.
fn plain_callers(callers: &[&PrincipalPattern], most: usize, budget: &mut Budget) -> Result<Vec<(String, Principal)>, Exhausted> {
    let shapes: Vec<Shape<'_>> = callers.iter().map(|pattern| shape(pattern)).collect();
    let others: Vec<&Shape<'_>> = shapes.iter().collect();
    let mut plain = Vec::new();
    for pattern in callers.iter().take(most) {
        let member = identity::plainest(pattern, &others, budget)?;
        plain.extend(member.map(|member| (pattern.as_str().to_owned(), member)));
    }
    plain.push(("anybody else".to_owned(), Principal::Dns("".into())));
    Ok(plain)
}

fn plain_paths(paths: &[&str], most: usize, budget: &mut Budget) -> Result<Vec<(String, String)>, Exhausted> {
    let patterns: Vec<PathPattern<'_>> = paths.iter().map(|path| PathPattern::of(path)).collect();
    let shapes: Vec<Shape<'_>> = patterns.iter().map(PathPattern::shape).collect();
    let others: Vec<&Shape<'_>> = shapes.iter().collect();
    let mut plain = Vec::new();
    for (text, shape) in paths.iter().zip(&shapes).take(most) {
        let ways = ways(shape, &others, Alphabet::Path, budget)?;
        let plainest = ways.iter().min_by_key(|way| way.met.len());
        plain.extend(plainest.map(|way| ((*text).to_owned(), way.example.join("/"))));
    }
    Ok(plain)
}

fn named_methods(rules: &[Placed<'_>]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for (_, _, rule) in rules {
        if let Methods::Of(written) = &rule.methods {
            named.extend(written.all.iter().map(ToString::to_string));
        }
    }
    named.push(OTHER.to_owned());
    let mut seen = std::collections::BTreeSet::new();
    named.retain(|method| seen.insert(method.clone()));
    named
}

/// A method may be used where every table lets it.
fn cell(rules: &[Placed<'_>], parts: &[Part], caller: &Principal, path: &str, methods: &[String]) -> Cell {
    let met: Vec<&Placed<'_>> = rules.iter().filter(|(_, _, rule)| rule.from.matches(caller) && rule.template(path).is_some()).collect();
    let mut cell = Cell::default();
    for name in methods {
        let Ok(method) = Method::from_bytes(name.as_bytes()) else { continue };
        // `OPTIONS *` is the one request with that target.
        if path == "*" && method != Method::OPTIONS {
            continue;
        }
        let takes = |rule: &Rule| rule.methods.contains(&method, methods::bit(&method));
        let here = |of: Part| -> Vec<(usize, &Rule)> {
            met.iter().filter(|(part, _, rule)| *part == of && takes(rule)).map(|(_, index, rule)| (*index, *rule)).collect()
        };
        let may: Option<May> = parts.iter().map(|part| May::of(&here(*part))).min();
        match may {
            Some(May::Always) => cell.always.push(name.clone()),
            Some(May::Sometimes) => cell.sometimes.push(name.clone()),
            Some(May::Never) | None => {}
        }
    }
    for list in [&mut cell.always, &mut cell.sometimes] {
        if list.len() == methods.len() {
            *list = vec!["any".to_owned()];
        }
    }
    cell
}

/// Whether something is allowed, whatever else it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum May {
    Never,
    Sometimes,
    Always,
}

impl May {
    /// By the rules of one table that match but for their conditions.
    fn of(met: &[(usize, &Rule)]) -> Self {
        let all = |effect: Effect| met.iter().filter(move |(_, rule)| rule.effect == effect);
        let spared = |index: usize, deny: &Rule| deny.excepts.iter().any(|allow| usize::try_from(*allow) == Ok(index));
        let is_sure = |rule: &Rule| conditions(rule).is_empty();
        let certain = |index: usize| all(Effect::Deny).all(|(_, deny)| spared(index, deny));
        let possible = |index: usize| all(Effect::Deny).all(|(_, deny)| !is_sure(deny) || spared(index, deny));
        if all(Effect::Allow).any(|(index, rule)| is_sure(rule) && certain(*index)) {
            Self::Always
        } else if all(Effect::Allow).any(|(index, _)| possible(*index)) {
            Self::Sometimes
        } else {
            Self::Never
        }
    }
}
