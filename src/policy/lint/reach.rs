//! Rules that never decide anything: exact over callers, methods, hosts, paths, ports and the content type.
//!
//! A rule is dead where no request exists that ends otherwise without it. Conditions are opaque: a rule with some never keeps another from deciding,
//! and for a rule with some there may be a request that fulfils them.

use super::bits::Bits;
use super::{Around, Findings, Lint, Severity, is_live};
use crate::policy::Table;
use crate::policy::methods::{self, Methods};
use crate::policy::pattern::{PathPattern, Shape};
use crate::policy::rule::{Effect, Rule};
use crate::policy::space::{Alphabet, Budget, Exhausted, Heads, host, identity, ways};
use crate::policy::standing::Percent;
use http::Method;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// The work for one table, in half-read patterns: a second or two.
const WORK: u64 = 5_000_000;

/// The work for one rule, so that one wide rule does not leave all others unknown.
const WORK_A_RULE: u64 = 1_000_000;

/// The most rules that a finding names.
const NAMED: usize = 4;

/// Finds rules that never decide.
pub(super) fn look(table: &Table, around: &Around, findings: &mut Findings<'_>) {
    let analysis = Analysis::new(table, around);
    let mut left = WORK;
    let mut unknown = Vec::new();
    for (index, rule) in table.rules.iter().enumerate().filter(|(_, rule)| is_live(rule, around.now)) {
        let mut budget = Budget::new(left.min(WORK_A_RULE));
        let judged = analysis.judge(index, rule, &mut budget);
        left = left.saturating_sub(left.min(WORK_A_RULE) - budget.left());
        match judged {
            Ok(Reach::Decides) => {}
            Ok(Reach::Never { by, is_denied }) => report(table, index, rule, &by, is_denied, findings),
            Err(Exhausted) => unknown.push(index),
        }
    }
    if let Some((first, rule)) = unknown.first().and_then(|first| Some((*first, table.rules.get(*first)?))) {
        let what = format!(
            "whether {} rules ever decide was not found out, `{}` the first of them: too many others overlap them",
            unknown.len(),
            rule.facts.id
        );
        findings.rule(
            first,
            rule,
            |places| places.at.clone(),
            Lint::NotAnalysed,
            Severity::Note,
            (what, "split the table, or look at these by hand"),
        );
    }
}

fn report(table: &Table, index: usize, rule: &Rule, by: &BTreeSet<usize>, is_denied: bool, findings: &mut Findings<'_>) {
    let ids: Vec<String> = by.iter().filter_map(|index| table.rules.get(*index)).map(|rule| format!("`{}`", rule.facts.id)).collect();
    let named = match ids.len() {
        0..=NAMED => ids.join(", "),
        more => format!("{} and {} more", ids.get(..NAMED).unwrap_or_default().join(", "), more - NAMED),
    };
    let (lint, what, instead) = match (rule.effect, is_denied) {
        (Effect::Allow, true) => (
            Lint::AllowUnderDeny,
            format!("allow `{}` lets nothing pass: everything that it is about is denied by {named}", rule.facts.id),
            "remove it, or name it in except_rules of the deny",
        ),
        (Effect::Audit, _) => {
            (Lint::DeadRule, format!("audit rule `{}` changes nothing: {named} ask for the same records", rule.facts.id), "remove it")
        }
        _ => (
            Lint::DeadRule,
            format!("rule `{}` never decides: {named} always do", rule.facts.id),
            "remove it, or put it before them if it should",
        ),
    };
    findings.rule(index, rule, |places| places.at.clone(), lint, Severity::Warning, (what, instead));
}

/// Whether a rule ever decides.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// On some request.
    Decides,
    /// On none.
    Never {
        /// Those that decide instead.
        by: BTreeSet<usize>,
        /// Whether they are all denies.
        is_denied: bool,
    },
}

/// What is the same for all rules of a table.
pub(super) struct Analysis<'t> {
    table: &'t Table,
    now: SystemTime,
    ports: Option<&'t [u16]>,
    by_path: Heads,
    by_caller: Heads,
}

/// A rule that another one may be kept from deciding by.
#[derive(Clone, Copy)]
struct Rival<'t> {
    index: usize,
    rule: &'t Rule,
    /// Whether it matches whatever is opaque here.
    is_sure: bool,
}

impl<'t> Analysis<'t> {
    pub(super) fn new(table: &'t Table, around: &'t Around) -> Self {
        let live = || table.rules.iter().enumerate().filter(|(_, rule)| is_live(rule, around.now));
        Self {
            table,
            now: around.now,
            ports: around.ports.as_deref(),
            by_path: Heads::of(live().map(|(index, rule)| (index, path_shapes(rule)))),
            by_caller: Heads::of(live().map(|(index, rule)| (index, identity::shapes(&rule.from)))),
        }
    }

    /// Whether a rule ever decides.
    ///
    /// # Errors
    /// It would take more than the budget.
    pub(super) fn judge(&self, index: usize, rule: &Rule, budget: &mut Budget) -> Result<Reach, Exhausted> {
        let rivals = self.rivals(index, rule, budget)?;
        let mut end = End { index, rule, rivals: &rivals, by: BTreeSet::new(), is_denied: true };
        let [callers, targets, hosts] =
            [self.callers(rule, &rivals, budget)?, targets(rule, &rivals, budget)?, hosts(rule, &rivals, budget)?];
        for one in &callers {
            for two in &targets {
                let both = one.and(two);
                for three in &hosts {
                    budget.spend(both.work())?;
                    if end.is_reached(&both.and(three)) {
                        return Ok(Reach::Decides);
                    }
                }
            }
        }
        // What no request can be is another finding.
        if [&callers, &targets, &hosts].into_iter().any(|ways| ways.is_empty()) {
            return Ok(Reach::Decides);
        }
        Ok(Reach::Never { by: end.by, is_denied: end.is_denied })
    }

    /// Whether this table may let something pass that a rule of another one is about.
    ///
    /// # Errors
    /// It would take more than the budget.
    pub(super) fn lets_some_of(&self, rule: &Rule, budget: &mut Budget) -> Result<bool, Exhausted> {
        let counts = |other: &Rule| is_live(other, self.now) && other.tcp == rule.tcp && !other.is_shadow();
        let of = |effect| self.table.rules.iter().enumerate().filter(move |(_, other)| other.effect == effect && counts(other));
        // The foreign rule is the first rival of each allow here: where it is met, both are about the same requests.
        let denies = of(Effect::Deny).map(|(index, rule)| Rival { index, rule, is_sure: is_sure(rule) });
        let rivals: Vec<Rival<'_>> = std::iter::once(Rival { index: usize::MAX, rule, is_sure: true }).chain(denies).collect();
        for (index, allow) in of(Effect::Allow) {
            let [callers, targets, hosts] =
                [self.callers(allow, &rivals, budget)?, targets(allow, &rivals, budget)?, hosts(allow, &rivals, budget)?];
            for both in product(&callers, &targets, budget)? {
                for three in &hosts {
                    budget.spend(both.work())?;
                    let met: Vec<Rival<'_>> = both.and(three).iter().filter_map(|at| rivals.get(at).copied()).collect();
                    let denied = |rival: &Rival<'_>| rival.rule.effect == Effect::Deny && rival.is_sure && !spares(rival.rule, index);
                    if met.first().is_some_and(|first| first.index == usize::MAX) && !met.iter().any(denied) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Those whose paths and callers may meet the rule's, and that count where it does.
    fn rivals(&self, index: usize, rule: &Rule, budget: &mut Budget) -> Result<Vec<Rival<'t>>, Exhausted> {
        let (mut one, mut other) = (*budget, *budget);
        let by_path = self.by_path.near(&path_shapes(rule), &mut one);
        let by_caller = self.by_caller.near(&identity::shapes(&rule.from), &mut other);
        let near = match (by_path, by_caller) {
            (Ok(paths), Ok(callers)) => {
                if paths.len() <= callers.len() {
                    paths
                } else {
                    callers
                }
            }
            (Ok(near), Err(_)) | (Err(_), Ok(near)) => near,
            (Err(error), Err(_)) => return Err(error),
        };
        budget.spend(near.len())?;
        let near: BTreeSet<usize> = near.into_iter().filter(|other| *other != index).collect();
        let rivals = near.into_iter().filter_map(|other| {
            let rival = self.table.rules.get(other)?;
            let counts = is_live(rival, self.now) && rival.tcp == rule.tcp && (rule.is_shadow() || !rival.is_shadow());
            let concerned = match (rule.effect, rival.effect) {
                (Effect::Allow, Effect::Allow) => other < index,
                (Effect::Audit, Effect::Audit) => other < index,
                (Effect::Audit, _) | (_, Effect::Audit) => false,
                _ => true,
            };
            (counts && concerned).then_some(Rival { index: other, rule: rival, is_sure: is_sure(rival) })
        });
        Ok(rivals.collect())
    }

    /// The rule's callers on the ports: every set of rivals that some of them meet.
    fn callers(&self, rule: &Rule, rivals: &[Rival<'_>], budget: &mut Budget) -> Result<BTreeSet<Bits>, Exhausted> {
        let callers = met(&identity::shapes(&rule.from), |rival| identity::shapes(&rival.from), rivals, Alphabet::Identity, budget)?;
        let named = rivals.iter().flat_map(|rival| rival.rule.ports.iter().copied());
        let known: BTreeSet<u16> = match (rule.ports.is_empty(), self.ports) {
            (false, _) => rule.ports.iter().copied().collect(),
            (true, Some(ports)) if !ports.is_empty() => ports.iter().copied().collect(),
            // Port 0 is nobody's: any other than those that are named.
            (true, _) => named.chain([0]).collect(),
        };
        let ports = known.into_iter().map(|port| Bits::of(rivals.len(), |at| rivals.get(at).is_some_and(|rival| rival.rule.is_on(port))));
        product(&callers, &ports.collect(), budget)
    }
}

/// Whether nothing opaque keeps it from matching.
fn is_sure(rule: &Rule) -> bool {
    rule.conditions.is_empty() && rule.expires.is_none() && rule.percent == Percent::ALL
}

fn path_shapes(rule: &Rule) -> Vec<Shape<'_>> {
    rule.facts.templates().map(Shape::of_path).collect()
}

fn host_shapes(rule: &Rule) -> Vec<Shape<'_>> {
    if rule.hosts.is_empty() { vec![host::every()] } else { rule.hosts.iter().map(host::shape).collect() }
}

/// Every set of rivals that what these shapes take in meets.
fn met<'t>(
    targets: &[Shape<'_>],
    of: impl Fn(&'t Rule) -> Vec<Shape<'t>>,
    rivals: &[Rival<'t>],
    alphabet: Alphabet,
    budget: &mut Budget,
) -> Result<BTreeSet<Bits>, Exhausted> {
    let shapes: Vec<(usize, Shape<'_>)> =
        rivals.iter().enumerate().flat_map(|(at, rival)| of(rival.rule).into_iter().map(move |shape| (at, shape))).collect();
    let others: Vec<&Shape<'_>> = shapes.iter().map(|(_, shape)| shape).collect();
    let mut all = BTreeSet::new();
    for target in targets {
        for way in ways(target, &others, alphabet, budget)? {
            let here: BTreeSet<usize> = way.met.iter().filter_map(|other| shapes.get(*other).map(|(at, _)| *at)).collect();
            all.insert(Bits::of(rivals.len(), |at| here.contains(&at)));
        }
    }
    Ok(all)
}

fn product(one: &BTreeSet<Bits>, other: &BTreeSet<Bits>, budget: &mut Budget) -> Result<BTreeSet<Bits>, Exhausted> {
    let mut all = BTreeSet::new();
    for one in one {
        for other in other {
            budget.spend(one.work())?;
            all.insert(one.and(other));
        }
    }
    Ok(all)
}

/// The rule's paths and methods. `OPTIONS *` is the one request with that target, and CONNECT is refused before any rule.
fn targets(rule: &Rule, rivals: &[Rival<'_>], budget: &mut Budget) -> Result<BTreeSet<Bits>, Exhausted> {
    if rule.tcp {
        return Ok(BTreeSet::from([Bits::of(rivals.len(), |_| true)]));
    }
    let (asterisk, paths): (Vec<&str>, Vec<&str>) = rule.facts.templates().partition(|path| PathPattern::of(path).is_asterisk());
    let paths: Vec<Shape<'_>> = paths.into_iter().map(Shape::of_path).collect();
    let paths = met(&paths, path_shapes, rivals, Alphabet::Path, budget)?;
    let methods = all_methods(rule, rivals).into_iter().map(|method| {
        let bit = methods::bit(&method);
        Bits::of(rivals.len(), |at| rivals.get(at).is_some_and(|rival| rival.rule.methods.contains(&method, bit)))
    });
    let mut all = product(&paths, &methods.collect(), budget)?;
    let options = methods::bit(&Method::OPTIONS);
    if !asterisk.is_empty() && rule.methods.contains(&Method::OPTIONS, options) {
        let takes = |rival: &Rule| rival.methods.contains(&Method::OPTIONS, options) && rival.paths().any(|path| path.is_asterisk());
        all.insert(Bits::of(rivals.len(), |at| rivals.get(at).is_some_and(|rival| takes(rival.rule))));
    }
    Ok(all)
}

/// The rule's methods; of one about all of them those that some rival names, and one that none does.
fn all_methods(rule: &Rule, rivals: &[Rival<'_>]) -> Vec<Method> {
    let written = |methods: &Methods| match methods {
        Methods::Any => Vec::new(),
        Methods::Of(written) => written.all.to_vec(),
    };
    let mut all = written(&rule.methods);
    if rule.methods == Methods::Any {
        all = rivals.iter().flat_map(|rival| written(&rival.rule.methods)).collect();
        let longest = all.iter().map(|method| method.as_str().len()).max().unwrap_or_default();
        all.extend(Method::from_bytes("X".repeat(longest + 1).as_bytes()).ok());
    }
    all.retain(|method| *method != Method::CONNECT);
    all.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    all.dedup();
    all
}

/// The rule's hosts, none among them, and content types.
fn hosts(rule: &Rule, rivals: &[Rival<'_>], budget: &mut Budget) -> Result<BTreeSet<Bits>, Exhausted> {
    // Whether something without a host is meant cannot be told: a deny matches then, and an allow does not.
    let without = |rule: &Rule| rule.hosts.is_empty() || rule.effect != Effect::Allow;
    let targets = host_shapes(rule);
    let mut hosts = met(&targets, host_shapes, rivals, Alphabet::Host, budget)?;
    if without(rule) {
        hosts.insert(Bits::of(rivals.len(), |at| rivals.get(at).is_some_and(|rival| without(rival.rule))));
    }
    let plain = Bits::of(rivals.len(), |at| rivals.get(at).is_some_and(|rival| !rival.rule.is_grpc()));
    let grpc = Bits::of(rivals.len(), |_| true);
    let types = if rule.is_grpc() { BTreeSet::from([grpc]) } else { BTreeSet::from([plain, grpc]) };
    product(&hosts, &types, budget)
}

/// What becomes of requests that the rule matches.
struct End<'r, 't> {
    index: usize,
    rule: &'r Rule,
    rivals: &'r [Rival<'t>],
    by: BTreeSet<usize>,
    is_denied: bool,
}

impl<'t> End<'_, 't> {
    /// Whether the rule makes a difference where these rivals match, for some result of whatever is opaque; otherwise notes who decides.
    fn is_reached(&mut self, met: &Bits) -> bool {
        let met: Vec<Rival<'t>> = met.iter().filter_map(|at| self.rivals.get(at).copied()).collect();
        match self.rule.effect {
            Effect::Allow => self.allow_decides(&met),
            Effect::Deny => self.deny_decides(&met),
            Effect::Audit => {
                let sure = met.iter().find(|rival| rival.is_sure);
                self.by.extend(sure.map(|rival| rival.index));
                sure.is_none()
            }
        }
    }

    /// Every deny that matches for sure must spare it, and no earlier allow be spared by all; a deny that spares it helps where it matches.
    fn allow_decides(&mut self, met: &[Rival<'t>]) -> bool {
        let denies = || met.iter().filter(|rival| rival.rule.effect == Effect::Deny);
        if let Some(deny) = denies().find(|deny| deny.is_sure && !spares(deny.rule, self.index)) {
            self.by.insert(deny.index);
            return false;
        }
        let matching: Vec<&Rule> = denies().filter(|deny| deny.is_sure || spares(deny.rule, self.index)).map(|deny| deny.rule).collect();
        let mut allows = met.iter().filter(|rival| rival.rule.effect == Effect::Allow && rival.is_sure);
        let earlier = allows.find(|allow| matching.iter().all(|deny| spares(deny, allow.index)));
        if let Some(earlier) = earlier {
            self.by.insert(earlier.index);
            self.is_denied = false;
        }
        earlier.is_none()
    }

    fn deny_decides(&mut self, met: &[Rival<'t>]) -> bool {
        self.deny_is_named(met) || self.deny_takes_back(met)
    }

    /// It is the first deny, and no allow is spared by all of them.
    fn deny_is_named(&mut self, met: &[Rival<'t>]) -> bool {
        let denies = || met.iter().filter(|rival| rival.rule.effect == Effect::Deny);
        if let Some(first) = denies().find(|deny| deny.is_sure && deny.index < self.index) {
            self.by.insert(first.index);
            return false;
        }
        let later: Vec<&Rule> = denies().filter(|deny| deny.index > self.index).map(|deny| deny.rule).collect();
        let spared = |allow: &&Rival<'_>| spares(self.rule, allow.index) && later.iter().all(|deny| spares(deny, allow.index));
        let allow = met.iter().filter(|rival| rival.rule.effect == Effect::Allow && rival.is_sure).find(spared);
        self.by.extend(allow.map(|allow| allow.index));
        allow.is_none()
    }

    /// Without it some allow would decide that it does not spare.
    fn deny_takes_back(&self, met: &[Rival<'t>]) -> bool {
        let allows = || met.iter().filter(|rival| rival.rule.effect == Effect::Allow);
        let denies = || met.iter().filter(|rival| rival.rule.effect == Effect::Deny);
        allows().filter(|allow| !spares(self.rule, allow.index)).any(|allow| {
            let matching: Vec<&Rule> =
                denies().filter(|deny| deny.is_sure || spares(deny.rule, allow.index)).map(|deny| deny.rule).collect();
            let spared = |rival: &&Rival<'_>| matching.iter().all(|deny| spares(deny, rival.index));
            let first = allows().filter(|rival| rival.is_sure || rival.index == allow.index).find(spared);
            first.is_some_and(|first| !spares(self.rule, first.index))
        })
    }
}

/// Whether a deny names this allow in its `except_rules`.
fn spares(deny: &Rule, allow: usize) -> bool {
    deny.excepts.iter().any(|index| usize::try_from(*index) == Ok(allow))
}
