//! Steps 4 to 6 of a decision, rule by rule over those whose path matched: obviously right.

use super::rule::{Effect, Rule};
use super::{Truth, Verdict};

/// A rule whose path matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its place in the table.
    pub(super) rule: u32,
    /// The pattern that matched, by its place in the rule.
    pub(super) template: u32,
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This rule lets pass.
    Allow(Candidate),
    /// This rule refuses.
    Deny(Candidate),
    /// No rule matches.
    Nothing,
}

impl Outcome {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Allow(_) => Verdict::Allow,
            Self::Deny(_) | Self::Nothing => Verdict::Deny,
        }
    }

    /// The rule that decided.
    pub(super) fn candidate(self) -> Option<Candidate> {
        match self {
            Self::Allow(candidate) | Self::Deny(candidate) => Some(candidate),
            Self::Nothing => None,
        }
    }
}

/// Everything that the rules say of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Findings {
    /// By the rules that are enforced.
    pub(super) outcome: Outcome,
    /// With those in shadow as well, where that is another verdict.
    pub(super) would: Option<Outcome>,
    /// Whether an `audit` rule matches.
    pub(super) audited: bool,
}

impl Findings {
    /// No rule matches.
    pub(super) const NOTHING: Self = Self { outcome: Outcome::Nothing, would: None, audited: false };
}

/// What the rules say to everybody where `candidates`, in file order, are those whose path matched, and `truth` tells whether the rest of a rule matches.
pub(super) fn findings(rules: &[Rule], candidates: &[Candidate], truth: impl Fn(&Rule) -> Truth) -> Findings {
    findings_where(rules, candidates, |_, rule| rule.is_shadow(), truth)
}

/// As [`findings`], where `tries` tells which rules are in shadow, by index.
pub(super) fn findings_where(
    rules: &[Rule],
    candidates: &[Candidate],
    tries: impl Fn(u32, &Rule) -> bool,
    truth: impl Fn(&Rule) -> Truth,
) -> Findings {
    let mut evaluation = Evaluation { rules, candidates, scope: Scope::Enforced, tries, truth };
    let outcome = evaluation.outcome();
    let audited = evaluation.hits(Effect::Audit, Truth::is_possible).next().is_some();
    let has_shadow =
        candidates.iter().any(|candidate| rule(rules, *candidate).is_some_and(|rule| (evaluation.tries)(candidate.rule, rule)));
    let would = has_shadow.then(|| {
        evaluation.scope = Scope::WithShadows;
        evaluation.outcome()
    });
    Findings { outcome, would: would.filter(|would| would.verdict() != outcome.verdict()), audited }
}

/// The rule of a candidate.
pub(super) fn rule(rules: &[Rule], candidate: Candidate) -> Option<&Rule> {
    rules.get(usize::try_from(candidate.rule).ok()?)
}

/// Which rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those that are enforced.
    Enforced,
    /// Those in shadow as well, as if they were enforced.
    WithShadows,
}

struct Evaluation<'t, S, T> {
    rules: &'t [Rule],
    candidates: &'t [Candidate],
    scope: Scope,
    tries: S,
    truth: T,
}

impl<'t, S: Fn(u32, &Rule) -> bool, T: Fn(&Rule) -> Truth> Evaluation<'t, S, T> {
    /// A deny overrides every allow except those that it names; the first in file order is the one that decided.
    fn outcome(&self) -> Outcome {
        let mut denies = self.hits(Effect::Deny, Truth::is_possible);
        let denied = denies.next();
        // A deny without exceptions ends it; otherwise some allow may be excepted by every deny that matches.
        let spares = |(_, rule): &(Candidate, &Rule)| !rule.excepts.is_empty();
        if let Some(first) = denied
            && !(spares(&first) && denies.all(|other| spares(&other)))
        {
            return Outcome::Deny(first.0);
        }
        let mut allows = self.hits(Effect::Allow, Truth::is_certain);
        let allowed = allows.find(|(candidate, _)| denied.is_none() || self.is_excepted(*candidate));
        match (allowed, denied) {
            (Some((candidate, _)), _) => Outcome::Allow(candidate),
            (None, Some((candidate, _))) => Outcome::Deny(candidate),
            (None, None) => Outcome::Nothing,
        }
    }

    fn is_excepted(&self, allow: Candidate) -> bool {
        self.hits(Effect::Deny, Truth::is_possible).all(|(_, deny)| deny.excepts.binary_search(&allow.rule).is_ok())
    }

    /// In file order.
    fn hits(&self, effect: Effect, enough: fn(Truth) -> bool) -> impl Iterator<Item = (Candidate, &'t Rule)> {
        let rules = self.candidates.iter().filter_map(|candidate| rule(self.rules, *candidate).map(|rule| (*candidate, rule)));
        let is_in_scope = move |index, rule: &Rule| self.scope == Scope::WithShadows || !(self.tries)(index, rule);
        let counted = rules.filter(move |(candidate, rule)| rule.effect == effect && is_in_scope(candidate.rule, rule));
        counted.filter(move |(_, rule)| enough((self.truth)(rule)))
    }
}
