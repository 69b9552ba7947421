//! The cases of a table, run as every load runs them, and which rules they decide by.

use super::explain::{Ask, Bearing, explain};
use super::parse::{Cases, Tested, cases, tested};
use super::{Listeners, Table, Tables};
use crate::document::{Problem, Problems};
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

/// Runs the cases of a table, and more of another text where there is one.
///
/// # Errors
/// One of the texts cannot be used.
pub fn run(table: Named<'_>, more: Option<Named<'_>>, listeners: &Listeners, now: SystemTime) -> Result<Suite, Problems> {
    let Tested { table, cases: own, mut failed } = tested(table.file, table.text, listeners, now)?;
    let mut all = vec![own];
    if let Some(Named { file, text }) = more {
        let (cases, problems) = cases(file, text, &table, listeners, now)?;
        all.push(cases);
        failed.extend(problems);
    }
    let tables = Arc::new(Tables::from(Arc::clone(&table)));
    let covered: BTreeSet<String> = all.iter().flat_map(|cases| covered(cases, &tables, now)).collect();
    let uncovered = table.rules().enumerate().filter(|(_, rule)| !covered.contains(&*rule.id)).map(|(index, _)| index);
    let count = |cases: &Cases| cases.requests.len() + cases.connections.len();
    Ok(Suite { cases: all.iter().map(count).sum(), failed, uncovered: uncovered.collect(), rules: Table::rules(&table).len() })
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
