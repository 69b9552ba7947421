//! What is past, on trial, or of no use.

use super::{Around, Findings, Lint, RuleOutline, Severity, is_live, written};
use crate::policy::Table;
use crate::policy::rule::{Effect, Mode};
use crate::policy::standing::Percent;

pub(super) fn look(table: &Table, around: &Around, findings: &mut Findings<'_>) {
    for (index, rule) in table.rules.iter().enumerate() {
        if let Some(end) = rule.expires.filter(|_| !is_live(rule, around.now)) {
            let what = format!("rule `{}` ended at {} and matches nothing any more", rule.facts.id, written(end));
            findings.rule(index, rule, |places| places.expires.clone(), Lint::ExpiredRule, Severity::Warning, (what, "remove it"));
        }
        if rule.effect == Effect::Allow && rule.percent != Percent::ALL {
            let what = format!("allow `{}` grants nothing to the identities beyond its {} %", rule.facts.id, rule.percent.get());
            let instead = "keep what allowed them until now, or enforce it for all";
            findings.rule(index, rule, |places| places.at.clone(), Lint::TrialAllow, Severity::Note, (what, instead));
        }
        let Mode::Shadow { until } = rule.mode else { continue };
        let place = |places: &RuleOutline| places.mode.clone();
        if until <= around.now {
            let what = format!("the trial of rule `{}` was meant to end at {} and goes on", rule.facts.id, written(until));
            let instead = "enforce the rule, or move shadow_until on";
            findings.rule(index, rule, place, Lint::OverdueShadow, Severity::Warning, (what, instead));
        }
        if rule.effect == Effect::Allow {
            let what = format!(
                "allow `{}` is in shadow and grants nothing: until it is enforced, what no other rule allows is denied",
                rule.facts.id
            );
            findings.rule(index, rule, place, Lint::TrialAllow, Severity::Note, (what, "enforce it where its callers need it now"));
        }
    }
    if let Mode::Shadow { until } = table.mode()
        && until <= around.now
    {
        let what = format!("the table's trial was meant to end at {} and goes on: nothing is denied", written(until));
        let instead = "write mode = \"enforce\", or move shadow_until on";
        findings.table(findings.outline.mode.clone(), Lint::OverdueShadow, Severity::Warning, what, instead);
    }
    for set in findings.outline.sets.iter().filter(|set| !set.is_used) {
        let what = format!("no rule names the set `@{}`", set.name);
        findings.table(set.at.clone(), Lint::UnusedSet, Severity::Note, what, "remove it, or name it in a rule");
    }
}
