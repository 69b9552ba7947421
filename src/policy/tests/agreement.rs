//! What is compiled says of every request what the rules say one by one. `POLICY_CASES=0` does not stop until that is not so.

use super::*;
use crate::policy::Table;
use crate::policy::automaton::Damage;
use crate::policy::compiled::{Compiled, Fault, Found};
use crate::policy::evaluate::{Candidate, Findings, Outcome, findings};
use crate::policy::looked::Looking;
use crate::policy::methods;
use crate::policy::rule::{Effect, Question, Rule};
use crate::policy::truth::Truth;
use fastrand::Rng;
use std::collections::HashMap;

/// Requests that are decided twice, by default.
const CASES: u64 = 100_000;

/// Requests for each table.
const ASKS: u64 = 50;

const IDS: [&str; 6] = ["spiffe://d/a", "spiffe://d/b", "spiffe://d/a/b", "spiffe://e/a", "p.d", "q.d"];
const PORTS: [u16; 2] = [PORT, PORT + 1];

#[test]
fn compiled_and_one_by_one() {
    let cases = std::env::var("POLICY_CASES").ok().map_or(CASES, |text| text.parse().unwrap());
    let seed = std::env::var("POLICY_SEED").ok().map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    println!("POLICY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut decided = [0_u64; 3];
    while cases == 0 || decided.iter().sum::<u64>() < cases {
        let (text, table) = random_table(&mut rng);
        let mut classes = HashMap::new();
        for _ in 0..ASKS {
            let ask = Ask::random(&mut rng);
            let compiled = classes.entry((ask.id, ask.port)).or_insert_with(|| Compiled::new(&table.rules, &ask.rules(&table)).unwrap());
            let request = ask.request(&table);
            let (found, expected) = (ask.compiled(&table, compiled, &request), ask.one_by_one(&table, &request));
            assert_eq!(found, expected, "POLICY_SEED={seed}\n{ask:?}\n{text}");
            decided[match found.outcome {
                Outcome::Allow(_) => 0,
                Outcome::Deny(_) => 1,
                Outcome::Nothing => 2,
            }] += 1;
        }
    }
    assert!(decided.iter().all(|count| *count * 20 > decided.iter().sum()), "one outcome is hardly there: {decided:?}");
}

/// The test above can fail: each of these faults, wherever it is, shows within as many cases.
#[test]
fn faults_in_it_are_found() {
    let faults = [
        Damage::EdgeLost,
        Damage::EdgeAstray,
        Damage::OtherLost,
        Damage::SetLost,
        Damage::SetAstray,
        Damage::BranchLost,
        Damage::EdgesOverlooked,
        Damage::EmptyTaken,
    ];
    let faults = faults.map(Fault::Automaton).into_iter().chain([
        Fault::MethodLost,
        Fault::DenyLost,
        Fault::CandidateLost,
        Fault::ConditionsSkipped,
        Fault::TemplateAstray,
        Fault::AuditLost,
    ]);
    let mut rng = Rng::with_seed(7);
    for fault in faults {
        let mut cases = 0;
        while !shows(fault, &mut rng, &mut cases) {
            assert!(cases < CASES, "{fault:?} was not found in {cases} cases");
        }
    }
}

/// Whether a fault in some table changes what one of some requests gets.
fn shows(fault: Fault, rng: &mut Rng, cases: &mut u64) -> bool {
    let (_, table) = random_table(rng);
    let mut ask = Ask::random(rng);
    let mut compiled = Compiled::new(&table.rules, &ask.rules(&table)).unwrap();
    let damaged = compiled.damage(fault, |count| rng.usize(..count));
    (0..ASKS).any(|_| {
        *cases += 1;
        ask = Ask { id: ask.id, port: ask.port, ..Ask::random(rng) };
        let request = ask.request(&table);
        damaged && ask.compiled(&table, &compiled, &request) != ask.one_by_one(&table, &request)
    })
}

#[derive(Debug, Clone)]
struct Ask {
    id: &'static str,
    port: u16,
    method: &'static str,
    path: String,
    host: &'static str,
    field: Option<&'static str>,
}

impl Ask {
    fn random(rng: &mut Rng) -> Self {
        let segments = ["a", "a", "b", "b", "ab", "ab", "aab", "abb", "c", "a*"];
        let mut path: String = (0..rng.usize(1..4)).map(|_| format!("/{}", of(rng, &segments))).collect();
        match rng.u8(..20) {
            0 => path = "/".into(),
            1..4 => path.push('/'),
            _ => {}
        }
        let fields = [None, None, Some("u"), Some("v"), Some("u,v"), Some("v-1")];
        let method = of(rng, &["GET", "GET", "POST", "HEAD", "PURGE", "LOCK"]);
        Self { id: of(rng, &IDS), port: of(rng, &PORTS), method, path, host: of(rng, &["h", "i.h", "i.j.h", "k"]), field: of(rng, &fields) }
    }

    fn principal(&self) -> Principal {
        caller(self.id).identity.unwrap().principal.clone()
    }

    fn rules(&self, table: &Table) -> Arc<[u32]> {
        let rules = table.principals.rules(&table.rules, &self.principal(), self.port);
        let concerns = |(index, rule): (u32, &Rule)| rule.concerns(&self.principal(), self.port).then_some(index);
        let expected: Vec<u32> = (0..).zip(&table.rules).filter_map(concerns).collect();
        assert_eq!(*rules, *expected, "{self:?}");
        rules
    }

    fn request(&self, table: &Arc<Table>) -> CanonicalRequest {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static(self.host))]);
        headers.extend(self.field.map(|value| (http::HeaderName::from_static("x-a"), HeaderValue::from_static(value))));
        let (method, uri) = (Method::from_bytes(self.method.as_bytes()).unwrap(), Uri::try_from(&self.path).unwrap());
        canonicalize(&method, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, table.mentioned()).unwrap()
    }

    fn compiled(&self, table: &Table, compiled: &Compiled, request: &CanonicalRequest) -> Findings {
        match compiled.find(request) {
            Found::Settled(found) => found,
            Found::Open(candidates) => {
                let (looking, caller) = (Looking::default(), caller(self.id));
                let question = Question {
                    request: Some(request),
                    caller: &caller,
                    method_bit: methods::bit(&request.method),
                    now: noon(),
                    looking: &looking,
                };
                findings(&table.rules, candidates, |rule| rule.matches(&question))
            }
        }
    }

    /// From the rules alone, in the words of the specification.
    fn one_by_one(&self, table: &Table, request: &CanonicalRequest) -> Findings {
        let (looking, caller) = (Looking::default(), caller(self.id));
        let question =
            Question { request: Some(request), caller: &caller, method_bit: methods::bit(&request.method), now: noon(), looking: &looking };
        let principal = self.principal();
        let met: Vec<(Candidate, &Rule, Truth)> = (0..)
            .zip(&table.rules)
            .filter(|(_, rule)| rule.concerns(&principal, self.port))
            .filter_map(|(index, rule)| {
                Some((Candidate { rule: index, template: rule.template(request.path())? }, rule, rule.matches(&question)))
            })
            .collect();
        let outcome = |shadows: bool| {
            let counted = |effect| met.iter().filter(move |(_, rule, _)| rule.effect == effect && (shadows || !rule.is_shadow()));
            let denies: Vec<_> = counted(Effect::Deny).filter(|(_, _, truth)| *truth != Truth::False).collect();
            let spared = |allow: &Candidate| denies.iter().all(|(_, deny, _)| deny.excepts.contains(&allow.rule));
            let allow = counted(Effect::Allow).find(|(candidate, _, truth)| *truth == Truth::True && spared(candidate));
            match (allow, denies.first()) {
                (Some((candidate, _, _)), _) => Outcome::Allow(*candidate),
                (None, Some((candidate, _, _))) => Outcome::Deny(*candidate),
                (None, None) => Outcome::Nothing,
            }
        };
        let would = Some(outcome(true)).filter(|would| would.verdict() != outcome(false).verdict());
        let audited = met.iter().any(|(_, rule, truth)| rule.effect == Effect::Audit && *truth != Truth::False);
        Findings { outcome: outcome(false), would, audited }
    }
}

fn of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

fn random_table(rng: &mut Rng) -> (String, Arc<Table>) {
    let effects: Vec<&str> = (0..rng.usize(1..10)).map(|_| of(rng, &["allow", "allow", "deny", "audit"])).collect();
    let text: String = (0..effects.len()).map(|index| random_rule(rng, index, &effects)).collect();
    let listeners = Listeners { ports: PORTS.to_vec(), ..Listeners::default() };
    let text = format!("schema = 1\nname = 't'\n{text}");
    let table = parse_at("t", &text, &listeners, noon()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    (text, table)
}

fn random_rule(rng: &mut Rng, index: usize, effects: &[&str]) -> String {
    let from = of(
        rng,
        &[
            "{ any_authenticated = true }",
            "{ any_authenticated = true }",
            "{ spiffe = ['spiffe://d/*'] }",
            "{ spiffe = ['spiffe://d/**'] }",
            "{ spiffe = ['spiffe://d/a', 'spiffe://e/a'] }",
            "{ dns_san = ['*.d'] }",
            "{ spiffe = ['spiffe://d/b'], dns_san = ['p.d'] }",
        ],
    );
    let segments = ["a", "b", "ab", "{x}", "{x}", "a{x}", "{x}b", "a{x}b", "%2A"];
    let path = |rng: &mut Rng| {
        let path: String = (0..rng.usize(0..3)).map(|_| format!("/{}", of(rng, &segments))).collect();
        let end = if path.is_empty() { of(rng, &["/", "/**", "/a"]) } else { of(rng, &["", "", "/", "/**", "/**"]) };
        path + end
    };
    let paths: Vec<String> = (0..rng.usize(1..5)).map(|_| path(rng)).collect();
    let mut more = format!("paths = {paths:?}\n");
    more += of(rng, &["", "", "methods = ['GET']\n", "methods = ['GET', 'POST']\n", "methods = ['PURGE', 'HEAD']\n", "methods = ['*']\n"]);
    more += of(rng, &["", "", "", "hosts = ['h']\n", "hosts = ['*.h']\n"]);
    more += of(rng, &["", "", "", "", "ports = [8443]\n"]);
    more += of(
        rng,
        &[
            "",
            "",
            "",
            "headers = [{ name = 'x-a', eq = 'v' }]\n",
            "headers = [{ name = 'x-a', prefix = 'v' }]\n",
            "headers = [{ name = 'x-a', present = true }]\n",
        ],
    );
    more += of(rng, &["", "", "", "", "expires = '2026-11-21T11:00:00Z'\n", "expires = '2026-11-21T13:00:00Z'\n"]);
    let effect = effects[index];
    if effect != "audit" && rng.u8(..5) == 0 {
        more += "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n";
    }
    let allows: Vec<String> =
        effects.iter().enumerate().filter(|(_, effect)| **effect == "allow").map(|(index, _)| format!("r{index}")).collect();
    if effect == "deny" && !allows.is_empty() && rng.bool() {
        more += &format!(
            "except_rules = {:?}\n",
            (0..rng.usize(1..3)).map(|_| of(rng, &allows.iter().map(String::as_str).collect::<Vec<_>>())).collect::<Vec<_>>()
        );
    }
    rule(&format!("r{index}"), effect, from, &more)
}
