//! Allows that let more pass than most people want.

use super::{Findings, Lint, Severity};
use crate::policy::Table;
use crate::policy::pattern::{PathPattern, Step};
use crate::policy::rule::Effect;

pub(super) fn look(table: &Table, findings: &mut Findings<'_>) {
    for (index, rule) in table.rules.iter().enumerate().filter(|(_, rule)| rule.effect == Effect::Allow) {
        if rule.from.any_authenticated {
            let what =
                format!("allow `{}` is for everybody with a certificate of a trusted domain, also of those that come later", rule.facts.id);
            let instead = "name the callers; if everybody is meant, keep it and let the rule say no more than it must";
            findings.rule(index, rule, |places| places.from.clone(), Lint::AnyAuthenticatedAllow, Severity::Warning, (what, instead));
        }
        for (at, written) in rule.facts.templates().enumerate() {
            if is_wide(&PathPattern::of(written)) {
                let what = format!("allow `{}` has {written}, which takes in every path that the app will ever have", rule.facts.id);
                let instead = "begin with what the callers need: /api/**, or the paths one by one";
                let place = |places: &super::RuleOutline| places.paths.get(at).cloned().unwrap_or_default();
                findings.rule(index, rule, place, Lint::WideAllow, Severity::Warning, (what, instead));
            }
        }
    }
}

/// Whether the first segment may be any.
fn is_wide(path: &PathPattern<'_>) -> bool {
    let shape = path.shape();
    // The step before it is what stands before the first slash.
    match shape.steps.get(1) {
        None => shape.rest,
        Some(step) => *step == Step::Any,
    }
}
