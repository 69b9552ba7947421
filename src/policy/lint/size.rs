//! What is too large to be compiled.

use super::{Findings, Lint, Severity};
use crate::policy::Table;
use crate::policy::automaton;
use crate::policy::compiled::Compiled;
use crate::policy::pattern::Shape;
use crate::policy::principals::shape;
use crate::policy::space::{Budget, identity};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most rules that are compiled for this, over all callers: a second or two.
const COMPILED: usize = 200_000;

/// The work to find a caller of each kind, in half-read patterns.
const WORK: u64 = 10_000_000;

/// Compiles what a sidecar would compile for a caller of each pattern.
pub(super) fn look(table: &Table, findings: &mut Findings<'_>) {
    let patterns: Vec<_> = table.rules.iter().flat_map(|rule| rule.from.patterns()).collect();
    let shapes: Vec<Shape<'_>> = patterns.iter().map(|pattern| shape(pattern)).collect();
    let others: Vec<&Shape<'_>> = shapes.iter().collect();
    let port = table.rules.iter().find_map(|rule| rule.ports.first().copied()).unwrap_or_default();
    let mut budget = Budget::new(WORK);
    let (mut seen, mut compiled) = (BTreeSet::<Arc<[u32]>>::new(), 0);
    for pattern in &patterns {
        let Ok(Some(caller)) = identity::plainest(pattern, &others, &mut budget) else { continue };
        let rules = table.principals.rules(&table.rules, &caller, port);
        compiled += rules.len();
        if compiled > COMPILED {
            return;
        }
        if seen.insert(Arc::clone(&rules)) && Compiled::new(&table.rules, &rules, automaton::WORK).is_err() {
            let what = format!(
                "the {} rules of {} have placeholders in so many places that they are looked at one by one",
                rules.len(),
                pattern.as_str()
            );
            let instead = "let patterns of the same caller begin with different literals, or give them placeholders in the same places";
            findings.table(crate::document::Position::default(), Lint::TooLarge, Severity::Note, what, instead);
        }
    }
}
