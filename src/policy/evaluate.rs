//! Steps 4 to 6 of a decision, rule by rule over those that the path can meet: obviously right.

use super::class::Class;
use super::index::Candidates;
use super::looked::Looking;
use super::methods;
use super::rule::{Effect, Question, Rule};
use super::{RuleFacts, Table, Truth, Verdict};
use crate::request::CanonicalRequest;
use std::sync::Arc;
use std::time::SystemTime;

/// Which rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that are enforced.
    Enforced,
    /// Those in shadow as well, as if they were enforced.
    WithShadows,
}

/// A rule that matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<'t> {
    pub(super) rule: &'t Rule,
    template: usize,
}

impl Hit<'_> {
    pub(super) fn facts(&self) -> Arc<RuleFacts> {
        self.rule.facts.clone()
    }

    pub(super) fn template(&self) -> Option<Arc<str>> {
        self.rule.facts.templates.get(self.template).cloned()
    }
}

/// What the rules say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome<'t> {
    /// This rule lets pass.
    Allow(Hit<'t>),
    /// This rule refuses.
    Deny(Hit<'t>),
    /// No rule matches.
    Nothing,
}

impl<'t> Outcome<'t> {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Allow(_) => Verdict::Allow,
            Self::Deny(_) | Self::Nothing => Verdict::Deny,
        }
    }

    pub(super) fn hit(&self) -> Option<Hit<'t>> {
        match self {
            Self::Allow(hit) | Self::Deny(hit) => Some(*hit),
            Self::Nothing => None,
        }
    }
}

/// One request against one table.
pub(super) struct Evaluation<'t> {
    table: &'t Table,
    candidates: Candidates<'t>,
    has_shadow: bool,
    question: Question<'t>,
}

impl<'t> Evaluation<'t> {
    pub(super) fn new(table: &'t Table, class: &'t Class, request: &'t CanonicalRequest, now: SystemTime, looking: &'t Looking) -> Self {
        let candidates = class.index.candidates(request.path());
        let question = Question { request, method_bit: methods::bit(&request.method), now, looking };
        Self { table, candidates, has_shadow: class.has_shadow, question }
    }

    /// A deny overrides every allow except those that it names; the first in file order is the one that decided.
    pub(super) fn outcome(&self, scope: Scope) -> Outcome<'t> {
        let mut denies = self.hits(Effect::Deny, scope, Truth::is_possible);
        let denied = denies.next().map(|(_, hit)| hit);
        // A deny without exceptions ends it; otherwise some allow may be excepted by every deny that matches.
        let spares = |hit: &Hit<'_>| !hit.rule.excepts.is_empty();
        if let Some(hit) = denied
            && !(spares(&hit) && denies.all(|(_, hit)| spares(&hit)))
        {
            return Outcome::Deny(hit);
        }
        let mut allows = self.hits(Effect::Allow, scope, Truth::is_certain);
        let allowed = allows.find(|(index, _)| denied.is_none() || self.is_excepted(*index, scope));
        match (allowed, denied) {
            (Some((_, hit)), _) => Outcome::Allow(hit),
            (None, Some(hit)) => Outcome::Deny(hit),
            (None, None) => Outcome::Nothing,
        }
    }

    /// Whether an `audit` rule matches.
    pub(super) fn is_audited(&self) -> bool {
        self.hits(Effect::Audit, Scope::Enforced, Truth::is_possible).next().is_some()
    }

    /// Whether shadow rules could change what the enforced ones say.
    pub(super) fn has_shadow(&self) -> bool {
        self.has_shadow
    }

    fn is_excepted(&self, allow: u32, scope: Scope) -> bool {
        self.hits(Effect::Deny, scope, Truth::is_possible).all(|(_, hit)| hit.rule.excepts.contains(&allow))
    }

    /// In file order.
    fn hits(&self, effect: Effect, scope: Scope, enough: fn(Truth) -> bool) -> impl Iterator<Item = (u32, Hit<'t>)> {
        let rules = self.candidates.of(effect).filter_map(|index| self.table.rule(index).map(|rule| (index, rule)));
        let rules = rules.filter(move |(_, rule)| scope == Scope::WithShadows || !rule.is_shadow());
        rules.filter_map(move |(index, rule)| {
            let (truth, template) = rule.matches(&self.question);
            enough(truth).then_some((index, Hit { rule, template }))
        })
    }
}
