//! Deciding again what a record holds: its conditions cannot be asked again, and came out as the record says.

use crate::policy::condition::Conditional;
use crate::policy::methods;
use crate::policy::rule::Rule;
use crate::policy::ruling::{Ruling, Said};
use crate::policy::{Caller, Part, Table, Tables, Truth};
use crate::request::CanonicalRequest;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

/// The most conditions without a recorded result that are tried with every result they may have had: 3⁶ ways.
const TRIED: usize = 6;

/// A request whose conditions came out already.
pub(in crate::policy) struct Asked<'a, R> {
    pub(in crate::policy) caller: &'a Caller,
    pub(in crate::policy) request: &'a CanonicalRequest,
    /// When it was decided.
    pub(in crate::policy) at: SystemTime,
    /// What came out of the condition with this hash; `None`: it was not looked at.
    pub(in crate::policy) recorded: R,
}

/// Gives `ruling` what the tables that count say, once for each result that the conditions without a recorded one may have had and that makes a
/// difference, until it has enough.
///
/// # Errors
/// The conditions that it hangs on: where `ruling` had enough, and where there are too many of them.
pub(in crate::policy) fn each_ruling<'t>(
    tables: &'t Tables,
    asked: &Asked<'_, impl Fn(&str) -> Option<Truth>>,
    mut ruling: impl FnMut(&Ruling<'t>) -> ControlFlow<()>,
) -> Result<(), Vec<String>> {
    let mut open = BTreeSet::new();
    let mut ways: Vec<Vec<(Arc<Conditional>, Truth)>> = vec![Vec::new()];
    while let Some(assumed) = ways.pop() {
        let missing = RefCell::new(None);
        let truth = |rule: &Rule| truth(rule, asked, &assumed, &missing);
        let own = said(Part::Own, tables.own(), asked, truth);
        let found = own.map(|own| Ruling::of(own, tables.boundary().and_then(|table| said(Part::Boundary, table, asked, truth))));
        match (missing.into_inner(), found) {
            (None, Some(found)) => {
                if ruling(&found).is_break() {
                    return Err(open.into_iter().collect());
                }
            }
            (None, None) => {}
            (Some(condition), _) => {
                open.insert(format!("{} {}", condition.facts().name, condition.json()));
                if assumed.len() == TRIED {
                    return Err(open.into_iter().collect());
                }
                ways.extend([Truth::True, Truth::Unknown, Truth::False].map(|truth| {
                    let assumed = assumed.iter().map(|(condition, truth)| (Arc::clone(condition), *truth));
                    assumed.chain([(Arc::clone(&condition), truth)]).collect()
                }));
            }
        }
    }
    Ok(())
}

/// What one table says; `None`: nobody asks.
fn said<'t, R>(part: Part, table: &'t Arc<Table>, asked: &Asked<'_, R>, truth: impl Fn(&Rule) -> Truth) -> Option<Said<'t>> {
    let Asked { caller, request, .. } = asked;
    let principal = &caller.identity.as_deref()?.principal;
    Some(caller.classes.with(part, table, caller, principal, |met| Said {
        part,
        table,
        is_in_shadow: met.is_in_shadow(),
        findings: met.findings_where(table, request, truth),
    }))
}

/// Whether a rule whose path matches does so as a whole. The first condition that is neither recorded nor assumed, where it hangs on one, goes to `missing`.
fn truth(
    rule: &Rule,
    asked: &Asked<'_, impl Fn(&str) -> Option<Truth>>,
    assumed: &[(Arc<Conditional>, Truth)],
    missing: &RefCell<Option<Arc<Conditional>>>,
) -> Truth {
    let known = |condition: &Arc<Conditional>| {
        let hash = &condition.facts().hash;
        let assumed = || assumed.iter().find(|(other, _)| other.facts().hash == *hash).map(|(_, truth)| *truth);
        (asked.recorded)(hash).or_else(assumed)
    };
    rule.matches_where(asked.request, methods::bit(&asked.request.method), asked.at, || {
        // One that did not hold settles it, wherever it stands.
        let truth = rule.conditions.iter().filter_map(known).fold(Truth::True, Truth::and);
        match rule.conditions.iter().find(|condition| known(condition).is_none()) {
            Some(condition) if truth.is_possible() => {
                missing.borrow_mut().get_or_insert_with(|| Arc::clone(condition));
                Truth::Unknown
            }
            _ => truth,
        }
    })
}
