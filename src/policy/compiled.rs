//! The rules that one identity can meet, compiled: one pass over a path, then what its method means there.

#[cfg(test)]
mod damage;

#[cfg(test)]
pub(super) use damage::Fault;

use super::Truth;
use super::automaton::{Automaton, Beginning, TooLarge};
use super::evaluate::{Candidate, Findings, Outcome, findings, rule};
use super::lists::index;
use super::methods::{self, Methods};
use super::pattern::{PathPattern, segments};
use super::rule::Rule;
use crate::request::CanonicalRequest;

/// The bit of all methods that have none of their own.
const RARE: u16 = 1 << 15;

/// The most rules that are compared with another one where many match the same path, for each unit of effort; and candidates kept, four of them.
const COMPARED: usize = 4;

/// Where each path leads, for the rules of one class.
#[derive(Debug)]
pub(super) struct Compiled {
    automaton: Automaton,
    /// After the slash that paths begin with.
    slash: Beginning,
    /// By the automaton's sets: where in `slots` what the rules say of the paths that match them ends.
    ends: Box<[u32]>,
    /// What the rules say of one path, by method. Methods that are not there match nothing.
    slots: Box<[Slot]>,
    /// What has to be looked at, in file order each.
    candidates: Box<[Candidate]>,
    /// What is settled and more than one rule that decides.
    settled: Box<[Findings]>,
}

/// What the rules say of one path and some methods. Twelve bytes: a table of a hundred thousand rules has as many.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The methods' bits.
    methods: u16,
    says: Says,
    first: u32,
    second: u32,
}

/// How to read the two numbers of a [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// This allow, whatever else the request is, and nothing besides: rule, template.
    Allow,
    /// This deny, likewise.
    Deny,
    /// What is settled here: its place, nothing.
    Settled,
    /// It hangs on conditions of these candidates: from, to.
    Open,
}

/// What is to be done for one path and method.
#[derive(Debug)]
pub(super) enum Found<'c> {
    /// Nothing more.
    Settled(Findings),
    /// To look at the conditions of these.
    Open(&'c [Candidate]),
}

impl Compiled {
    /// Compiles `rules`, which are those of `all` with these indexes, in file order, with so much effort.
    ///
    /// # Errors
    /// [`TooLarge`]; the rules are to be looked at one by one.
    pub(super) fn new(all: &[Rule], rules: &[u32], effort: usize) -> Result<Self, TooLarge> {
        let mut patterns: Vec<Candidate> = Vec::new();
        let mut texts = Vec::new();
        for &index in rules {
            let paths = rule(all, Candidate { rule: index, template: 0 }).into_iter().flat_map(Rule::paths);
            for (template, path) in (0..).zip(paths) {
                patterns.push(Candidate { rule: index, template });
                texts.push(path);
            }
        }
        let shapes: Vec<_> = texts.iter().map(PathPattern::shape).collect();
        let (automaton, sets) = Automaton::new(&shapes, effort)?;
        let mut leaves = Leaves { all, effort: effort.saturating_mul(COMPARED), ..Leaves::default() };
        for set in sets.iter() {
            let mut met: Vec<Candidate> = set.iter().filter_map(|pattern| patterns.get(index(*pattern)).copied()).collect();
            // Of several patterns of one rule the first is named.
            met.dedup_by_key(|candidate| candidate.rule);
            leaves.add(&met)?;
        }
        let Leaves { ends, slots, candidates, settled, .. } = leaves;
        let slash = automaton.after("");
        Ok(Self { automaton, slash, ends: ends.into(), slots: slots.into(), candidates: candidates.into(), settled: settled.into() })
    }

    /// What the rules say of a request.
    pub(super) fn find(&self, request: &CanonicalRequest) -> Found<'_> {
        let set = match request.path().strip_prefix('/') {
            Some(path) => self.automaton.find_after(self.slash, segments(path)),
            None => self.automaton.find(segments(request.path())),
        };
        let bit = match methods::bit(&request.method) {
            0 => RARE,
            bit => bit,
        };
        let slot = self.leaf(set).iter().find(|slot| slot.methods & bit != 0);
        slot.map_or(Found::Settled(Findings::NOTHING), |slot| self.read(*slot))
    }

    /// What the rules say of the paths of a set.
    fn leaf(&self, set: u32) -> &[Slot] {
        let set = index(set);
        let from = set.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let range = from.zip(self.ends.get(set)).map(|(from, to)| index(*from)..index(*to));
        range.and_then(|range| self.slots.get(range)).unwrap_or_default()
    }

    fn read(&self, slot: Slot) -> Found<'_> {
        let candidate = Candidate { rule: slot.first, template: slot.second };
        match slot.says {
            Says::Allow => Found::Settled(Findings { outcome: Outcome::Allow(candidate), ..Findings::NOTHING }),
            Says::Deny => Found::Settled(Findings { outcome: Outcome::Deny(candidate), ..Findings::NOTHING }),
            Says::Settled => Found::Settled(self.settled.get(index(slot.first)).copied().unwrap_or(Findings::NOTHING)),
            Says::Open => Found::Open(self.candidates.get(index(slot.first)..index(slot.second)).unwrap_or_default()),
        }
    }

    /// What it takes of memory, in units of less than 64 bytes each.
    pub(super) fn size(&self) -> usize {
        self.automaton.size() + self.slots.len() / 4 + self.candidates.len() / 4 + self.settled.len()
    }
}

/// What rules whose path has matched say, while it is made.
#[derive(Debug, Default)]
struct Leaves<'r> {
    all: &'r [Rule],
    ends: Vec<u32>,
    slots: Vec<Slot>,
    candidates: Vec<Candidate>,
    settled: Vec<Findings>,
    effort: usize,
    work: usize,
}

impl Leaves<'_> {
    /// Adds what the rules say where these match, by method.
    fn add(&mut self, met: &[Candidate]) -> Result<(), TooLarge> {
        let all = self.all;
        let mut known: Vec<(Vec<Candidate>, usize)> = Vec::new();
        for bit in methods::BITS.into_iter().chain([RARE]) {
            let concerns = |candidate: &Candidate| rule(all, *candidate).is_some_and(|rule| takes(&rule.methods, bit));
            let concerned: Vec<Candidate> = met.iter().copied().filter(concerns).collect();
            if concerned.is_empty() {
                continue;
            }
            // Of rules that name the methods that have no bit, which one it is matters.
            let alike =
                bit != RARE || concerned.iter().all(|candidate| rule(all, *candidate).is_some_and(|rule| rule.methods == Methods::Any));
            let same = known.iter().find(|(same, _)| alike && *same == concerned);
            if let Some(slot) = same.and_then(|(_, at)| self.slots.get_mut(*at)) {
                slot.methods |= bit;
                continue;
            }
            let slot = self.slot(bit, &concerned)?;
            known.push((concerned, self.slots.len()));
            self.slots.push(slot);
        }
        self.ends.push(number(self.slots.len())?);
        Ok(())
    }

    fn slot(&mut self, bit: u16, concerned: &[Candidate]) -> Result<Slot, TooLarge> {
        let all = self.all;
        let is_settled = |rule: &Rule| rule.is_unconditional() && (bit != RARE || rule.methods == Methods::Any);
        self.work = self.work.saturating_add(concerned.len());
        if self.work > self.effort {
            return Err(TooLarge);
        }
        if !concerned.iter().all(|candidate| rule(all, *candidate).is_some_and(is_settled)) {
            let from = number(self.candidates.len())?;
            self.candidates.extend(concerned);
            return Ok(Slot { methods: bit, says: Says::Open, first: from, second: number(self.candidates.len())? });
        }
        // An allow is compared with each deny that spares some.
        let sparing = |candidate: &&Candidate| rule(all, **candidate).is_some_and(|rule| !rule.excepts.is_empty());
        let compared = concerned.len().saturating_mul(1 + concerned.iter().filter(sparing).count());
        self.work = self.work.saturating_add(compared);
        if self.work > self.effort {
            return Err(TooLarge);
        }
        let found = findings(all, concerned, |_| Truth::True);
        let (says, first, second) = match found {
            Findings { outcome: Outcome::Allow(by), would: None, audited: false } => (Says::Allow, by.rule, by.template),
            Findings { outcome: Outcome::Deny(by), would: None, audited: false } => (Says::Deny, by.rule, by.template),
            _ => {
                self.settled.push(found);
                (Says::Settled, number(self.settled.len() - 1)?, 0)
            }
        };
        Ok(Slot { methods: bit, says, first, second })
    }
}

fn number(number: usize) -> Result<u32, TooLarge> {
    u32::try_from(number).map_err(|_| TooLarge)
}

/// Whether a rule may be about a method with this bit.
fn takes(methods: &Methods, bit: u16) -> bool {
    match methods {
        Methods::Any => true,
        Methods::Of(written) => written.common & bit != 0 || (bit == RARE && written.all.iter().any(|method| methods::bit(method) == 0)),
    }
}
