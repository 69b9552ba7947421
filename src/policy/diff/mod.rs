//! What one policy lets pass that another one does not: exact over callers, ports, methods, hosts, content types and paths, over TCP connections and over
//! destinations, with the shortest witness in each direction.
//!
//! A request that meets the same rules in both sides is decided the same. So only requests that meet a rule which one side alone has are looked at: `joint` and
//! `causes` find these rules, `classes` and `ports` the callers who meet them, `places` the paths, methods and hosts, `weigh` what conditions change, and `groups` puts
//! together what was found. Conditions are opaque: the same canonical text is the same atom, true, false or unknown, whatever the others are. Before a
//! witness leaves, `naive` decides it rule by rule.

mod atoms;
mod beside;
mod by_number;
mod causes;
mod classes;
mod destinations;
mod groups;
mod joint;
mod naive;
mod places;
mod ports;
mod sought;
mod weigh;
mod words;

pub use beside::Beside;
pub use destinations::Leaving;
pub use groups::{Change, Witness};
pub use sought::{Host, Sought};

use super::Tables;
use super::explain::RulePlace;
use super::space::Budget;
use groups::{Groups, Settings};
use joint::Joint;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The work that one answer may take, in half-read patterns and the like: about a second, and some hundred MiB at most.
const WORK: u64 = 20_000_000;

/// The places of the sides in pairs: the first, the second.
const SIDES: [usize; 2] = [0, 1];

/// The place of what the second side lets pass and the first one does not, in pairs by direction.
pub const ALLOWED: usize = 0;

/// The place of what the first side lets pass and the second one does not.
pub const DENIED: usize = 1;

/// How the second policy stands to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They let the same pass.
    Equal,
    /// It lets less pass and nothing else.
    Narrower,
    /// It lets more pass and all that the first does.
    Wider,
    /// Each lets something pass that the other does not, or it was not found out.
    Incomparable,
}

impl Relation {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Narrower => "narrower",
            Self::Wider => "wider",
            Self::Incomparable => "incomparable",
        }
    }
}

/// Why an answer is not exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// More opaque conditions than are tried meet at one place.
    Conditions {
        /// How many.
        count: usize,
        /// What is asked for there.
        at: String,
    },
    /// The patterns overlap in more ways than are looked at.
    Work,
    /// The rules name more callers than are looked at.
    Callers,
    /// What was found was not confirmed rule by rule.
    Unconfirmed {
        /// What is asked for.
        at: String,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conditions { count, at } => write!(f, "{count} conditions meet at {at}, and up to {} are compared", weigh::ATOMS),
            Self::Work => f.write_str("the patterns of these tables overlap in more ways than are looked at"),
            Self::Callers => f.write_str("with the members of sets, the rules name more callers than are looked at"),
            Self::Unconfirmed { at } => write!(f, "a difference at {at} was found and not confirmed; please report this"),
        }
    }
}

/// What differs.
#[derive(Debug)]
pub struct Difference {
    /// In one word.
    pub relation: Relation,
    /// By direction: [`ALLOWED`], [`DENIED`].
    pub changes: [Changes; 2],
    /// Destinations of the service itself, one for each direction.
    pub leaving: [Option<Leaving>; 2],
    /// Why the answer is not exact; empty: it is.
    pub limits: Vec<Limit>,
    /// What differs and lets nothing pass that would not pass, and refuses nothing: trials, records, tokens.
    pub beside: Vec<Beside>,
}

/// Differences of one direction.
#[derive(Debug, Default)]
pub struct Changes {
    /// The shortest first.
    pub shown: Vec<Change>,
    /// How many more there are.
    pub left_out: usize,
}

/// Compares what two policies enforce from `now` on, each perhaps with a table that caps it. Shows at most so many differences of each direction.
/// `ports` are those of the listeners; `None`: there may be any.
pub fn diff(a: &Arc<Tables>, b: &Arc<Tables>, ports: Option<&[u16]>, most: usize, now: SystemTime) -> Difference {
    let mut budget = Budget::new(WORK);
    let (leaving, cut) = destinations::compare(a, b, &mut budget);
    let mut limits: Vec<Limit> = cut.into_iter().collect();
    let settings = Settings { tables: [a, b], ports, most, now };
    let (changes, beside) = match Joint::new([a, b], now) {
        Ok(joint) => {
            let (groups, more) = Groups::find(&joint, &settings, &mut budget);
            limits.extend(more);
            (groups.changes(&joint, &settings, &mut limits), beside::beside(&joint, [a, b]))
        }
        Err(limit) => {
            limits.push(limit);
            (Default::default(), Vec::new())
        }
    };
    let is_there = |direction: usize| {
        let found = changes.get(direction).is_some_and(|changes: &Changes| !changes.shown.is_empty() || changes.left_out > 0);
        found || leaving.get(direction).is_some_and(Option::is_some)
    };
    let relation = match (is_there(ALLOWED), is_there(DENIED)) {
        _ if !limits.is_empty() => Relation::Incomparable,
        (false, false) => Relation::Equal,
        (true, false) => Relation::Wider,
        (false, true) => Relation::Narrower,
        (true, true) => Relation::Incomparable,
    };
    Difference { relation, changes, leaving, limits, beside }
}

/// A rule of one side that decides a witness, or the table that has none for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This rule.
    Rule(RulePlace),
    /// No rule of this table lets it pass.
    Nothing(super::Part),
    /// Nothing is enforced for it.
    Shadow,
}
