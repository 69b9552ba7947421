//! How a request ends.

use super::Ask;
use super::{RulePlace, enforced};
use crate::policy::decide::{decide_given, facts};
use crate::policy::record::{Asked, each_ruling};
use crate::policy::{Denial, Facts, Part, Reason, RuleFacts, Snapshot, Table, Tables, Verdict};
use crate::request::CanonicalRequest;
use std::ops::ControlFlow;
use std::sync::Arc;

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

/// As the record's conditions came out; what it has no result for may have come out as anything.
fn of_record(tables: &Arc<Tables>, ask: &Ask, request: &CanonicalRequest) -> Outcome {
    let recorded = |hash: &str| ask.conditions.as_ref()?.get(hash).copied();
    let asked = Asked { caller: &ask.caller, request, at: ask.at, recorded };
    let mut only: Option<Outcome> = None;
    let hangs_on = each_ruling(tables, &asked, |ruling| {
        let outcome = of_facts(tables, ruling.verdict, &facts(ruling, &Some(Arc::clone(tables))));
        if only.as_ref().is_some_and(|only| *only != outcome) {
            return ControlFlow::Break(());
        }
        only = Some(outcome);
        ControlFlow::Continue(())
    });
    match (hangs_on, only) {
        (Ok(()), Some(only)) => only,
        (hangs_on, _) => undecidable(hangs_on.err().unwrap_or_default()),
    }
}

fn undecidable(open: Vec<String>) -> Outcome {
    Outcome { decided: Decided::Undecidable(open), reason: "undecidable".into(), part: Part::Own, rule: None, would: None }
}
