//! The rules of both sides beside each other: what means the same in both is one.

use super::atoms::{Atoms, Want};
use super::words::{Words, index};
use super::{Limit, SIDES};
use crate::policy::canonical_json;
use crate::policy::methods::Methods;
use crate::policy::rule::{Effect, Rule};
use crate::policy::standing::Percent;
use crate::policy::{Mode, Part, Table, Tables};
use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

/// The parts that are enforced.
pub(super) const PARTS: [Part; 2] = [Part::Own, Part::Boundary];

/// What a rule means: all of it but its id, its place and what is only for records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Meaning<'t> {
    pub(super) part: usize,
    pub(super) effect: Effect,
    pub(super) stand: Stand,
    pub(super) callers: u32,
    pub(super) is_tcp: bool,
    pub(super) is_grpc: bool,
    /// In order; empty: any.
    pub(super) methods: Box<[&'t str]>,
    pub(super) paths: Box<[u32]>,
    /// In order, empty: any; as those after them.
    pub(super) hosts: Box<[&'t str]>,
    pub(super) ports: Box<[u16]>,
    pub(super) wants: Box<[Want]>,
    /// Of a deny: the allows that it spares, by their numbers here.
    pub(super) spares: Box<[u32]>,
}

/// Whether a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stand {
    /// It does.
    Enforced,
    /// It is in shadow, or in a table that is, or changes no outcome.
    Beside,
}

/// A rule of one side or of both.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) meaning: Meaning<'t>,
    /// The first that means this, in each side.
    pub(super) rules: [Option<&'t Rule>; 2],
}

/// When a table is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    /// Never: there is none, or it is in shadow.
    Never,
    /// Always.
    Always,
    /// For a share of identities.
    For(Want),
}

/// Both sides.
pub(super) struct Joint<'t> {
    pub(super) words: Words<'t>,
    pub(super) atoms: Atoms,
    pub(super) nodes: Vec<Node<'t>>,
    /// By side and part.
    pub(super) force: [[Force; 2]; 2],
    /// By side and part: whose tokens the table believes, by number; `None`: there is no table.
    pub(super) issuers: [[Option<u32>; 2]; 2],
    /// The numbers of the patterns that every path matches one of.
    pub(super) everything: [u32; 2],
    numbers: HashMap<Meaning<'t>, u32>,
    issuer_numbers: HashMap<String, u32>,
}

impl<'t> Joint<'t> {
    /// Reads both. Rules that have ended are no rules.
    pub(super) fn new(sides: [&'t Tables; 2], now: SystemTime) -> Result<Self, Limit> {
        let mut words = Words::new();
        let everything = ["/**", "*"].map(|text| words.template(text));
        let mut joint = Self {
            words,
            atoms: Atoms::default(),
            nodes: Vec::new(),
            force: [[Force::Never; 2]; 2],
            issuers: [[None; 2]; 2],
            everything,
            numbers: HashMap::new(),
            issuer_numbers: HashMap::new(),
        };
        for (side, tables) in SIDES.into_iter().zip(sides) {
            for (part, table) in tables.all() {
                if let Some(part) = PARTS.iter().position(|known| *known == part) {
                    joint.table(side, part, table, now)?;
                }
            }
        }
        Ok(joint)
    }

    fn table(&mut self, side: usize, part: usize, table: &'t Table, now: SystemTime) -> Result<(), Limit> {
        let force = match (table.mode(), table.percent) {
            (Mode::Shadow { .. }, _) => Force::Never,
            (Mode::Enforce, Percent::ALL) => Force::Always,
            (Mode::Enforce, percent) => self.atoms.share(percent, &table.facts.name).map_or(Force::Always, Force::For),
        };
        let new = index(self.issuer_numbers.len());
        let issuers = *self.issuer_numbers.entry(canonical_json::issuers(&table.issuers)).or_insert(new);
        if let (Some(own), Some(numbers)) = (self.force.get_mut(side), self.issuers.get_mut(side)) {
            (own[part], numbers[part]) = (force, Some(issuers));
        }
        let is_live = |rule: &Rule| rule.expires.is_none_or(|end| now < end);
        // Denies name allows, so these get their numbers first.
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for is_deny in [false, true] {
            let rules = (0_u32..).zip(&table.rules).filter(|(_, rule)| (rule.effect == Effect::Deny) == is_deny && is_live(rule));
            for (place, rule) in rules {
                let stand =
                    if force == Force::Never || rule.is_shadow() || rule.effect == Effect::Audit { Stand::Beside } else { Stand::Enforced };
                let spares: BTreeSet<u32> = rule.excepts.iter().filter_map(|allow| numbers.get(allow).copied()).collect();
                let spares = spares.into_iter().collect();
                numbers.insert(place, self.number(side, rule, stand, part, spares, issuers)?);
            }
        }
        Ok(())
    }

    fn number(&mut self, side: usize, rule: &'t Rule, stand: Stand, part: usize, spares: Box<[u32]>, issuers: u32) -> Result<u32, Limit> {
        let methods = match &rule.methods {
            Methods::Any => Box::default(),
            Methods::Of(written) => in_order(written.all.iter().map(http::Method::as_str)),
        };
        let meaning = Meaning {
            part,
            effect: rule.effect,
            stand,
            callers: self.words.list(&rule.from)?,
            is_tcp: rule.tcp,
            is_grpc: rule.is_grpc(),
            methods,
            paths: self.words.paths(rule),
            hosts: in_order(rule.hosts.iter().map(|host| host.as_str())),
            ports: in_order(rule.ports.iter().copied()),
            wants: self.atoms.wants(rule, issuers),
            spares,
        };
        let new = index(self.nodes.len());
        let number = match self.numbers.get(&meaning) {
            Some(known) => *known,
            None => {
                self.numbers.insert(meaning.clone(), new);
                self.nodes.push(Node { meaning, rules: [None; 2] });
                new
            }
        };
        if let Some(known) = self.nodes.get_mut(usize::try_from(number).unwrap_or(usize::MAX)).and_then(|node| node.rules.get_mut(side)) {
            known.get_or_insert(rule);
        }
        Ok(number)
    }

    /// The rule with this number.
    pub(super) fn node(&self, number: u32) -> Option<&Node<'t>> {
        self.nodes.get(usize::try_from(number).ok()?)
    }

    /// Whether the tables themselves are enforced otherwise in one side than in the other: every request may be decided otherwise then.
    pub(super) fn force_differs(&self) -> bool {
        let [a, b] = &self.force;
        a != b
    }

    /// The patterns of a rule's callers.
    pub(super) fn callers(&self, node: &Node<'t>) -> &[u32] {
        usize::try_from(node.meaning.callers).ok().and_then(|list| self.words.lists.get(list)).map_or(&[], |list| list)
    }
}

impl Node<'_> {
    pub(super) fn is_deny(&self) -> bool {
        self.meaning.effect == Effect::Deny
    }

    /// Whether it changes outcomes.
    pub(super) fn counts(&self) -> bool {
        self.meaning.stand == Stand::Enforced
    }

    /// Whether one side alone has it.
    pub(super) fn is_lone(&self) -> bool {
        let [a, b] = &self.rules;
        a.is_some() != b.is_some()
    }

    /// Whether a side has it.
    pub(super) fn is_in(&self, side: usize) -> bool {
        self.rules.get(side).is_some_and(Option::is_some)
    }
}

fn in_order<T: Ord>(all: impl Iterator<Item = T>) -> Box<[T]> {
    let set: BTreeSet<T> = all.collect();
    set.into_iter().collect()
}
