//! Every request over the tables' own words, and one word more of each kind, decided rule by rule in other words than the program's.

use super::super::*;
use crate::policy::diff::{ALLOWED, DENIED};
use crate::policy::rule::{Effect, Rule};
use crate::policy::standing::Percent;
use crate::policy::{Mode, Part, Tables, Truth};
use std::collections::{BTreeMap, BTreeSet};

/// A request or a TCP connection, by the words that rules may tell apart.
#[derive(Debug, Clone)]
struct Word {
    id: Principal,
    port: u16,
    /// `None`: a connection.
    asked: Option<(&'static str, Method, Option<&'static str>, bool)>,
}

/// What is opaque, with one value.
#[derive(Debug, Clone, Default)]
struct Assumed {
    conditions: BTreeMap<String, Truth>,
    shares: BTreeMap<String, u8>,
    hour: u64,
}

pub(super) struct Brute<'t> {
    sides: [&'t Arc<Tables>; 2],
}

impl<'t> Brute<'t> {
    pub(super) fn new(sides: [&'t Arc<Tables>; 2]) -> Self {
        Self { sides }
    }

    /// In each direction the least number of segments and of bytes of a path that is decided otherwise.
    pub(super) fn differences(&self) -> [Option<(usize, usize)>; 2] {
        let mut shortest = [None, None];
        let mut known: BTreeMap<Vec<bool>, [bool; 2]> = BTreeMap::new();
        for word in words() {
            // Words that meet the same rules are decided the same.
            let met: Vec<bool> = self.rules().map(|(_, rule)| takes(rule, &word)).collect();
            let found = *known.entry(met.clone()).or_insert_with(|| self.differs(&met));
            let size = word.asked.as_ref().map_or((0, 0), |(path, ..)| (path.split('/').count(), path.len()));
            for (shortest, found) in shortest.iter_mut().zip(found) {
                if found && shortest.is_none_or(|shortest| size < shortest) {
                    *shortest = Some(size);
                }
            }
        }
        shortest
    }

    /// The rules of both sides, each with its side and its part.
    fn rules(&self) -> impl Iterator<Item = ((usize, Part), &'t Rule)> {
        let sides = (0..).zip(self.sides);
        sides
            .flat_map(|(side, tables)| tables.all().flat_map(move |(part, table)| table.rules.iter().map(move |rule| ((side, part), rule))))
    }

    /// Whether the sides decide otherwise in each direction where these rules are met, for some values of what is opaque.
    fn differs(&self, met: &[bool]) -> [bool; 2] {
        let mut found = [false; 2];
        for assumed in self.every(met) {
            let [a, b] = [0, 1].map(|side| self.passes(side, met, &assumed));
            found[ALLOWED] |= !a && b;
            found[DENIED] |= a && !b;
        }
        found
    }

    fn passes(&self, side: usize, met: &[bool], assumed: &Assumed) -> bool {
        self.sides[side].all().all(|(part, table)| {
            let here = self.rules().zip(met).filter(|((place, _), _)| *place == (side, part));
            let matching: Vec<(u32, &Rule)> = (0..)
                .zip(here)
                .filter(|(_, ((_, rule), met))| **met && assumed.matches(rule))
                .map(|(index, ((_, rule), _))| (index, rule))
                .collect();
            let of = |effect| matching.iter().filter(move |(_, rule)| rule.effect == effect);
            let passes = of(Effect::Allow).any(|(allow, _)| of(Effect::Deny).all(|(_, deny)| deny.excepts.contains(allow)));
            passes || matches!(table.mode, Mode::Shadow { .. }) || !assumed.has(table.percent, "t")
        })
    }

    fn every(&self, met: &[bool]) -> Vec<Assumed> {
        let rules = || self.rules().zip(met).filter(|(_, met)| **met).map(|((_, rule), _)| rule);
        let mut all = vec![Assumed { hour: 12, ..Assumed::default() }];
        let conditions: BTreeSet<String> =
            rules().flat_map(|rule| &rule.conditions).map(|condition| condition.facts().hash.to_string()).collect();
        for condition in conditions {
            let with = |assumed: &Assumed, truth| {
                let mut assumed = assumed.clone();
                assumed.conditions.insert(condition.clone(), truth);
                assumed
            };
            all = all.iter().flat_map(|assumed| [Truth::True, Truth::False, Truth::Unknown].map(|truth| with(assumed, truth))).collect();
        }
        let shares: BTreeSet<String> =
            rules().filter(|rule| rule.percent != Percent::ALL).map(|rule| rule.facts.id.clone()).chain(["t".into()]).collect();
        for share in shares {
            let with = |assumed: &Assumed, part| {
                let mut assumed = assumed.clone();
                assumed.shares.insert(share.clone(), part);
                assumed
            };
            all = all.iter().flat_map(|assumed| [0, 40, 55, 99].map(|part| with(assumed, part))).collect();
        }
        if rules().any(|rule| rule.expires.is_some()) {
            all = all.iter().flat_map(|assumed| [12, 13, 15].map(|hour| Assumed { hour, ..assumed.clone() })).collect();
        }
        all
    }
}

impl Assumed {
    fn has(&self, percent: Percent, name: &str) -> bool {
        percent == Percent::ALL || self.shares[name] < percent.get()
    }

    fn matches(&self, rule: &Rule) -> bool {
        let live = rule.expires.is_none_or(|end| end > noon() + Duration::from_secs((self.hour - 12) * 3_600));
        let enforced = live && !rule.is_shadow() && self.has(rule.percent, &rule.facts.id);
        let mut truths = rule.conditions.iter().map(|condition| self.conditions[&*condition.facts().hash]);
        enforced
            && if rule.effect == Effect::Deny {
                truths.all(|truth| truth != Truth::False)
            } else {
                truths.all(|truth| truth == Truth::True)
            }
    }
}

/// Whether a rule matches but for what is opaque.
fn takes(rule: &Rule, word: &Word) -> bool {
    if !(rule.is_on(word.port) && rule.from.matches(&word.id)) {
        return false;
    }
    let Some((path, method, host, grpc)) = &word.asked else { return rule.tcp };
    let host = match host {
        _ if rule.hosts.is_empty() => true,
        None => rule.effect != Effect::Allow,
        Some(host) => rule.hosts.iter().any(|pattern| pattern.matches(host)),
    };
    let method = rule.methods.contains(method, crate::policy::methods::bit(method));
    !rule.tcp && host && method && rule.template(path).is_some() && (!rule.is_grpc() || *grpc)
}

fn words() -> Vec<Word> {
    let mut all = Vec::new();
    let paths = ["/", "/a", "/a/", "/a/b", "/a/z", "/b", "/z", "/z/", "/z/b", "/z/z", "/a/b/z", "/az", "/zb", "/ab", "*"];
    for id in ["spiffe://d/a", "spiffe://d/b", "spiffe://d/a/b", "spiffe://d/z", "spiffe://d/z/z", "spiffe://z/z", "p.d", "z.z"] {
        let id = caller(id).identity.unwrap().principal.clone();
        for port in [PORT, PORT + 1, 1] {
            all.push(Word { id: id.clone(), port, asked: None });
            for path in paths {
                for method in ["GET", "HEAD", "POST", "OPTIONS", "Z"].into_iter().filter(|method| path != "*" || *method == "OPTIONS") {
                    for host in [None, Some("h"), Some("i.h"), Some("z.z")] {
                        let method = Method::from_bytes(method.as_bytes()).unwrap();
                        all.extend([false, true].map(|grpc| Word {
                            id: id.clone(),
                            port,
                            asked: Some((path, method.clone(), host, grpc)),
                        }));
                    }
                }
            }
        }
    }
    all
}
