//! Which patterns may meet at all: those whose literal beginnings agree.

use super::{Budget, Exhausted};
use crate::policy::pattern::{Shape, Step};
use std::collections::BTreeMap;

/// Rules by the literal beginning of each of their patterns.
#[derive(Debug, Default)]
pub(in crate::policy) struct Heads(BTreeMap<String, Vec<usize>>);

impl Heads {
    /// Of rules, each with its patterns.
    pub(in crate::policy) fn of<'r>(rules: impl Iterator<Item = (usize, Vec<Shape<'r>>)>) -> Self {
        let mut heads = Self::default();
        for (rule, shapes) in rules {
            for shape in shapes {
                heads.0.entry(head(&shape)).or_default().push(rule);
            }
        }
        heads
    }

    /// The rules with a pattern that may meet one of these, perhaps several times.
    ///
    /// # Errors
    /// There are more than the budget is for.
    pub(in crate::policy) fn near(&self, shapes: &[Shape<'_>], budget: &mut Budget) -> Result<Vec<usize>, Exhausted> {
        let mut near = Vec::new();
        for shape in shapes {
            let head = head(shape);
            let shorter = head.match_indices('/').map(|(at, _)| head.get(..=at).unwrap_or_default()).filter(|text| *text != head);
            for rules in std::iter::once("").chain(shorter).filter(|text| *text != head).filter_map(|text| self.0.get(text)) {
                budget.spend(rules.len())?;
                near.extend(rules);
            }
            for (_, rules) in self.0.range(head.clone()..).take_while(|(text, _)| text.starts_with(&head)) {
                budget.spend(rules.len())?;
                near.extend(rules);
            }
        }
        Ok(near)
    }
}

/// The literal steps that it begins with; a slash ends each, which none has inside.
fn head(shape: &Shape<'_>) -> String {
    let literal = |step: &Step<'_>| match step {
        Step::Literal(text) => Some(format!("{text}/")),
        Step::Any | Step::Between(_) => None,
    };
    shape.steps.iter().map_while(literal).collect()
}
