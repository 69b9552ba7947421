//! The cases of a table, run as every load runs them, and which rules they decide by.

use super::explain::{Ask, Bearing, explain};
use super::parse::{Cases, Tested, cases, tested};
use super::{Listeners, Reason, Table, Tables, Verdict};
use crate::document::{Position, Problem, Problems};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

/// What became of the cases.
#[derive(Debug)]
pub struct Suite {
    /// How many there are.
    pub cases: usize,
    /// Those that do not hold, each where it stands.
    pub failed: Vec<Problem>,
    /// The rules of the table that decide in no case, by their places; an audit rule is decided by where it matches.
    pub uncovered: Vec<usize>,
    /// The rules of the table.
    pub rules: usize,
}

/// A text, and what problems call it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'t> {
    /// What problems call it.
    pub file: &'t str,
    /// The text.
    pub text: &'t str,
}

/// Runs the cases of a table, and more of another text where there is one. What they expect to pass must pass the table that caps it as well.
///
/// # Errors
/// One of the texts cannot be used.
pub fn run(
    table: Named<'_>,
    more: Option<Named<'_>>,
    boundary: Option<Arc<Table>>,
    listeners: &Listeners,
    now: SystemTime,
) -> Result<Suite, Problems> {
    let table_file = table.file;
    let Tested { table, cases: own, mut failed } = tested(table_file, table.text, listeners, now)?;
    let mut all = vec![(table_file, own)];
    if let Some(Named { file, text }) = more {
        let (cases, problems) = cases(file, text, &table, listeners, now)?;
        all.push((file, cases));
        failed.extend(problems);
    }
    let pair = boundary.map(|boundary| Arc::new(Tables::new(Arc::clone(&table), Some(boundary), None)));
    if let Some(pair) = &pair {
        failed.extend(all.iter().flat_map(|(file, cases)| capped(file, cases, pair, now)));
    }
    let tables = Arc::new(Tables::from(Arc::clone(&table)));
    let covered: BTreeSet<String> = all.iter().flat_map(|(_, cases)| covered(cases, &tables, now)).collect();
    let uncovered = table.rules().enumerate().filter(|(_, rule)| !covered.contains(&*rule.id)).map(|(index, _)| index);
    let count = |cases: &Cases| cases.requests.len() + cases.connections.len();
    Ok(Suite {
        cases: all.iter().map(|(_, cases)| count(cases)).sum(),
        failed,
        uncovered: uncovered.collect(),
        rules: Table::rules(&table).len(),
    })
}

/// The cases that the table lets pass as they expect, and the one above it does not.
fn capped(file: &str, cases: &Cases, pair: &Arc<Tables>, now: SystemTime) -> Vec<Problem> {
    let snapshot = Some(Arc::clone(pair));
    let refused = cases.requests.iter().filter(|case| case.expect == Verdict::Allow).filter_map(|case| {
        let facts = case.decide(&snapshot, case.at.unwrap_or(now)).1;
        let by = facts.rule.as_ref().map_or_else(|| "allows nothing of it".to_owned(), |rule| format!("denies it by `{}`", rule.id));
        (facts.reason == Reason::Boundary).then(|| Problem {
            file: file.to_owned(),
            place: Position::default(),
            what: format!("case `{}` expects allow, and the boundary {by}", case.name),
            instead: "correct the case, or have the boundary allow it".to_owned(),
        })
    });
    refused.collect()
}

/// The ids of the rules that decide in some of these.
fn covered(cases: &Cases, tables: &Arc<Tables>, now: SystemTime) -> BTreeSet<String> {
    let mut covered = BTreeSet::new();
    for case in &cases.requests {
        let explanation = explain(tables, &Ask::of_case(case, tables, now));
        let would = explanation.outcome.would.as_ref().and_then(|(_, rule)| *rule);
        let decides = explanation.rules.iter().filter(|rule| {
            let is_audit = rule.effect == "audit" && rule.bearing == Bearing::Matches;
            rule.bearing == Bearing::Decides || is_audit || would == Some(rule.place)
        });
        covered.extend(decides.map(|rule| rule.id.to_string()));
    }
    covered.extend(cases.connections.iter().filter_map(|case| case.decide(tables.own(), now).1));
    covered
}
