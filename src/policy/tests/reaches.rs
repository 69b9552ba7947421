//! What is found to be dead is dead, and nothing else is: against every request over a table's own words.

use super::*;
use crate::policy::Table;
use crate::policy::lint::{Around, Finding, Lint, lint};
use crate::policy::outline::Outline;
use crate::policy::rule::{Effect, Rule};
use crate::policy::standing::Percent;
use fastrand::Rng;
use std::collections::BTreeSet;

fn around() -> Around {
    Around { strictness: Strictness::default(), ports: Some(vec![PORT, PORT + 1]), is_http1: true, now: noon() }
}

fn found(text: &str) -> Vec<Finding> {
    let listeners = Listeners { ports: vec![PORT, PORT + 1], ..Listeners::default() };
    let table = parse_at("t.toml", text, &listeners, noon()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    lint(&table, None, &Outline::read("t.toml", text), &around())
}

/// A request, by the words that rules may tell apart.
#[derive(Debug, Clone)]
struct Word {
    id: &'static str,
    path: &'static str,
    method: &'static str,
    host: Option<&'static str>,
    port: u16,
    grpc: bool,
}

/// Everything over the words of the random tables, and a word more of each kind.
fn words() -> Vec<Word> {
    let mut all = Vec::new();
    for id in ["spiffe://d/a", "spiffe://d/b", "spiffe://d/a/b", "spiffe://d/z", "spiffe://z/z", "p.d", "z.z"] {
        for path in ["/", "/a", "/a/", "/a/b", "/a/z", "/b", "/z", "/z/b", "/z/z", "/a/b/z", "/az", "/zb", "/ab", "*"] {
            for method in ["GET", "HEAD", "POST", "OPTIONS", "Z"] {
                for host in [None, Some("h"), Some("i.h"), Some("z.z")] {
                    for port in [PORT, PORT + 1] {
                        all.extend([false, true].map(|grpc| Word { id, path, method, host, port, grpc }));
                    }
                }
            }
        }
    }
    all.retain(|word| word.path != "*" || word.method == "OPTIONS");
    all
}

/// Whether a rule matches but for what is opaque.
fn takes(rule: &Rule, word: &Word) -> bool {
    let method = Method::from_bytes(word.method.as_bytes()).unwrap();
    let host = match word.host {
        _ if rule.hosts.is_empty() => true,
        None => rule.effect != Effect::Allow,
        Some(host) => rule.hosts.iter().any(|pattern| pattern.matches(host)),
    };
    let path = rule.template(word.path).is_some() && rule.methods.contains(&method, crate::policy::methods::bit(&method));
    rule.concerns(&caller(word.id).identity.unwrap().principal, word.port) && path && host && (!rule.is_grpc() || word.grpc)
}

/// Which rule decides, and which is the first that asks for a full record, where one is left out.
fn decides(rules: &[(usize, &Rule)], matching: &BTreeSet<usize>, without: Option<usize>) -> [Option<usize>; 2] {
    let met = |effect: Effect| {
        rules.iter().filter(move |(index, rule)| rule.effect == effect && matching.contains(index) && Some(*index) != without)
    };
    let spares = |deny: &Rule, allow: usize| deny.excepts.iter().any(|index| *index as usize == allow);
    let allow = met(Effect::Allow).find(|(allow, _)| met(Effect::Deny).all(|(_, deny)| spares(deny, *allow)));
    [allow.or_else(|| met(Effect::Deny).next()), met(Effect::Audit).next()].map(|rule| rule.map(|(index, _)| *index))
}

/// Whether leaving a rule out changes what some request gets, for some result of whatever is opaque.
fn is_alive(table: &Table, target: usize, words: &[Word]) -> bool {
    let is_opaque = |rule: &Rule| !rule.conditions.is_empty() || rule.expires.is_some() || rule.percent != Percent::ALL;
    let counts = |rule: &Rule| table.rules[target].is_shadow() || !rule.is_shadow();
    let rules: Vec<(usize, &Rule)> = table.rules.iter().enumerate().filter(|(_, rule)| counts(rule)).collect();
    words.iter().filter(|word| takes(&table.rules[target], word)).any(|word| {
        let met: Vec<(usize, bool)> =
            rules.iter().filter(|(_, rule)| takes(rule, word)).map(|(index, rule)| (*index, is_opaque(rule) && *index != target)).collect();
        let open: Vec<usize> = met.iter().filter(|(_, opaque)| *opaque).map(|(index, _)| *index).collect();
        (0..1_u32 << open.len()).any(|way| {
            let holds = |index: usize| open.iter().position(|open| *open == index).is_none_or(|at| way & 1 << at != 0);
            let matching = met.iter().map(|(index, _)| *index).filter(|index| holds(*index)).collect();
            decides(&rules, &matching, None) != decides(&rules, &matching, Some(target))
        })
    })
}

fn random_table(rng: &mut Rng) -> String {
    let mut of = |all: &[&str]| all[rng.usize(..all.len())].to_owned();
    let effects: Vec<String> = (0..6).map(|_| of(&["allow", "allow", "deny", "deny", "audit"])).collect();
    let mut text = "schema = 1\nname = 't'\n".to_owned();
    for (index, effect) in effects.iter().enumerate() {
        let from = of(&[
            "{ any_authenticated = true }",
            "{ any_authenticated = true }",
            "{ spiffe = ['spiffe://d/*'] }",
            "{ spiffe = ['spiffe://d/**'] }",
            "{ spiffe = ['spiffe://d/a', 'spiffe://d/b'] }",
            "{ dns_san = ['*.d'] }",
        ]);
        let mut more = if of(&["", "", "", "", "", "", "", "grpc"]) == "grpc" {
            "grpc = ['a/b']\n".to_owned()
        } else {
            format!(
                "paths = [{}]\n",
                of(&["'/**'", "'/**'", "'/a/**'", "'/a/{x}'", "'/a', '/a/**'", "'/{x}/b'", "'/a{x}'", "'/{x}b', '/a'", "'*', '/**'"])
            ) + &of(&["", "", "", "methods = ['GET']\n", "methods = ['GET', 'HEAD', 'OPTIONS']\n"])
        };
        if more.contains("'*'") && more.contains("methods") && !more.contains("OPTIONS") {
            more = more.replace("'*', ", "");
        }
        more += &of(&["", "", "", "", "hosts = ['h']\n", "hosts = ['*.h', 'h']\n"]);
        more += &of(&["", "", "", "", "ports = [8443]\n", "ports = [8444, 8443]\n"]);
        more += &of(&["", "", "", "", "headers = [{ name = 'x-a', eq = 'v' }]\n", "expires = '2026-11-21T13:00:00Z'\n"]);
        if effect != "audit" {
            more += &of(&["", "", "", "", "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n"]);
        }
        let allow = effects.iter().position(|effect| effect == "allow").filter(|_| effect == "deny" && of(&["", "", "x"]) == "x");
        more += &allow.map_or_else(String::new, |allow| format!("except_rules = ['r{allow}']\n"));
        text += &rule(&format!("r{index}"), effect, &from, &more);
    }
    text
}

#[test]
fn what_is_dead_is_found_and_nothing_else() {
    let (mut rng, words) = (Rng::with_seed(3), words());
    let (mut dead, mut alive) = (0, 0);
    for _ in 0..40 {
        let text = random_table(&mut rng);
        let table = table_of(&text);
        let findings = found(&text);
        for (index, rule) in table.rules.iter().enumerate() {
            let finding = findings.iter().find(|finding| {
                finding.rule.as_deref() == Some(&rule.facts.id) && matches!(finding.lint, Lint::DeadRule | Lint::AllowUnderDeny)
            });
            let expected = is_alive(&table, index, &words);
            assert_eq!(finding.is_none(), expected, "r{index}: {finding:?}\n{text}");
            *(if expected { &mut alive } else { &mut dead }) += 1;
        }
        assert!(findings.iter().all(|finding| finding.lint != Lint::NotAnalysed));
    }
    assert!(dead * 40 > alive, "{dead} dead, {alive} alive");
}

fn table_of(text: &str) -> Arc<Table> {
    let listeners = Listeners { ports: vec![PORT, PORT + 1], ..Listeners::default() };
    parse_at("t.toml", text, &listeners, noon()).unwrap()
}

/// Whether a table may let a request pass, for some result of whatever is opaque.
fn may_pass(table: &Table, word: &Word) -> bool {
    let is_opaque = |rule: &Rule| !rule.conditions.is_empty() || rule.expires.is_some() || rule.percent != Percent::ALL;
    let rules: Vec<(usize, &Rule)> = table.rules.iter().enumerate().filter(|(_, rule)| !rule.is_shadow()).collect();
    let met: Vec<(usize, bool)> =
        rules.iter().filter(|(_, rule)| takes(rule, word)).map(|(index, rule)| (*index, is_opaque(rule))).collect();
    let open: Vec<usize> = met.iter().filter(|(_, opaque)| *opaque).map(|(index, _)| *index).collect();
    (0..1_u32 << open.len()).any(|way| {
        let holds = |index: usize| open.iter().position(|open| *open == index).is_none_or(|at| way & 1 << at != 0);
        let matching = met.iter().map(|(index, _)| *index).filter(|index| holds(*index)).collect();
        decides(&rules, &matching, None)[0].is_some_and(|index| table.rules[index].effect == Effect::Allow)
    })
}

#[test]
fn allows_that_the_boundary_takes_back_whole_are_found_and_no_others() {
    let (mut rng, words) = (Rng::with_seed(11), words());
    let (mut capped, mut free) = (0, 0);
    for _ in 0..40 {
        let (own, boundary) = (random_table(&mut rng), random_table(&mut rng));
        let (table, above) = (table_of(&own), table_of(&boundary));
        let findings = lint(&table, Some(&above), &Outline::read("t.toml", &own), &around());
        let passing: Vec<&Word> = words.iter().filter(|word| may_pass(&above, word)).collect();
        for rule in table.rules.iter().filter(|rule| rule.effect == Effect::Allow) {
            let found = findings.iter().any(|finding| finding.lint == Lint::CappedAllow && finding.rule.as_deref() == Some(&rule.facts.id));
            let expected = !passing.iter().any(|word| takes(rule, word));
            assert_eq!(found, expected, "{}\n{own}\nboundary:\n{boundary}", rule.facts.id);
            *(if expected { &mut capped } else { &mut free }) += 1;
        }
        assert!(findings.iter().all(|finding| finding.lint != Lint::NotAnalysed));
    }
    assert!(capped > 10 && free > 10, "{capped} capped, {free} free");
}

#[test]
fn a_boundary_in_shadow_caps_nothing() {
    let own = format!("schema = 1\nname = 't'\n{}", rule("a", "allow", &format!("{{ spiffe = ['{WEB}'] }}"), "paths = ['/a']"));
    let found = |head: &str| lint(&table_of(&own), Some(&parsed(head, "")), &Outline::read("t.toml", &own), &around());
    let places: Vec<_> = found("").iter().map(|finding| (finding.lint, finding.place.line)).collect();
    assert_eq!(places, [(Lint::CappedAllow, 3)]);
    assert_eq!(found("mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'"), []);
}

/// One planted for each kind, and where it is.
#[test]
fn each_kind_is_found_where_it_stands() {
    let web = format!("{{ spiffe = ['{WEB}'] }}");
    let allow = |id: &str, more: &str| rule(id, "allow", &web, more);
    let table = [
        (Lint::DeadRule, allow("a", "paths = ['/a/b', '/a']") + &allow("b", "methods = ['POST']\npaths = ['/a/b']"), 9, 1),
        (Lint::AllowUnderDeny, allow("a", "paths = ['/a/b']") + &anyone("no", "deny", "paths = ['/a/{x}']"), 3, 1),
        (Lint::WideAllow, allow("a", "paths = [\n  '/x',\n  '/**',\n]"), 10, 3),
        (Lint::AnyAuthenticatedAllow, anyone("a", "allow", "paths = ['/a']"), 6, 1),
        (Lint::ExpiredRule, allow("a", "paths = ['/a']\nexpires = '2026-11-21T11:59:59Z'"), 9, 1),
        (Lint::OverdueShadow, rule("a", "deny", &web, "paths = ['/a']\nmode = 'shadow'\nshadow_until = '2026-11-20T00:00:00Z'"), 9, 1),
        (Lint::TrialAllow, allow("a", "paths = ['/a']\nmode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'"), 9, 1),
        (Lint::TrialAllow, allow("a", "paths = ['/a']\nenforce_percent = 10"), 3, 1),
        (Lint::UnusedSet, "[sets.principals]\nold = ['spiffe://d/x']\n".to_owned(), 4, 1),
        (Lint::UnusedSet, "[sets.cidrs]\nold = ['10.0.0.0/8']\n".to_owned(), 4, 1),
        (Lint::GetWithoutHead, allow("a", "paths = ['/a']\nmethods = ['GET']"), 9, 1),
        (Lint::SubtreeWithoutRoot, anyone("a", "deny", "paths = ['/a/**']"), 8, 10),
        (Lint::Unmatchable, allow("a", "paths = ['/a%2fb']"), 8, 10),
        (Lint::Unmatchable, allow("a", "paths = ['/a;b']"), 8, 10),
        (Lint::Unmatchable, allow("a", "paths = ['/a']\nmethods = ['CONNECT', 'GET', 'HEAD']"), 9, 1),
        (Lint::GrpcNeedsHttp2, allow("a", "grpc = ['a.B/C']"), 8, 9),
    ];
    for (lint, rules, line, column) in table {
        let findings = found(&format!("schema = 1\nname = 't'\n{rules}"));
        let places: Vec<_> = findings.iter().map(|finding| (finding.lint, finding.place.line, finding.place.column)).collect();
        assert_eq!(places, [(lint, line, column)], "{findings:?}\n{rules}");
    }
    assert_eq!(found("schema = 1\nname = 't'\nmode = 'shadow'\nshadow_until = '2026-11-20T00:00:00Z'")[0].lint, Lint::OverdueShadow);
}

#[test]
fn what_is_looked_at_one_by_one_is_said() {
    let rule =
        |number: usize| rule(&format!("r{number}"), "allow", &format!("{{ spiffe = ['{WEB}'] }}"), &format!("paths = ['/{{x}}.{number}']"));
    let kinds = |count: usize| -> BTreeSet<Lint> {
        let rules: String = (0..count).map(rule).collect();
        found(&format!("schema = 1\nname = 't'\n{rules}")).iter().map(|finding| finding.lint).collect()
    };
    assert!(kinds(1_000).contains(&Lint::TooLarge));
    assert!(!kinds(10).contains(&Lint::TooLarge));
}

/// What would be compared each with each ends, and says so: here are ten billion pairs of patterns, and a billion callers.
#[test]
fn what_would_take_hours_is_said_at_once() {
    let not_analysed = |text: &str| {
        let findings = found(&format!("schema = 1\nname = 't'\n{text}"));
        findings.into_iter().filter(|finding| finding.lint == Lint::NotAnalysed).map(|finding| finding.what).collect::<Vec<_>>()
    };
    let paths: String = (0..100_000).map(|number| format!("'/s{number}/x/**', ")).collect();
    let said = not_analysed(&anyone("r", "allow", &format!("paths = [{}]", paths.trim_end_matches(", "))));
    assert!(said.iter().any(|what| what.starts_with("whether something is about /s100/x, ")), "{said:?}");
    let members: String = (0..100_000).map(|number| format!("'spiffe://d/{number}', ")).collect();
    let rules: String = (0..10_000)
        .map(|number| rule(&format!("r{number}"), "allow", "{ spiffe = ['@big'] }", &format!("paths = ['/{number}']")))
        .collect();
    let said = not_analysed(&format!("[sets.principals]\nbig = [{}]\n{rules}", members.trim_end_matches(", ")));
    assert_eq!(said, ["whether rules ever decide was not found out: with the members of sets they name 1000000000 callers"]);
}

#[test]
fn destinations_that_are_wide_are_told_and_what_is_not_carried() {
    let kinds = |text: &str| -> Vec<(Lint, usize)> {
        let findings = found(&format!("schema = 1\nname = 't'\n{text}"));
        findings.iter().map(|finding| (finding.lint, finding.place.line)).collect()
    };
    let egress = |more: &str| format!("[[egress]]\nid = 'e'\n{more}\n");
    let fine = egress("hosts = ['api.stripe.com', '*.stripe.network']\nports = [443]\ntls = 'required'");
    assert_eq!(kinds(&fine), [(Lint::NotCarried, 3)]);
    for wide in [
        "hosts = ['*.com']\nports = [443]\ntls = 'required'",
        "hosts = ['api.stripe.com']\ntls = 'required'",
        "hosts = ['api.stripe.com']\nports = [443]\ntls = 'optional'",
    ] {
        assert_eq!(kinds(&egress(wide)), [(Lint::WideEgress, 3), (Lint::NotCarried, 3)], "{wide}");
    }
    let tcp = rule("db", "allow", &format!("{{ spiffe = ['{WEB}'] }}"), "tcp = true");
    assert_eq!(kinds(&tcp), [(Lint::NotCarried, 3)]);
}

/// What is meant is not found fault with.
#[test]
fn what_is_fine_is_left_alone() {
    let web = format!("{{ spiffe = ['{WEB}', '@set'] }}");
    let rules = [
        "[sets.principals]\nset = ['spiffe://d/x']\n".to_owned(),
        rule("a", "allow", &web, "methods = ['GET', 'HEAD']\npaths = ['/a', '/a/**']"),
        rule("b", "allow", &web, "methods = ['POST']\npaths = ['/a/{x}']\nheaders = [{ name = 'x-a', eq = 'v' }]"),
        rule("c", "allow", &web, "methods = ['POST']\npaths = ['/a/b']"),
        anyone("no", "deny", "paths = ['/a/no']"),
        anyone("watch", "audit", "paths = ['/**']"),
    ];
    assert_eq!(found(&format!("schema = 1\nname = 't'\n{}", rules.concat())), []);
}

/// A set of rules that overlap in too many ways is said to be so, in time.
#[test]
fn what_is_too_much_is_said() {
    let rules: String =
        (0..24).map(|at| anyone(&format!("r{at}"), "deny", &format!("paths = ['{}/a/**']", "/{x}".repeat(at + 1)))).collect();
    let findings = found(&format!("schema = 1\nname = 't'\n{rules}{}", anyone("last", "allow", "paths = ['/a/**', '/a']")));
    let not_analysed: Vec<&Finding> = findings.iter().filter(|finding| finding.lint == Lint::NotAnalysed).collect();
    assert_eq!(not_analysed.len(), 1, "{findings:?}");
    assert!(not_analysed[0].what.contains("rules ever decide was not found out"), "{findings:?}");
}
