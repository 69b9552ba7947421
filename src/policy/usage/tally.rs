//! What one shard has counted and not handed over yet.

use super::super::class::Met;
use super::super::evaluate::{Findings, Outcome, rule};
use super::super::rule::Rule;
use super::super::{Part, Table};
use super::gathered::Gathered;
use super::members::position;
use super::seconds;
use crate::identity::Principal;
use crate::request::CanonicalRequest;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::SystemTime;

/// Cells of a shard, as a power of two. Whatever else falls on a cell in use moves its count on; nothing is lost.
const CELLS: u32 = 8;

/// Counts that had to move on and are handed over together.
const MOVED: usize = 64;

/// One shard's counts. A request adds one to a cell: no lock, and no allocation unless nothing like it came since the shard's last two ticks.
#[derive(Debug)]
pub struct Tally {
    gathered: Arc<Gathered>,
    cells: RefCell<Box<[Option<Hits>]>>,
    moved: RefCell<Vec<Hits>>,
    settled: Cell<bool>,
}

/// What a table said of a request.
pub(in crate::policy) struct Asked<'d> {
    pub(in crate::policy) part: Part,
    pub(in crate::policy) table: &'d Arc<Table>,
    pub(in crate::policy) met: &'d Arc<Met>,
    pub(in crate::policy) principal: &'d Principal,
    pub(in crate::policy) request: &'d CanonicalRequest,
}

/// A rule that decided, and what tells the members of its lists that did; a list with fewer than two is told by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Marks {
    /// Its place in the table.
    pub(super) rule: u32,
    /// Places in its lists.
    pub(super) path: u32,
    pub(super) method: u32,
    pub(super) host: u32,
}

/// Decisions that are alike, of one identity.
#[derive(Debug)]
pub(super) struct Hits {
    pub(super) part: Part,
    /// Held, so that nothing else has its address meanwhile.
    met: Arc<Met>,
    pub(super) marks: Marks,
    pub(super) count: u64,
    pub(super) table: Arc<Table>,
    pub(super) principal: Principal,
}

impl Tally {
    /// A shard's own, whose counts go to `gathered`.
    pub fn new(gathered: Arc<Gathered>) -> Self {
        let cells = (0..1 << CELLS).map(|_| None).collect();
        Self { gathered, cells: RefCell::new(cells), moved: RefCell::default(), settled: Cell::new(true) }
    }

    /// Counts the rule that decided, and the one in shadow that would have decided otherwise.
    pub(in crate::policy) fn count(&self, asked: &Asked<'_>, findings: &Findings, now: SystemTime) {
        let named = [Some(findings.outcome), findings.would];
        for candidate in named.into_iter().flatten().filter_map(Outcome::candidate) {
            if let Some(rule) = rule(&asked.table.rules, candidate) {
                self.add(asked, Marks::of(rule, candidate.rule, candidate.template, asked.request), now);
            }
        }
    }

    fn add(&self, asked: &Asked<'_>, marks: Marks, now: SystemTime) {
        let mut cells = self.cells.borrow_mut();
        let Some(cell) = cells.get_mut(marks.cell(asked.met)) else { return };
        match cell {
            Some(hits) if hits.part == asked.part && hits.marks == marks && Arc::ptr_eq(&hits.met, asked.met) => hits.count += 1,
            _ => self.begin(cell, asked, marks, now),
        }
    }

    #[cold]
    fn begin(&self, cell: &mut Option<Hits>, asked: &Asked<'_>, marks: Marks, now: SystemTime) {
        self.settled.set(false);
        let Asked { part, table, met, principal, .. } = *asked;
        let hits = Hits { part, met: Arc::clone(met), marks, count: 1, table: Arc::clone(table), principal: principal.clone() };
        if let Some(other) = cell.replace(hits).filter(|other| other.count > 0) {
            let mut moved = self.moved.borrow_mut();
            moved.push(other);
            if moved.len() >= MOVED {
                self.gathered.add(&mut moved.drain(..), seconds(now));
            }
        }
    }

    /// Whether everything was handed over and no cell is in use.
    pub fn is_settled(&self) -> bool {
        self.settled.get()
    }

    /// Hands over what was counted. A cell that nothing was added to since the last time is given up.
    pub fn hand_over(&self, now: SystemTime) {
        if self.settled.get() {
            return;
        }
        let (mut cells, mut moved) = (self.cells.borrow_mut(), self.moved.borrow_mut());
        let mut settled = true;
        for cell in cells.iter_mut() {
            let Some(hits) = cell else { continue };
            if hits.count == 0 {
                *cell = None;
                continue;
            }
            settled = false;
            moved.push(Hits {
                part: hits.part,
                met: Arc::clone(&hits.met),
                marks: hits.marks,
                count: std::mem::take(&mut hits.count),
                table: Arc::clone(&hits.table),
                principal: hits.principal.clone(),
            });
        }
        self.gathered.add(&mut moved.drain(..), seconds(now));
        self.settled.set(settled);
    }
}

impl Marks {
    /// What a list with fewer than two members is told by.
    const ONE: u32 = 0;
    /// A list whose member is not known.
    const UNKNOWN: u32 = u32::MAX;

    fn of(rule: &Rule, place: u32, path: u32, request: &CanonicalRequest) -> Self {
        let host = match &*rule.hosts {
            [] | [_] => Self::ONE,
            hosts => {
                let host = request.authority.as_ref().map(|authority| authority.host());
                host.map_or(Self::UNKNOWN, |host| position(hosts.iter(), |pattern| pattern.matches(host)))
            }
        };
        Self { rule: place, path, method: rule.methods.place(&request.method), host }
    }

    /// The rule alone.
    pub(super) fn of_rule(rule: u32) -> Self {
        Self { rule, path: Self::UNKNOWN, method: Self::UNKNOWN, host: Self::UNKNOWN }
    }

    /// Which cell: the upper bits of a product that every bit of the factors reaches.
    fn cell(&self, met: &Arc<Met>) -> usize {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let Self { rule, path, method, host } = *self;
        let marks = u64::from(rule) << 32 ^ u64::from(path) << 20 ^ u64::from(method) << 12 ^ u64::from(host);
        let mixed = (Arc::as_ptr(met).addr() as u64 ^ marks.wrapping_mul(ODD)).wrapping_mul(ODD);
        usize::try_from(mixed >> (u64::BITS - CELLS)).unwrap_or_default()
    }
}
