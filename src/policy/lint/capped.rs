//! Allows of a table of which the table that caps it lets nothing pass: exact over what [`reach`](super::reach) is exact over.

use super::reach::Analysis;
use super::{Around, Findings, Lint, Severity, is_live};
use crate::policy::rule::Effect;
use crate::policy::space::{Budget, Exhausted};
use crate::policy::{Mode, Table};

/// The work for one pair of tables, in half-read patterns: a second or two.
const WORK: u64 = 5_000_000;

/// Finds the allows of `own` that `boundary` lets nothing pass of.
pub(super) fn look(own: &Table, boundary: &Table, around: &Around, findings: &mut Findings<'_>) {
    if boundary.mode() != Mode::Enforce {
        return;
    }
    let (analysis, mut budget) = (Analysis::new(boundary, around), Budget::new(WORK));
    let allows = own.rules.iter().enumerate().filter(|(_, rule)| rule.effect == Effect::Allow && is_live(rule, around.now));
    for (index, rule) in allows {
        let (lint, severity, said) = match analysis.lets_some_of(rule, &mut budget) {
            Ok(true) => continue,
            Ok(false) => {
                let what = format!("allow `{}` lets nothing pass: the boundary allows nothing that it is about", rule.facts.id);
                (Lint::CappedAllow, Severity::Warning, (what, "remove it, or have the boundary allow what it is for"))
            }
            Err(Exhausted) => {
                let what = format!("whether the boundary lets something of `{}` and of what follows pass was not found out", rule.facts.id);
                (Lint::NotAnalysed, Severity::Note, (what, "look at these by hand"))
            }
        };
        findings.rule(index, rule, |places| places.at.clone(), lint, severity, said);
        if lint == Lint::NotAnalysed {
            return;
        }
    }
}
