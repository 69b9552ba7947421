//! What is compiled says of every request what the rules say one by one. `POLICY_CASES=0` does not stop until that is not so.

mod model;

use super::*;
use crate::identity::{Channel, Group};
use crate::policy::Table;
use crate::policy::automaton::{self, Damage};
use crate::policy::compiled::{Compiled, Fault, Found};
use crate::policy::evaluate::{Candidate, Findings, Outcome, findings_where};
use crate::policy::jwt::{Claims, EndUser};
use crate::policy::looked::Looking;
use crate::policy::methods;
use crate::policy::rule::{Effect, Question, Rule};
use crate::policy::standing::{Percent, Standing};
use crate::policy::truth::Truth;
use fastrand::Rng;
use model::{HEAD, Model, of};
use std::collections::HashMap;

/// Requests that are decided twice, by default.
const CASES: u64 = 100_000;

/// Requests for each table.
const ASKS: u64 = 100;

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
        let Tables { text, table, plain, models } = Tables::random(&mut rng);
        let mut classes = HashMap::new();
        for _ in 0..ASKS {
            let ask = Ask::random(&mut rng);
            let (compiled, standing) = classes.entry((ask.id, ask.port)).or_insert_with(|| ask.meets(&table));
            let request = ask.request(&table);
            let (found, expected) = (ask.compiled(&table, compiled, standing, &request), ask.one_by_one(&plain, &models, &request));
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

/// The same for what is found per identity, and for conditions: these faults are planted into the table that was read.
#[test]
fn faults_in_rules_are_found() {
    let mut rng = Rng::with_seed(8);
    for slip in
        [Slip::ConditionLost, Slip::ConditionAstray, Slip::PercentLost, Slip::ExpiryLost, Slip::TriedLost, Slip::TagsLost, Slip::HourStale]
    {
        let mut cases = 0;
        while !slip.shows(&mut rng, &mut cases) {
            assert!(cases < CASES, "{slip:?} was not found in {cases} cases");
        }
    }
}

/// Faults beside those of what is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slip {
    /// A rule has lost a condition.
    ConditionLost,
    /// Two rules have each other's conditions.
    ConditionAstray,
    /// A rule is enforced for everybody.
    PercentLost,
    /// A rule does not end.
    ExpiryLost,
    /// What is in shadow for an identity is forgotten.
    TriedLost,
    /// What is known of an identity's tags is forgotten.
    TagsLost,
    /// A window says what it said at another hour.
    HourStale,
}

impl Slip {
    fn shows(self, rng: &mut Rng, cases: &mut u64) -> bool {
        let Tables { mut table, plain, models, .. } = Tables::random(rng);
        let first = Ask::random(rng);
        self.plant(Arc::get_mut(&mut table).unwrap(), rng);
        let (compiled, mut standing) = first.meets(&table);
        match self {
            Self::TriedLost => standing.forget_tried(),
            Self::TagsLost => standing.forget_tags(),
            _ => {}
        }
        (0..ASKS).any(|_| {
            *cases += 1;
            let ask = Ask { id: first.id, port: first.port, ..Ask::random(rng) };
            let request = ask.request(&table);
            ask.compiled(&table, &compiled, &standing, &request) != ask.one_by_one(&plain, &models, &request)
        })
    }

    fn plant(self, table: &mut Table, rng: &mut Rng) {
        let (one, other) = (rng.usize(..table.rules.len()), rng.usize(..table.rules.len()));
        let rule = &mut table.rules[one];
        match self {
            Self::ConditionLost => rule.conditions = std::mem::take(&mut rule.conditions).into_iter().skip(1).collect(),
            Self::PercentLost => rule.percent = Percent::ALL,
            Self::ExpiryLost => rule.expires = None,
            Self::ConditionAstray => {
                let conditions = std::mem::take(&mut rule.conditions);
                let instead = std::mem::replace(&mut table.rules[other].conditions, conditions);
                table.rules[one].conditions = instead;
            }
            Self::HourStale => rule.conditions.iter().for_each(|condition| condition.keep_for_ever()),
            Self::TriedLost | Self::TagsLost => {}
        }
    }
}

/// Whether a fault in some table changes what one of some requests gets.
fn shows(fault: Fault, rng: &mut Rng, cases: &mut u64) -> bool {
    let Tables { table, plain, models, .. } = Tables::random(rng);
    let mut ask = Ask::random(rng);
    let (mut compiled, standing) = ask.meets(&table);
    let damaged = compiled.damage(fault, |count| rng.usize(..count));
    (0..ASKS).any(|_| {
        *cases += 1;
        ask = Ask { id: ask.id, port: ask.port, ..Ask::random(rng) };
        let request = ask.request(&table);
        damaged && ask.compiled(&table, &compiled, &standing, &request) != ask.one_by_one(&plain, &models, &request)
    })
}

#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) id: &'static str,
    pub(super) port: u16,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) host: &'static str,
    pub(super) field: Option<&'static str>,
    pub(super) source: &'static str,
    pub(super) tls: &'static str,
    /// What the end user's token says; empty: there is none, `garbage`: it is none.
    pub(super) user: &'static str,
    /// Of the certificate, in minutes; `None`: it begins in the future.
    pub(super) age: Option<u64>,
    /// Of November 2026.
    pub(super) day: u64,
    pub(super) hour: u64,
}

impl Ask {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let segments = ["a", "a", "b", "b", "ab", "ab", "aab", "abb", "c", "a*"];
        let mut path: String = (0..rng.usize(1..4)).map(|_| format!("/{}", of(rng, &segments))).collect();
        match rng.u8(..20) {
            0 => path = "/".into(),
            1..4 => path.push('/'),
            _ => {}
        }
        Self {
            id: of(rng, &IDS),
            port: of(rng, &PORTS),
            method: of(rng, &["GET", "GET", "POST", "HEAD", "PURGE", "LOCK"]),
            path,
            host: of(rng, &["h", "i.h", "i.j.h", "k"]),
            field: of(rng, &[None, None, Some("u"), Some("v"), Some("u,v"), Some("v-1")]),
            source: of(rng, &["10.1.2.3:1", "[::ffff:10.1.2.3]:1", "10.9.9.9:1", "192.0.2.7:1", "[2001:db8::1]:1", "203.0.113.1:1"]),
            tls: of(rng, &["", "1.2", "1.3", "1.3 quantum", "1.3 quantum", "1.3 ?"]),
            user: of(rng, &["", "garbage", "{}", r#"{"sub":"a","scope":"r w"}"#, r#"{"sub":"b","scope":["w"]}"#, r#"{"sub":1,"scope":7}"#]),
            age: of(rng, &[None, Some(30), Some(60), Some(120), Some(240)]),
            day: of(rng, &[20, 21, 21, 21, 22]),
            hour: of(rng, &[3, 6, 12, 12, 13, 21]),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        noon() - Duration::from_secs(36 * 3_600) + Duration::from_secs(((self.day - 20) * 24 + self.hour) * 3_600)
    }

    pub(super) fn caller(&self) -> Caller {
        let caller = caller(self.id);
        let (version, group) = match self.tls {
            "1.2" => ("1.2", Some(Group::P256)),
            "1.3" => ("1.3", Some(Group::X25519)),
            "1.3 quantum" => ("1.3", Some(Group::X25519MlKem768)),
            _ => ("1.3", None),
        };
        let channel = (!self.tls.is_empty()).then_some(Channel { version, cipher: "", group, alpn: "", sni: None });
        let minutes = |count| Duration::from_secs(60 * count);
        let not_before = self.age.map_or(self.now() + minutes(1), |age| self.now() - minutes(age));
        let identity = PeerIdentity { not_before, ..caller.identity.as_deref().unwrap().clone() };
        Caller { identity: Some(Arc::new(identity)), source: self.source.parse().unwrap(), local_port: self.port, channel, ..caller }
    }

    pub(super) fn principal(&self) -> Principal {
        caller(self.id).identity.unwrap().principal.clone()
    }

    fn rules(&self, table: &Table) -> Arc<[u32]> {
        let rules = table.principals.rules(&table.rules, &self.principal(), self.port);
        let concerns = |(index, rule): (u32, &Rule)| rule.concerns(&self.principal(), self.port).then_some(index);
        let expected: Vec<u32> = (0..).zip(&table.rules).filter_map(concerns).collect();
        assert_eq!(*rules, *expected, "{self:?}");
        rules
    }

    /// What the caller meets, as the program finds it.
    fn meets(&self, table: &Table) -> (Compiled, Standing) {
        let rules = self.rules(table);
        (Compiled::new(&table.rules, &rules, automaton::WORK).unwrap(), Standing::of(table, &self.principal(), &rules))
    }

    pub(super) fn request(&self, table: &Arc<Table>) -> CanonicalRequest {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static(self.host))]);
        headers.extend(self.field.map(|value| (http::HeaderName::from_static("x-a"), HeaderValue::from_static(value))));
        if self.user == "garbage" {
            headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer garbage"));
        }
        let (method, uri) = (Method::from_bytes(self.method.as_bytes()).unwrap(), Uri::try_from(&self.path).unwrap());
        canonicalize(&method, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, table.mentioned()).unwrap()
    }

    fn compiled(&self, table: &Table, compiled: &Compiled, standing: &Standing, request: &CanonicalRequest) -> Findings {
        match compiled.find(request) {
            Found::Settled(found) => found,
            Found::Open(candidates) => {
                let (looking, caller, now) = (Looking::default(), self.caller(), self.now());
                let claims = serde_json::from_str(self.user).ok().map(Claims::new);
                let user = EndUser::of(request, &table.issuers, now, claims.as_ref());
                let method_bit = methods::bit(&request.method);
                let question =
                    Question { request: Some(request), caller: &caller, standing, user: &user, method_bit, now, looking: &looking };
                findings_where(&table.rules, candidates, |index, rule| standing.tries(index, rule), |rule| rule.matches(&question))
            }
        }
    }

    /// The first eight bytes of SHA-256 over identity, zero, rule, modulo 100, are below the percentage.
    fn is_enforced(&self, rule: &Rule, model: &Model) -> bool {
        if rule.is_shadow() || model.percent == 100 {
            return !rule.is_shadow();
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{}\0{}", self.id, rule.facts.id).as_bytes());
        let first = u64::from_be_bytes(digest.as_ref()[..8].try_into().unwrap());
        first % 100 < u64::from(model.percent)
    }

    /// From the rules alone, in the words of the specification; `plain` has the rules without what the models judge.
    fn one_by_one(&self, plain: &Table, models: &[Model], request: &CanonicalRequest) -> Findings {
        let (looking, caller) = (Looking::default(), self.caller());
        let principal = caller.identity.as_deref().unwrap().principal.clone();
        let standing = Standing::of(plain, &principal, &[]);
        let method_bit = methods::bit(&request.method);
        let now = self.now();
        let user = EndUser::of(request, &plain.issuers, now, None);
        let question =
            Question { request: Some(request), caller: &caller, standing: &standing, user: &user, method_bit, now, looking: &looking };
        let met: Vec<(Candidate, &Rule, bool, Truth)> = (0..)
            .zip(plain.rules.iter().zip(models))
            .filter(|(_, (rule, _))| rule.concerns(&principal, self.port))
            .filter_map(|(index, (rule, model))| {
                let candidate = Candidate { rule: index, template: rule.template(request.path())? };
                Some((candidate, rule, self.is_enforced(rule, model), rule.matches(&question).and(model.holds(self))))
            })
            .collect();
        let outcome = |shadows: bool| {
            let counted = |effect| met.iter().filter(move |(_, rule, enforced, _)| rule.effect == effect && (shadows || *enforced));
            let denies: Vec<_> = counted(Effect::Deny).filter(|(.., truth)| *truth != Truth::False).collect();
            let spared = |allow: &Candidate| denies.iter().all(|(_, deny, ..)| deny.excepts.contains(&allow.rule));
            let allow = counted(Effect::Allow).find(|(candidate, .., truth)| *truth == Truth::True && spared(candidate));
            match (allow, denies.first()) {
                (Some((candidate, ..)), _) => Outcome::Allow(*candidate),
                (None, Some((candidate, ..))) => Outcome::Deny(*candidate),
                (None, None) => Outcome::Nothing,
            }
        };
        let would = Some(outcome(true)).filter(|would| would.verdict() != outcome(false).verdict());
        let audited = met.iter().any(|(_, rule, _, truth)| rule.effect == Effect::Audit && *truth != Truth::False);
        Findings { outcome: outcome(false), would, audited }
    }
}

/// A random table, the same without what the models judge, and the models.
pub(super) struct Tables {
    pub(super) text: String,
    pub(super) table: Arc<Table>,
    plain: Arc<Table>,
    models: Vec<Model>,
}

impl Tables {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let effects: Vec<&'static str> = (0..rng.usize(1..16)).map(|_| of(rng, &["allow", "allow", "deny", "deny", "audit"])).collect();
        let models: Vec<Model> = (0..effects.len())
            .map(|index| {
                let plain = random_rule(rng, index, &effects);
                Model::random(rng, effects[index], plain)
            })
            .collect();
        let listeners = Listeners { ports: PORTS.to_vec(), ..Listeners::default() };
        let read = |text: &str| parse_at("t", text, &listeners, noon()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let text: String = std::iter::once(HEAD.to_owned()).chain(models.iter().map(Model::text)).collect();
        let plain: String = std::iter::once(HEAD.to_owned()).chain(models.iter().map(Model::plain)).collect();
        Self { table: read(&text), plain: read(&plain), text, models }
    }
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
        let end = if path.is_empty() { of(rng, &["/", "/**", "/a"]) } else { of(rng, &["", "/", "/**", "/**", "/**"]) };
        path + end
    };
    let paths: Vec<String> = (0..rng.usize(1..5)).map(|_| path(rng)).collect();
    let mut more = format!("paths = {paths:?}\n");
    more += of(rng, &["", "", "methods = ['GET']\n", "methods = ['GET', 'POST']\n", "methods = ['PURGE', 'HEAD']\n", "methods = ['*']\n"]);
    more += of(rng, &["", "", "", "hosts = ['h']\n", "hosts = ['*.h']\n"]);
    more += of(rng, &["", "", "", "", "ports = [8443]\n"]);
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
