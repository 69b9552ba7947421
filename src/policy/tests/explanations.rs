//! What `explain` says of every rule is what the rule decides by.

use super::agreement::{Ask as Random, Tables as RandomTables};
use super::*;
use crate::policy::decide::decide_given;
use crate::policy::explain::{Ask, Bearing, Field, Record, Story, explain, who_can};
use crate::policy::jwt::{Claims, EndUser};
use crate::policy::looked::Looking;
use crate::policy::methods;
use crate::policy::rule::{Effect, Question, Rule};
use crate::policy::standing::Standing;
use crate::policy::truth::Truth;
use crate::policy::{Facts, Table};
use fastrand::Rng;

/// As records write them.
pub(super) fn record(table: &Table, ask: &Random, facts: &Facts, allowed: bool) -> String {
    let conds: Vec<_> = facts.conditions().iter().collect();
    let conds: Vec<_> = conds
        .iter()
        .map(|looked| serde_json::json!({ "name": looked.condition.name, "cond": looked.condition.hash, "result": looked.result.letter() }))
        .collect();
    serde_json::json!({
        "kind": "decision", "id": "0", "time": crate::policy::moment::format(ask.now()), "dir": "inbound", "decision": if allowed { "allow" } else { "deny" },
        "reason": facts.reason.text(), "rule": facts.rule.as_ref().map(|rule| &rule.id), "policy_sha256": table.facts.sha256,
        "src": { "id": ask.id, "ip": "192.0.2.1" }, "dst": { "host": ask.host, "port": ask.port },
        "http": { "method": ask.method, "path": ask.path, "ctype": "none" }, "conds": conds,
    })
    .to_string()
}

pub(super) fn claims_of(ask: &Random) -> Option<Claims> {
    serde_json::from_str(ask.user).ok().map(Claims::new)
}

/// The caller, whose certificate is still good.
pub(super) fn caller_of(ask: &Random) -> Caller {
    let caller = ask.caller();
    let identity = PeerIdentity { not_after: ask.now() + Duration::from_secs(60), ..caller.identity.as_deref().unwrap().clone() };
    Caller { identity: Some(Arc::new(identity)), ..caller }
}

/// By the rule itself, in which no dimension has a part.
fn truth(rule: &Rule, ask: &Random, table: &Arc<Table>) -> Truth {
    let (request, caller, looking, principal) = (ask.request(table), ask.caller(), Looking::default(), ask.principal());
    let claims = claims_of(ask);
    let standing = Standing::of(table, &principal, &[]);
    let method_bit = methods::bit(&request.method);
    let user = EndUser::of(&request, &table.issuers, ask.now(), claims.as_ref());
    let question = Question {
        request: Some(&request),
        caller: &caller,
        standing: &standing,
        user: &user,
        method_bit,
        now: ask.now(),
        looking: &looking,
    };
    let meets = rule.concerns(&principal, ask.port) && rule.template(request.path()).is_some();
    if meets { rule.matches(&question) } else { Truth::False }
}

#[test]
fn every_rule_is_told_as_it_is_decided() {
    let mut rng = Rng::with_seed(5);
    for _ in 0..400 {
        let RandomTables { text, table, .. } = RandomTables::random(&mut rng);
        let ask = Random::random(&mut rng);
        let asked = Ask::of_parts(caller_of(&ask), ask.request(&table), ask.now(), claims_of(&ask));
        let explanation = explain(&Arc::new(table.clone().into()), &asked);
        for compared in &explanation.rules {
            let rule = &table.rules[compared.place.index];
            let truth = truth(rule, &ask, &table);
            let matches = if rule.effect == Effect::Allow { truth.is_certain() } else { truth.is_possible() };
            assert_eq!(matches!(compared.bearing, Bearing::Fails(_)), !matches, "{ask:?}\n{compared:?}\n{text}");
        }
        let claims = claims_of(&ask);
        let tables = Some(Arc::new(table.clone().into()));
        let decision = decide_given(&tables, &caller_of(&ask), &ask.request(&table), ask.now(), claims.as_ref());
        let (facts, allowed) = match &decision {
            Ok(permit) => (permit.facts(), true),
            Err(denial) => (&denial.facts, false),
        };
        let Story::Rules(from_record) = Record::read(&record(&table, &ask, facts, allowed)).unwrap().story else { panic!("{ask:?}") };
        // Of the table that decided, a record says as much as the values do.
        let outcome = explain(&Arc::new(table.clone().into()), &from_record).outcome;
        assert_eq!(outcome, explanation.outcome, "{ask:?}\n{text}");
    }
}

/// What is told of everybody holds for each.
#[test]
fn those_who_can_are_all_who_can() {
    let mut rng = Rng::with_seed(6);
    for _ in 0..400 {
        let RandomTables { text, table, .. } = RandomTables::random(&mut rng);
        let ask = Random::random(&mut rng);
        let Ok(who) = who_can(&table, &format!("{} {}", ask.method, ask.path), noon()) else { panic!("{ask:?}") };
        let ids = ["spiffe://d/a", "spiffe://d/b", "spiffe://d/a/b", "spiffe://d/z", "spiffe://e/a", "p.d", "q.d", "z.z"];
        let id = ids[rng.usize(..ids.len())];
        let principal = caller(id).identity.unwrap().principal.clone();
        let of_this = |index: usize| table.rules[index].from.matches(&principal);
        let told = who.grants.iter().any(|grant| {
            let pattern = table.rules[grant.rule].from.patterns().find(|pattern| pattern.as_str() == grant.who);
            pattern.map_or(of_this(grant.rule), |pattern| pattern.matches(&principal))
                && !grant.except.iter().any(|taken| of_this(taken.rule))
        });
        let path = ask.request(&table).path().to_owned();
        let method = Method::from_bytes(ask.method.as_bytes()).unwrap();
        let live = |rule: &Rule| !rule.is_shadow() && rule.expires.is_none_or(|end| noon() < end);
        let met: Vec<(usize, &Rule)> = table
            .rules
            .iter()
            .enumerate()
            .filter(|(index, rule)| {
                live(rule) && of_this(*index) && rule.template(&path).is_some() && rule.methods.contains(&method, methods::bit(&method))
            })
            .collect();
        let always = |rule: &Rule| rule.is_unconditional() && rule.ports.is_empty();
        let spared = |deny: &Rule, allow: usize| deny.excepts.iter().any(|index| *index as usize == allow);
        let can = met.iter().filter(|(_, rule)| rule.effect == Effect::Allow).any(|(allow, _)| {
            met.iter().all(|(_, deny)| {
                deny.effect != Effect::Deny || !(always(deny) || deny.is_unconditional() && deny.ports.is_empty()) || spared(deny, *allow)
            })
        });
        assert_eq!(told, can, "{id} {ask:?}\n{who:?}\n{text}");
    }
}

#[test]
fn near_misses_come_first() {
    let rules = [
        rule("far", "allow", "{ spiffe = ['spiffe://other/x'] }", "methods = ['POST']\npaths = ['/z']"),
        rule("path", "allow", &format!("{{ spiffe = ['{WEB}'] }}"), "methods = ['GET']\npaths = ['/orders/{id}/lines']"),
        rule("near", "allow", &format!("{{ spiffe = ['{WEB}'] }}"), "methods = ['POST', 'PUT']\npaths = ['/orders/{id}']"),
        rule("watch", "audit", "{ any_authenticated = true }", "paths = ['/**']"),
    ];
    let table = table(&rules.concat());
    let text = |name: &str, value: &str| (name.to_owned(), Field::Text(value.to_owned()));
    let fields = [text("from", WEB), text("method", "GET"), text("path", "/orders/17")];
    let explanation = explain(table.as_ref().unwrap(), &Ask::of_fields(&fields, table.as_ref().unwrap(), &here(), noon()).unwrap());
    let order: Vec<&str> = explanation.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(order, ["watch", "path", "near", "far"]);
    assert_eq!(explanation.nearest_allow().unwrap().id, "path");
    let near = &explanation.rules[2];
    let Bearing::Fails(first) = near.bearing else { panic!("{near:?}") };
    assert_eq!((near.dimensions[first].name.as_str(), near.dimensions[first].wanted.as_str()), ("methods", "POST or PUT"));
    let wrong = [text("from", WEB), text("method", "get"), text("path", "/a")];
    let problems = Ask::of_fields(&wrong, table.as_ref().unwrap(), &here(), noon()).unwrap_err().to_string();
    assert!(problems.starts_with("--method: `get` is no method"), "{problems}");
}
