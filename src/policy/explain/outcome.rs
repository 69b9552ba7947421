//! How a request ends.

use super::Ask;
use super::dimension::{Asked, compare};
use super::{RulePlace, enforced};
use crate::policy::decide::{decide_given, facts};
use crate::policy::evaluate::{Candidate, findings_where};
use crate::policy::jwt::EndUser;
use crate::policy::looked::Looking;
use crate::policy::rule::Rule;
use crate::policy::ruling::{Ruling, Said};
use crate::policy::{Denial, Facts, Part, Reason, RuleFacts, Snapshot, Table, Tables, Truth, Verdict};
use crate::request::CanonicalRequest;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most conditions without a recorded result that are tried with every result they may have had: 3⁶ ways.
const TRIED: usize = 6;

/// How a request ends, and who decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub decided: Decided,
    /// As records say it.
    pub reason: String,
    /// The table that decides.
    pub part: Part,
    /// The rule that decides.
    pub rule: Option<RulePlace>,
    /// With everything in shadow enforced, where that is another verdict; and the rule that would decide.
    pub would: Option<(Verdict, Option<RulePlace>)>,
}

/// A verdict, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// This.
    As(Verdict),
    /// It hangs on these conditions, whose results the record does not hold.
    Undecidable(Vec<String>),
}

/// Decides a request: where its values are known as the proxy does, otherwise by the results that a record holds.
pub(super) fn of(tables: &Arc<Tables>, ask: &Ask) -> Outcome {
    let snapshot: Snapshot = Some(Arc::clone(tables));
    match (&ask.request, &ask.conditions) {
        (Err(malformed), _) => of_facts(tables, Verdict::Deny, &Denial::malformed(*malformed, &snapshot).facts),
        (Ok(request), None) => match decide_given(&snapshot, &ask.caller, request, ask.at, ask.claims.as_ref()) {
            Ok(permit) => of_facts(tables, Verdict::Allow, permit.facts()),
            Err(denial) => of_facts(tables, Verdict::Deny, &denial.facts),
        },
        (Ok(request), Some(_)) => of_record(tables, ask, request),
    }
}

fn of_facts(tables: &Tables, verdict: Verdict, facts: &Facts) -> Outcome {
    let part = if facts.reason == Reason::Boundary { Part::Boundary } else { Part::Own };
    let would = facts.would.as_ref().map(|would| {
        let place = would.rule.as_ref().and_then(|rule| enforced(tables).find_map(|(part, table)| place(part, table, rule)));
        (would.verdict, place)
    });
    let deciding = enforced(tables).filter(|(own, _)| *own == part);
    let rule = facts.rule.as_ref().and_then(|rule| deciding.into_iter().find_map(|(part, table)| place(part, table, rule)));
    Outcome { decided: Decided::As(verdict), reason: facts.reason.text().into_owned(), part, rule, would }
}

fn place(part: Part, table: &Table, facts: &RuleFacts) -> Option<RulePlace> {
    let index = table.rules.iter().position(|rule| rule.facts.id == facts.id)?;
    Some(RulePlace { part, index })
}

/// Every result that a condition may have had is tried where the record has none.
fn of_record(tables: &Arc<Tables>, ask: &Ask, request: &CanonicalRequest) -> Outcome {
    let open = unrecorded(tables, ask, request);
    if open.len() > TRIED {
        return undecidable(open);
    }
    let mut outcomes = Vec::new();
    let ways = (0..open.len()).fold(1_usize, |ways, _| ways * 3);
    for way in 0..ways {
        let assumed: Vec<Truth> = (0_u32..).zip(&open).map(|(place, _)| nth(way, place)).collect();
        let truth_of = |name: &str| open.iter().position(|open| open == name).and_then(|at| assumed.get(at)).copied();
        let own = said(Part::Own, tables.own(), ask, request, truth_of);
        let ruling = Ruling::of(own, tables.boundary().map(|table| said(Part::Boundary, table, ask, request, truth_of)));
        let outcome = of_facts(tables, ruling.verdict, &facts(&ruling, &Some(Arc::clone(tables))));
        if !outcomes.contains(&outcome) {
            outcomes.push(outcome);
        }
    }
    match (outcomes.pop(), outcomes.is_empty()) {
        (Some(only), true) => only,
        _ => undecidable(open),
    }
}

/// The digit of `way` to the base of three at this place.
fn nth(way: usize, place: u32) -> Truth {
    match way / 3_usize.pow(place) % 3 {
        0 => Truth::False,
        1 => Truth::Unknown,
        _ => Truth::True,
    }
}

fn undecidable(open: Vec<String>) -> Outcome {
    Outcome { decided: Decided::Undecidable(open), reason: "undecidable".into(), part: Part::Own, rule: None, would: None }
}

/// The names of the conditions without a result, of rules that match as far as is known.
fn unrecorded(tables: &Tables, ask: &Ask, request: &CanonicalRequest) -> Vec<String> {
    let mut open = BTreeSet::new();
    for (_, table) in enforced(tables) {
        let (standing, user) = (ask.standing(table), EndUser::nobody(&table.issuers, ask.at));
        let asked = Asked { ask, request, standing: &standing, user: &user, looking: &Looking::default() };
        for rule in table.rules.iter().filter(|rule| rule.template(request.path()).is_some()) {
            let dimensions = compare(rule, &asked);
            if dimensions.iter().all(|dimension| dimension.truth.is_none_or(Truth::is_possible)) {
                open.extend(dimensions.into_iter().filter(|dimension| dimension.truth.is_none()).map(|dimension| key(&dimension)));
            }
        }
    }
    open.into_iter().collect()
}

/// Two conditions about the same thing differ in what they want.
fn key(dimension: &super::Dimension) -> String {
    format!("{} {}", dimension.name, dimension.wanted)
}

fn said<'t>(part: Part, table: &'t Arc<Table>, ask: &Ask, request: &CanonicalRequest, assumed: impl Fn(&str) -> Option<Truth>) -> Said<'t> {
    // What its token says is in the results of the record.
    let (standing, user) = (ask.standing(table), EndUser::nobody(&table.issuers, ask.at));
    let asked = Asked { ask, request, standing: &standing, user: &user, looking: &Looking::default() };
    let principal = ask.caller.identity.as_deref().map(|identity| &identity.principal);
    let concerned = (0..).zip(&table.rules).filter(|(_, rule)| principal.is_some_and(|id| rule.concerns(id, ask.caller.local_port)));
    let candidates: Vec<Candidate> =
        concerned.filter_map(|(index, rule)| Some(Candidate { rule: index, template: rule.template(request.path())? })).collect();
    let truth = |rule: &Rule| {
        let truth = |dimension: super::Dimension| dimension.truth.or_else(|| assumed(&key(&dimension))).unwrap_or(Truth::Unknown);
        compare(rule, &asked).into_iter().map(truth).fold(Truth::True, Truth::and)
    };
    let findings = findings_where(&table.rules, &candidates, |index, rule| standing.tries(index, rule), truth);
    Said { part, table, is_in_shadow: standing.is_in_shadow, findings }
}
