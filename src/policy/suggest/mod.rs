//! The least that a log needs: rules from the requests that were allowed.
//!
//! [`Learner`] takes records in and keeps, for each caller, method and host, a trie of paths in which siblings of one lexical class are one placeholder;
//! [`Learner::suggest`] makes rules of them, and [`Suggestion::toml`] a table.

mod class;
mod evidence;
mod rules;
#[cfg(test)]
mod tests;
mod text;
mod trie;

pub(super) use class::general;
pub use rules::Unlearnt;

use super::Verdict;
use super::parse::is_grpc_path;
use super::pattern::HostPattern;
use super::record::{Line, RecordError, Sort};
use crate::identity::Principal;
use crate::identity::pattern::PrincipalPattern;
use evidence::Evidence;
use rules::{Rule, Source};
use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;
use trie::{Added, Node, Room};

/// The most places in paths that are told apart for one caller.
const OF_CALLER: usize = 16_384;

/// The same for all callers; a table has at most as many rules.
const OF_ALL: usize = 262_144;

/// The most methods and hosts that are told apart for one caller, all combinations counted.
const TRIES: usize = 1_024;

/// The most hosts that are told apart.
const HOSTS: usize = 64;

/// The most bytes of a path; a record's strings are cut there.
const PATH: usize = 2_048;

/// Learns from a log.
#[derive(Default)]
pub struct Learner {
    callers: HashMap<Box<str>, Known>,
    hosts: Hosts,
    /// Places in paths, of all callers.
    places: usize,
    left_out: BTreeMap<&'static str, u64>,
}

/// What is known of one caller.
#[derive(Default)]
struct Known {
    places: usize,
    tries: Vec<(Branch, Node)>,
}

/// What the paths of one trie have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Branch {
    method: Box<str>,
    host: Host,
    is_grpc: bool,
}

/// A host by its number; `None`: the request had none.
type Host = Option<usize>;

/// The hosts that were asked for.
#[derive(Default)]
struct Hosts {
    known: Vec<Box<str>>,
    /// Whether some request had none.
    none: bool,
    /// Whether there were more than are told apart.
    more: bool,
}

/// A table that allows what was seen.
#[derive(Debug)]
pub struct Suggestion {
    rules: Vec<Rule>,
    /// Decisions that nothing is learnt from, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Where paths are too many to be told apart.
    pub unlearnt: Vec<Unlearnt>,
    /// Whether there were more hosts than are told apart, so that the rules say nothing of hosts.
    pub has_too_many_hosts: bool,
}

impl Learner {
    /// Takes one record in.
    ///
    /// # Errors
    /// A value in it is none that a sidecar writes; nothing is learnt of it.
    pub fn record(&mut self, line: &Line<'_>) -> Result<(), RecordError> {
        match line.sort() {
            Sort::ByRules if line.verdict()? == Verdict::Deny => self.leave_out("denied", 1),
            // What an emergency needed is no right.
            Sort::ByRules if line.break_glass.is_some() => self.leave_out("break_glass", 1),
            Sort::ByRules => self.request(line)?,
            Sort::Apart(apart, count) => self.leave_out(apart.label(), count),
            Sort::Begun | Sort::Other => {}
        }
        Ok(())
    }

    fn request(&mut self, line: &Line<'_>) -> Result<(), RecordError> {
        let (method, path) = (line.method.as_deref().unwrap_or_default(), line.path.as_deref().unwrap_or_default());
        let is_path = path.starts_with('/') || path == "*" && method == "OPTIONS";
        if !is_path || path.len() > PATH {
            return Err(RecordError::Value("http.path"));
        }
        let at = line.at()?;
        let host = self.hosts.number(line.host.as_deref())?;
        let is_grpc = line.content_type.as_deref() == Some("grpc") && method == "POST" && is_grpc_path(path);
        let id = line.caller.as_deref().unwrap_or_default();
        if !self.callers.contains_key(id) {
            if !is_one(&line.principal()?) {
                self.leave_out("unwritable", 1);
                return Ok(());
            }
            self.callers.insert(id.into(), Known::default());
        }
        let Some(known) = self.callers.get_mut(id) else { return Ok(()) };
        let most = OF_CALLER.min(known.places + OF_ALL.saturating_sub(self.places));
        let mut room = Room { taken: known.places, most };
        let added = match known.trie(method, host, is_grpc, &mut room) {
            Ok(trie) => trie.add(path, |here| Evidence::add(here, at, path), &mut room),
            Err(added) => added,
        };
        self.places = self.places + room.taken - known.places;
        known.places = room.taken;
        match added {
            // Their tries count them.
            Added::Learnt | Added::Crowded => {}
            Added::Full => self.leave_out("too_many", 1),
            Added::Unwritable => self.leave_out("unwritable", 1),
        }
        Ok(())
    }

    fn leave_out(&mut self, why: &'static str, count: u64) {
        *self.left_out.entry(why).or_default() += count;
    }

    /// The table that allows what was learnt and as little besides as patterns can say.
    pub fn suggest(self) -> Suggestion {
        let Self { callers, hosts, left_out, .. } = self;
        let has_too_many_hosts = hosts.more;
        let names = hosts.told_apart();
        let mut sources: Vec<(Source, Node)> = Vec::new();
        let mut callers: Vec<(Box<str>, Known)> = callers.into_iter().collect();
        callers.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (caller, known) in callers {
            let mut tries: BTreeMap<Source, Node> = BTreeMap::new();
            let mut room = Room { taken: known.places, most: usize::MAX };
            for (Branch { method, host, is_grpc }, node) in known.tries {
                let host = host.and_then(|number| names.get(number)).cloned();
                let source = Source { caller: caller.clone(), method, host, is_grpc };
                tries.entry(source).or_default().unite(node, &mut room);
            }
            sources.extend(tries);
        }
        let (rules, unlearnt) = rules::of(sources);
        Suggestion { rules, left_out, unlearnt, has_too_many_hosts }
    }
}

impl Suggestion {
    /// Requests that it is made of.
    pub fn learnt(&self) -> u64 {
        self.rules.iter().map(|rule| rule.evidence.count).sum()
    }

    /// Whether nothing that was allowed is missing in it, but for what an emergency needed.
    pub fn is_whole(&self) -> bool {
        self.unlearnt.is_empty() && !["too_many", "unwritable", "cut", "nobody"].iter().any(|why| self.left_out.contains_key(why))
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// From when to when the requests were.
    pub fn span(&self) -> Option<(SystemTime, SystemTime)> {
        let evidence = || self.rules.iter().map(|rule| &rule.evidence);
        evidence().map(|evidence| evidence.first).min().zip(evidence().map(|evidence| evidence.last).max())
    }
}

impl Known {
    fn trie(&mut self, method: &str, host: Host, is_grpc: bool, room: &mut Room) -> Result<&mut Node, Added> {
        let is_it = |(branch, _): &(Branch, Node)| branch.host == host && branch.is_grpc == is_grpc && *branch.method == *method;
        if let Some(place) = self.tries.iter().position(is_it) {
            return self.tries.get_mut(place).map(|(_, node)| node).ok_or(Added::Full);
        }
        if !is_method(method) {
            return Err(Added::Unwritable);
        }
        if self.tries.len() >= TRIES || room.taken >= room.most {
            return Err(Added::Full);
        }
        room.taken += 1;
        self.tries.push((Branch { method: method.into(), host, is_grpc }, Node::default()));
        self.tries.last_mut().map(|(_, node)| node).ok_or(Added::Full)
    }
}

/// Whether a table can write it and mean nobody else: a certificate may have a name with a wildcard.
fn is_one(principal: &Principal) -> bool {
    match principal {
        Principal::Spiffe(_) => true,
        Principal::Dns(name) => PrincipalPattern::dns(name).is_ok_and(|pattern| !pattern.is_wild()),
    }
}

/// Whether a table can write it: it takes none in small letters, and `*` for all of them.
fn is_method(method: &str) -> bool {
    http::Method::from_bytes(method.as_bytes()).is_ok() && method != "*" && !method.bytes().any(|byte| byte.is_ascii_lowercase())
}

impl Hosts {
    fn number(&mut self, host: Option<&str>) -> Result<Host, RecordError> {
        let Some(host) = host else {
            self.none = true;
            return Ok(None);
        };
        let known = self.known.iter().position(|known| **known == *host);
        if known.is_some() || self.more {
            return Ok(known);
        }
        if !HostPattern::parse(host).is_ok_and(|pattern| !pattern.is_wild()) {
            return Err(RecordError::Value("dst.host"));
        }
        self.more = self.known.len() == HOSTS;
        if !self.more {
            self.known.push(host.into());
        }
        Ok(self.known.len().checked_sub(1).filter(|_| !self.more))
    }

    /// Those that rules are told apart by: none where there is one only, and where a request had none, which no rule with hosts matches.
    fn told_apart(self) -> Vec<Box<str>> {
        if self.none || self.more || self.known.len() < 2 { Vec::new() } else { self.known }
    }
}
