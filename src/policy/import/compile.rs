//! Rules of somebody else, which may say `not`, as rules of a table, which may not.
//!
//! What an allow leaves out becomes a deny that spares every other allow. What a deny leaves out becomes allows of their own, made of the others, which the
//! deny spares. Both are exact: `except_rules` names allows, and an allow that all matching denies name is not denied.

use super::expr::{Case, Cases, Expr};
use super::fields::Findings;
use super::matching::{Match, Meeting};
use crate::document::Position;
use crate::policy::rule::Effect;
use std::collections::{BTreeSet, HashSet};

/// A rule of somebody else.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the ids of ours are made of.
    pub(super) id: String,
    /// What gaps call it, and comments.
    pub(super) origin: String,
    pub(super) at: Position,
    pub(super) effect: Effect,
    pub(super) expr: Expr,
}

/// A rule of a table.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: String,
    /// Where it comes from.
    pub(super) origin: String,
    pub(super) effect: Effect,
    pub(super) like: Match,
    pub(super) excepts: Vec<String>,
}

/// The most pairs of rules that are compared for what one spares of the other.
const PAIRS: usize = 1_000_000;

/// The most allows, with those that denies spare.
const ALLOWS: usize = 10_000;

const LEFT_OUT: &str = "write an allow that asks for less, by hand";
const DENIED: &str = "write the deny by hand, without `not`";

struct Allow {
    id: String,
    origin: String,
    like: Match,
    /// The case of somebody else's rule that it is of, by number.
    root: usize,
    /// By number.
    spared_by: BTreeSet<usize>,
}

/// Requests that somebody allows, but for these.
struct Minus {
    root: usize,
    id: String,
    origin: String,
    like: Match,
    at: Position,
}

struct Deny {
    id: String,
    origin: String,
    at: Position,
    like: Match,
    unlike: Vec<Match>,
}

/// Ids, each once.
#[derive(Default)]
struct Ids(HashSet<String>);

/// What is made of rules, in the order of denies, allows and audits.
pub(super) fn compile(asked: Vec<Asked>, findings: &Findings<'_>, notes: &mut Vec<String>) -> Vec<Made> {
    let mut compiler =
        Compiler { findings, ids: Ids::default(), allows: Vec::new(), minus: Vec::new(), denies: Vec::new(), made: Vec::new() };
    for rule in asked {
        compiler.add(rule, notes);
    }
    compiler.spare();
    compiler.finish()
}

struct Compiler<'f> {
    findings: &'f Findings<'f>,
    ids: Ids,
    allows: Vec<Allow>,
    minus: Vec<Minus>,
    denies: Vec<Deny>,
    /// Rules that are done.
    made: Vec<Made>,
}

impl Compiler<'_> {
    fn add(&mut self, rule: Asked, notes: &mut Vec<String>) {
        let is_allow = rule.effect == Effect::Allow;
        // A wider allow would let pass what nobody meant to.
        if is_allow && rule.expr.has_gap() {
            notes.push(format!("{} is left out as a whole: it says more than a rule can", rule.origin));
            return;
        }
        let Cases { cases, wider } = rule.expr.cases();
        if let Some(what) = wider {
            self.findings.gap(&rule.origin, rule.at.clone(), what, "write fewer alternatives, in more than one rule");
            if is_allow {
                notes.push(format!("{} is left out as a whole", rule.origin));
                return;
            }
        }
        if rule.expr.has_gap() || wider.is_some() {
            notes.push(format!("{} is about more requests than it was: what cannot be expressed is not asked for", rule.origin));
        }
        if cases.is_empty() {
            notes.push(format!("{} has no rule: no request that is decided on meets it", rule.origin));
        }
        let count = cases.len();
        for (index, case) in cases.into_iter().enumerate() {
            let id = if count == 1 { rule.id.clone() } else { format!("{}-{}", rule.id, index + 1) };
            self.add_case(&rule, id, case);
        }
    }

    fn add_case(&mut self, rule: &Asked, id: String, Case { like, unlike }: Case) {
        let (id, origin, at) = (self.ids.fresh(&id), rule.origin.clone(), rule.at.clone());
        match rule.effect {
            Effect::Allow => {
                let root = self.allows.len();
                let minus = unlike.into_iter().map(|not| Minus {
                    root,
                    id: self.ids.fresh(&format!("{id}-not")),
                    origin: format!("{origin}: what it leaves out"),
                    like: match like.meet(&not) {
                        Meeting::Both(both) => both,
                        Meeting::Never | Meeting::Unsaid => not,
                    },
                    at: at.clone(),
                });
                self.minus.extend(minus.collect::<Vec<_>>());
                self.allows.push(Allow { id, origin, like, root, spared_by: BTreeSet::new() });
            }
            Effect::Deny => self.denies.push(Deny { id, origin, at, like, unlike }),
            Effect::Audit => {
                if !unlike.is_empty() {
                    self.findings.gap(&origin, at, "leaves requests out, and an audit rule cannot", "write it without `not`");
                }
                self.made.push(Made { id, origin, effect: Effect::Audit, like, excepts: Vec::new() });
            }
        }
    }

    /// Makes allows of their own of what denies leave out.
    fn spare(&mut self) {
        let denies: Vec<usize> =
            (0..self.denies.len()).filter(|deny| self.denies.get(*deny).is_some_and(|deny| !deny.unlike.is_empty())).collect();
        if denies.len().saturating_mul(self.allows.len()) > PAIRS {
            for deny in self.denies.iter().filter(|deny| !deny.unlike.is_empty()) {
                self.findings.gap(&deny.origin, deny.at.clone(), "is one of too many that leave requests out", DENIED);
            }
            return;
        }
        for number in denies {
            let Some(deny) = self.denies.get(number) else { continue };
            let mut new: Vec<Allow> = Vec::new();
            let mut unsaid: Option<String> = None;
            for allow in &mut self.allows {
                if allow.like.meet(&deny.like) == Meeting::Never {
                    continue;
                }
                for not in &deny.unlike {
                    match allow.like.meet(not) {
                        Meeting::Never => {}
                        Meeting::Both(both) if both == allow.like => {
                            allow.spared_by.insert(number);
                        }
                        Meeting::Both(like) => {
                            let spared_by = allow.spared_by.iter().copied().chain([number]).collect();
                            let id = format!("{}-spared", allow.id);
                            let origin = format!("{}: what {} leaves out", allow.origin, deny.origin);
                            new.push(Allow { id, origin, like, root: allow.root, spared_by });
                        }
                        Meeting::Unsaid => unsaid = Some(allow.origin.clone()),
                    }
                }
            }
            if self.allows.len() + new.len() > ALLOWS {
                unsaid = Some(format!("more than {ALLOWS} rules"));
                new.clear();
            }
            if let Some(allowed) = unsaid {
                let what = format!("leaves out some of what is allowed by {allowed}, which no rule can say of both");
                self.findings.gap(&deny.origin, deny.at.clone(), what, DENIED);
            }
            for allow in new {
                let id = self.ids.fresh(&allow.id);
                self.allows.push(Allow { id, ..allow });
            }
        }
    }

    fn finish(mut self) -> Vec<Made> {
        self.bound_minus();
        let mut made = Vec::new();
        for (number, deny) in self.denies.into_iter().enumerate() {
            // Most spare nothing.
            let spared = self.allows.iter().filter(|allow| !deny.unlike.is_empty() && allow.spared_by.contains(&number));
            let excepts = spared.map(|allow| allow.id.clone()).collect();
            made.push(Made { id: deny.id, origin: deny.origin, effect: Effect::Deny, like: deny.like, excepts });
        }
        for minus in self.minus {
            let others = self.allows.iter().filter(|allow| allow.root != minus.root && allow.like.meet(&minus.like) != Meeting::Never);
            let excepts = others.map(|allow| allow.id.clone()).collect();
            made.push(Made { id: minus.id, origin: minus.origin, effect: Effect::Deny, like: minus.like, excepts });
        }
        let allows = self.allows.into_iter();
        made.extend(allows.map(|allow| Made {
            id: allow.id,
            origin: allow.origin,
            effect: Effect::Allow,
            like: allow.like,
            excepts: Vec::new(),
        }));
        made.extend(self.made);
        made
    }

    /// Gives up allows whose exceptions would have to spare too many others: without these they would allow more than they did.
    fn bound_minus(&mut self) {
        if self.minus.len().saturating_mul(self.allows.len()) <= PAIRS {
            return;
        }
        let roots: HashSet<usize> = self.minus.iter().map(|minus| minus.root).collect();
        self.allows.retain(|allow| !roots.contains(&allow.root));
        for minus in self.minus.drain(..) {
            self.findings.gap(&minus.origin, minus.at, "is one of too many that leave requests out", LEFT_OUT);
        }
    }
}

impl Ids {
    /// An id like this one that no other rule has.
    fn fresh(&mut self, like: &str) -> String {
        let plain = like.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        let plain: String = plain.take(52).collect();
        let base = plain.trim_matches('-');
        let base = if base.is_empty() { "rule" } else { base };
        let numbered = (2..).map(|number: usize| format!("{base}-{number}"));
        let free = std::iter::once(base.to_owned()).chain(numbered).find(|id| !self.0.contains(id)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}
