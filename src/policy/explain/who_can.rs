//! Who may do something: the question of a table turned around, exactly.

use super::dimension;
use crate::policy::methods;
use crate::policy::pattern::Shape;
use crate::policy::principals::shape;
use crate::policy::rule::{Effect, Rule};
use crate::policy::space::{Alphabet, Budget, Exhausted, identity, ways};
use crate::policy::standing::Percent;
use crate::policy::{Table, moment};
use crate::request::{Strictness, canonical_path};
use http::Method;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// The work that one answer may take, in half-read patterns.
const WORK: u64 = 50_000_000;

/// Callers who may, by one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The pattern of the rule, or `any authenticated caller`.
    pub who: String,
    /// The rule, by its place in the table.
    pub rule: usize,
    /// What must hold as well.
    pub conditions: Vec<String>,
    /// Denies that take some of these callers away, always.
    pub except: Vec<Taken>,
    /// Denies that take some of them away when their own conditions hold.
    pub unless: Vec<Taken>,
}

/// What a deny takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its callers.
    pub who: String,
    /// The rule, by its place in the table.
    pub rule: usize,
    /// What must hold for it.
    pub conditions: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// Those who may, in the order of the rules.
    pub grants: Vec<Grant>,
    /// Allows that come to nothing here, and the denies that see to it.
    pub denied: Vec<(usize, Vec<usize>)>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhoError {
    /// The text is no `METHOD /path`.
    #[error("is no request: write it as in \"GET /orders/17\"")]
    Request,
    /// The patterns of callers meet in more ways than can be looked at.
    #[error("cannot be answered exactly: the callers of this table overlap in too many ways; ask about one caller with --from")]
    TooLarge,
}

impl From<Exhausted> for WhoError {
    fn from(_: Exhausted) -> Self {
        Self::TooLarge
    }
}

/// Who may send `METHOD /path`, by the rules that are enforced at this time.
///
/// # Errors
/// [`WhoError`].
pub fn who_can(table: &Table, request: &str, now: SystemTime) -> Result<Who, WhoError> {
    let (method, path) = request.split_once(' ').ok_or(WhoError::Request)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| WhoError::Request)?;
    let path = path.split('?').next().unwrap_or_default();
    let path = if path == "*" { path.into() } else { canonical_path(path, &Strictness::default()).map_err(|_| WhoError::Request)? };
    let concerned: Vec<(usize, &Rule)> = (0..).zip(&table.rules).filter(|(_, rule)| concerns(rule, &method, &path, now)).collect();
    let mut budget = Budget::new(WORK);
    let mut who = Who::default();
    for (index, allow) in concerned.iter().filter(|(_, rule)| rule.effect == Effect::Allow) {
        let (grants, by) = of_rule(*index, allow, &concerned, &mut budget)?;
        if grants.is_empty() {
            who.denied.push((*index, by));
        }
        who.grants.extend(grants);
    }
    Ok(who)
}

fn concerns(rule: &Rule, method: &Method, path: &str, now: SystemTime) -> bool {
    let live = !rule.is_shadow() && rule.expires.is_none_or(|end| now < end);
    live && rule.methods.contains(method, methods::bit(method)) && rule.template(path).is_some()
}

/// What a rule grants, and the denies that leave nothing of a pattern.
fn of_rule(index: usize, allow: &Rule, concerned: &[(usize, &Rule)], budget: &mut Budget) -> Result<(Vec<Grant>, Vec<usize>), WhoError> {
    let spares = |deny: &Rule| deny.excepts.iter().any(|allow| usize::try_from(*allow) == Ok(index));
    let denies: Vec<&(usize, &Rule)> = concerned.iter().filter(|(_, rule)| rule.effect == Effect::Deny && !spares(rule)).collect();
    let shapes: Vec<(usize, _)> = denies
        .iter()
        .enumerate()
        .flat_map(|(at, (_, deny))| identity::shapes(&deny.from).into_iter().map(move |shape| (at, shape)))
        .collect();
    let others: Vec<_> = shapes.iter().map(|(_, shape)| shape).collect();
    let (mut grants, mut by) = (Vec::new(), BTreeSet::new());
    for (who, patterns) in members(allow) {
        let (mut some_left, mut met) = (false, BTreeSet::new());
        for target in &patterns {
            for way in ways(target, &others, Alphabet::Identity, budget)? {
                let here: BTreeSet<usize> = way.met.iter().filter_map(|other| shapes.get(*other).map(|(at, _)| *at)).collect();
                some_left |= !here.iter().any(|at| denies.get(*at).is_some_and(|(_, deny)| conditions(deny).is_empty()));
                met.extend(here);
            }
        }
        let met = met.into_iter().filter_map(|at| denies.get(at).copied());
        let taken = met.map(|(rule, deny)| Taken { who: dimension::from(&deny.from), rule: *rule, conditions: conditions(deny) });
        let (except, unless): (Vec<Taken>, Vec<Taken>) = taken.partition(|taken| taken.conditions.is_empty());
        if some_left {
            grants.push(Grant { who, rule: index, conditions: conditions(allow), except, unless });
        } else {
            by.extend(except.into_iter().map(|taken| taken.rule));
        }
    }
    Ok((grants, by.into_iter().collect()))
}

/// The callers of a rule as it names them.
fn members(rule: &Rule) -> Vec<(String, Vec<Shape<'_>>)> {
    if rule.from.any_authenticated {
        return vec![(dimension::ANYONE.to_owned(), identity::shapes(&rule.from))];
    }
    rule.from.patterns().map(|pattern| (pattern.as_str().to_owned(), vec![shape(pattern)])).collect()
}

/// What must hold beside caller, method and path.
pub(super) fn conditions(rule: &Rule) -> Vec<String> {
    let hosts =
        (!rule.hosts.is_empty()).then(|| format!("host {}", dimension::listed(rule.hosts.iter().map(|host| host.as_str().to_owned()))));
    let ports = (!rule.ports.is_empty()).then(|| format!("port {}", dimension::listed(rule.ports.iter().map(u16::to_string))));
    let grpc = rule.is_grpc().then(|| "content type grpc".to_owned());
    let tests = rule.conditions.iter().map(|condition| condition.json().to_string());
    let end = rule.expires.map(|end| format!("before {}", moment::format(end)));
    let share = (rule.percent != Percent::ALL).then(|| format!("the caller is among the {} % that it is enforced for", rule.percent.get()));
    share.into_iter().chain(hosts).chain(ports).chain(grpc).chain(tests).chain(end).collect()
}
