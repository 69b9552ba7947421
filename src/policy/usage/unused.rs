//! Which rules of a table, and which members of their lists, have decided nothing for so long.

use super::book::sets;
use super::fleet::{Fleet, Replica, Sum};
use super::members::{Dimension, members};
use super::state::{Ledger, Uses};
use crate::policy::canonical_json::rule_hash;
use crate::policy::rule::{Effect, Rule};
use crate::policy::{Part, Table};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What is known of the use of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many rules the table has.
    pub rules: usize,
    /// The replicas that count for it.
    pub replicas: Vec<Replica>,
    /// How many others were given, which have no such table.
    pub others: usize,
    /// As of when: what the last replica knows. Seconds since 1970, as every moment here.
    pub until: u64,
    /// Rules without a hit since so many days before that.
    pub unused: Vec<Unused>,
    /// Members without one, of rules that have some, and of sets.
    pub members: Vec<Member>,
    /// Rules that are too young to say, or that no replica knows: places in the table.
    pub young: Vec<(usize, Option<Known>)>,
    /// Members of sets that are too young to say.
    pub young_members: Vec<Member>,
    /// Rules of which not all members are known: places in the table.
    pub blurred: Vec<usize>,
}

/// A rule without a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Its place in the table.
    pub rule: usize,
    /// What it does: `allow` or `deny`.
    pub effect: &'static str,
    /// Of long ago.
    pub known: Known,
}

/// A member of a list without a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The list.
    pub list: List,
    /// As written.
    pub member: String,
    /// Of long ago.
    pub known: Known,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Of a rule, by its place in the table.
    Rule(usize, Dimension),
    /// A set of identities, by its name.
    Set(String),
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// In force since.
    pub since: u64,
    /// How often it decided.
    pub hits: u64,
    /// When last; `None`: never.
    pub last: Option<u64>,
}

impl Report {
    /// The replicas that were observed for fewer days: what they decided before is not known.
    pub fn young_replicas(&self, days: u64) -> impl Iterator<Item = &Replica> {
        let begin = begin(self.until, days);
        self.replicas.iter().filter(move |replica| replica.since > begin)
    }

    /// Whether it found something unused.
    pub fn has_findings(&self) -> bool {
        !self.unused.is_empty() || !self.members.is_empty()
    }
}

/// What `fleet` knows of the use of `table` in `part` over the last `days`. Rules with the effect `audit` decide nothing and are left out.
pub fn unused(table: &Table, part: Part, fleet: &Fleet, days: u64) -> Report {
    let of_table = fleet.of(part, &table.facts.name);
    let replicas: Vec<Replica> = of_table.clone().map(|(state, _)| Replica::of(state)).collect();
    let until = replicas.iter().map(|replica| replica.until).max().unwrap_or_default();
    let others = fleet.count() - replicas.len();
    let mut report = Report {
        rules: table.rules.len(),
        replicas,
        others,
        until,
        unused: Vec::new(),
        members: Vec::new(),
        young: Vec::new(),
        young_members: Vec::new(),
        blurred: Vec::new(),
    };
    let ledgers = of_table.map(|(_, ledger)| ledger);
    for (place, rule) in table.rules.iter().enumerate().filter(|(_, rule)| rule.effect != Effect::Audit) {
        report.look(ledgers.clone(), table, place, rule, begin(until, days));
    }
    for (name, set) in sets(table) {
        for member in &set.members {
            let known = Sum::of_set(ledgers.clone(), name, member.as_str());
            report.look_in_set(name, member.as_str(), known, begin(until, days));
        }
    }
    report
}

fn begin(until: u64, days: u64) -> u64 {
    until.saturating_sub(days.saturating_mul(DAY))
}

impl Report {
    fn look<'l>(&mut self, ledgers: impl Iterator<Item = &'l Ledger> + Clone, table: &Table, place: usize, rule: &Rule, begin: u64) {
        let (id, hash) = (&*rule.facts.id, rule_hash(rule, &table.rules));
        let sum = match Sum::of_rule(ledgers.clone(), id, &hash) {
            Some(sum) if sum.since <= begin => sum,
            young => return self.young.push((place, young.map(Known::from))),
        };
        if sum.used.last < begin {
            return self.unused.push(Unused { rule: place, effect: rule.effect.as_str(), known: sum.into() });
        }
        if sum.unattributed > 0 {
            return self.blurred.push(place);
        }
        for dimension in Dimension::ALL {
            for member in members(rule, dimension) {
                let uses = Sum::of_member(ledgers.clone(), (id, &hash), dimension, &member);
                if uses.last < begin {
                    let (list, known) = (List::Rule(place, dimension), Known::new(sum.since, uses));
                    self.members.push(Member { list, member: member.into_owned(), known });
                }
            }
        }
    }

    fn look_in_set(&mut self, name: &str, member: &str, sum: Option<Sum>, begin: u64) {
        let Some(sum) = sum else { return };
        let to = match (sum.used.last < begin, sum.since > begin) {
            (false, _) => return,
            (true, true) => &mut self.young_members,
            (true, false) => &mut self.members,
        };
        to.push(Member { list: List::Set(name.to_owned()), member: member.to_owned(), known: sum.into() });
    }
}

impl Known {
    fn new(since: u64, uses: Uses) -> Self {
        Self { since, hits: uses.hits, last: (!uses.is_none()).then_some(uses.last) }
    }
}

impl From<Sum> for Known {
    fn from(sum: Sum) -> Self {
        Self::new(sum.since, sum.used)
    }
}
