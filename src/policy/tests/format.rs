use super::*;
use crate::identity::pattern::PrincipalPattern;
use crate::policy::canonical_json::{self, Said};
use crate::policy::parse;
use crate::policy::rule::PrincipalSet;

fn problems(text: &str) -> String {
    parse_at("t.toml", text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

/// The problems of a table with one rule, which begins on line 3.
fn of_rule(fields: &str) -> String {
    problems(&format!("schema = 1\nname = 't'\n[[rule]]\n{fields}"))
}

const BASE: &str = "id = 'r'\neffect = 'allow'\nmethods = ['GET']\nfrom = { spiffe = ['spiffe://a/b'] }\npaths = ['/a']\n";

#[test]
fn the_annotated_table_loads() {
    let text = include_str!("../../../config/policy.toml");
    let table = parse_at("policy.toml", text, &here(), noon()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((table.facts.name.as_str(), table.facts.version.as_str(), table.rules().len()), ("orders", "2026-11-21.3", 10));
    assert!(parse("policy.toml", text, &Listeners::default()).is_ok());
}

#[test]
fn cve_2022_21679_newer_schema() {
    assert_eq!(problems("schema = 2\nnew = 1"), "t.toml:1:1: schema: is 2, which this program does not read; write schema = 1");
    assert!(problems("name = 't'").contains("schema: is missing"));
}

#[test]
fn each_problem_has_its_line_and_says_what_to_write() {
    let table = [
        ("id = 'r'\n", "t.toml:3:1: rule[0].effect: is missing"),
        ("id = 'r'\n", "t.toml:3:1: rule[0].from: is missing"),
        ("id = 'r'\n", "t.toml:3:1: rule[0].paths: is missing"),
        ("effect = 'allow'\n", "t.toml:3:1: rule[0].id: is missing"),
        ("id = 'R r'\n", "t.toml:4:1: rule[0].id: `R r` is no id"),
        ("effect = 'permit'\n", "t.toml:4:1: rule[0].effect: is `permit`; write \"allow\", \"deny\" or \"audit\""),
        ("methods = []\n", "t.toml:4:1: rule[0].methods: is an empty list"),
        ("methods = ['get']\n", "t.toml:4:12: rule[0].methods[0]: `get` is no method"),
        ("methods = ['*', 'GET']\n", "methods: has * beside other methods"),
        ("paths = []\n", "paths: is an empty list"),
        ("paths = ['/a', '/b/*']\n", "t.toml:4:16: rule[0].paths[1]: `/b/*` has a * inside; write {name}"),
        ("paths = ['/a/../b']\n", "`/a/../b` has a segment of dots"),
        ("hosts = []\n", "hosts: is an empty list"),
        ("hosts = ['a:80']\n", "`a:80` has a host with"),
        ("ports = []\n", "ports: is an empty list"),
        ("ports = [8443, 9]\n", "t.toml:4:16: rule[0].ports[1]: 9 is the port of no inbound listener; listeners have: 8443"),
        ("ports = [70000]\n", "70000 is the port of no"),
        ("ports = 8443\n", "ports: is an integer"),
        ("from = {}\n", "from: is about nobody"),
        ("from = { any_authenticated = false }\n", "any_authenticated: is false"),
        ("from = { spiffe = [] }\n", "spiffe: is an empty list"),
        ("from = { spiffe = ['@web'] }\n", "`@web` is no set; define it in [sets.principals]"),
        ("from = { spiffe = ['spiffe://a/b*'] }\n", "`spiffe://a/b*` has a path segment"),
        ("from = { dns_san = ['a.*.b'] }\n", "`a.*.b` is no DNS name"),
        ("from = { spifee = ['spiffe://a/b'] }\n", "from.spifee: unknown key; did you mean `spiffe`?"),
        ("methodz = ['GET']\n", "t.toml:4:1: rule[0].methodz: unknown key; did you mean `methods`?"),
        ("sample = 2\n", "sample: is 2; write a share from 0.0 to 1.0"),
        ("sample = nan\n", "sample: is NaN"),
        ("expires = 'soon'\n", "expires: `soon` is no time"),
        ("mode = 'dry'\n", "mode: is `dry`"),
        ("mode = 'shadow'\n", "mode: is shadow without an end"),
        ("mode = 'shadow'\nshadow_until = '2027-01-01T00:00:00Z'\n", "t.toml:5:1: rule[0].shadow_until: is more than 30 days ahead"),
        ("shadow_until = '2026-11-28T00:00:00Z'\n", "shadow_until: stands without a shadow"),
        ("effect = 'allow'\nexcept_rules = ['x']\n", "except_rules: stands in a rule that denies nothing"),
        ("effect = 'deny'\nexcept_rules = ['x']\n", "except_rules[0]: `x` is no rule"),
        ("effect = 'audit'\nsample = 0.5\n", "sample: stands in an audit rule"),
    ];
    for (fields, expected) in table {
        let problems = of_rule(fields);
        assert!(problems.contains(expected), "{fields}\n{problems}");
    }
    assert_eq!(of_rule(BASE), "");
}

#[test]
fn the_target_of_options_goes_with_options() {
    let fields = BASE.replace("'/a'", "'/a', '*'");
    assert!(of_rule(&fields).contains("methods: has no OPTIONS, and no other method has the target *; add"), "{}", of_rule(&fields));
    assert_eq!(of_rule(&fields.replace("'GET'", "'GET', 'OPTIONS'")), "");
    assert_eq!(of_rule(&fields.replace("methods = ['GET']\n", "why = 'so'\n")), "");
}

#[test]
fn all_problems_come_at_once() {
    let found = of_rule("id = 'r'\neffect = 'no'\nmethods = []\npaths = ['a']\n[[case]]\nname = 'c'\n[sets.principals]\nx = []\n");
    for expected in ["effect", "methods", "paths[0]", "rule[0].from", "case[0].expect", "sets.principals.x: is an empty set"] {
        assert!(found.contains(expected), "{expected}\n{found}");
    }
}

#[test]
fn what_is_not_built_is_refused_and_never_ignored() {
    let found = problems("schema = 1\nname = 't'\n[tags]\ntemplate = ['spiffe://{td}/{name}']\nidentities = {}");
    assert!(found.ends_with("only look like one") && found.contains("is not built yet") && found.lines().count() == 1, "{found}");
}

#[test]
fn ids_are_unique() {
    let found = of_rule(&format!("{BASE}[[rule]]\n{BASE}"));
    assert_eq!(found, "t.toml:10:1: rule[1].id: `r` is the id of an earlier rule; give each rule an id of its own");
}

#[test]
fn a_deny_spares_no_deny() {
    let found = of_rule(&format!("{}except_rules = ['r']\n", BASE.replace("allow", "deny")));
    assert!(found.contains("except_rules[0]: `r` is no allow"), "{found}");
}

#[test]
fn a_broad_allow_says_why() {
    let broad = [
        ("'spiffe://a/b'", "'spiffe://a/*'"),
        ("{ spiffe = ['spiffe://a/b'] }", "{ any_authenticated = true }"),
        ("['GET']", "['*']"),
        ("methods = ['GET']\n", ""),
        ("'/a'", "'/a/**'"),
        ("'/a']\n", "'/a']\nhosts = ['*.foo']\n"),
    ];
    for (narrow, wide) in broad {
        let fields = BASE.replace(narrow, wide);
        assert!(of_rule(&fields).contains("rule[0].why: is missing and the rule"), "{fields}");
        assert!(of_rule(&format!("{fields}why = ' '")).contains("why: is missing"), "{fields}");
        assert_eq!(of_rule(&format!("{fields}why = 'so'")), "", "{fields}");
        assert_eq!(of_rule(&fields.replace("allow", "deny")), "", "{fields}");
    }
}

#[test]
fn cases_run_at_every_load() {
    let case =
        |fields: &str| of_rule(&format!("{BASE}hosts = ['h']\n[[case]]\nname = 'c'\nfrom = 'spiffe://a/b'\nmethod = 'GET'\n{fields}"));
    assert_eq!(case("path = '/a'\nhost = 'H:80'\nport = 8443\nexpect = 'allow'\nrule = 'r'"), "");
    assert_eq!(case("path = '/%2fa'\nexpect = 'deny'"), "");
    assert_eq!(case("path = '/a'\nexpect = 'deny'"), "");
    let wrong = "t.toml:16:1: case[0].expect: case `c` expects deny and gets allow by rule `r`; correct the rules or the case";
    assert_eq!(case("path = '/a'\nhost = 'h'\nexpect = 'deny'"), wrong);
    assert!(case("path = '/b'\nexpect = 'allow'").contains("expects allow and gets deny by implicit_deny"));
    assert!(case("path = '/b'\nexpect = 'deny'\nrule = 'r'").contains("expects rule `r` to decide and it is implicit_deny"));
    assert!(case("path = '/b'\nexpect = 'deny'\nrule = 'q'").contains("case[0].rule: `q` is no rule"));
    assert!(case("path = '/b'\nexpect = 'deny'\nport = 1").contains("case[0].port: 1 is the port of no inbound listener"));
    assert!(case("path = '/b'\nexpect = 'maybe'").contains("`maybe` is no verdict"));
}

#[test]
fn cases_of_a_table_in_shadow_ask_the_rules() {
    let shadow = "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'";
    let case = "[[case]]\nname = 'c'\nfrom = 'a.example'\nmethod = 'GET'\npath = '/'\nexpect = 'deny'";
    assert_eq!(problems(&format!("schema = 1\nname = 't'\n{shadow}\n{case}")), "");
}

#[test]
fn the_hash_is_about_what_the_table_says() {
    let hash = |text: &str| {
        parse_at("t", text, &Listeners::default(), noon()).unwrap_or_else(|problems| panic!("{problems}")).facts.sha256.clone()
    };
    let plain = format!("schema = 1\nname = 't'\n[[rule]]\n{BASE}");
    let first = hash(&plain);
    assert!(first.len() == 64 && first.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(hash(&format!("# hello\n\nname   = \"t\"\nschema = 1\nmode = 'enforce'\n[[rule]]\nsample = 1.0\n{BASE}")), first);
    for (from, to) in [("'/a'", "'/b'"), ("allow", "deny"), ("'t'", "'u'"), ("GET", "PUT"), ("id = 'r'", "id = 'r'\nwhy = 'x'")] {
        assert_ne!(hash(&plain.replace(from, to)), first, "{to}");
    }
}

/// Whoever reads JSON and writes it with sorted keys writes the same.
#[test]
fn what_is_hashed_is_canonical_json() {
    let text = format!("schema = 1\nname = 'a \\ \"t\"'\n[[rule]]\n{BASE}hosts = ['h']\nheaders = [{{ name = 'x-a', in = ['v'] }}]\n");
    let table = parse_at("t", &text, &Listeners::default(), noon()).unwrap_or_else(|problems| panic!("{problems}"));
    let set = PrincipalSet::new("web", [PrincipalPattern::spiffe("spiffe://a/*").unwrap()].into());
    let mut written = Vec::new();
    let said = Said {
        mode: table.mode,
        percent: table.percent,
        name: &table.facts.name,
        version: "",
        sets: &[&set],
        rules: &table.rules,
        egress: &[],
        issuers: &table.issuers,
        cases: &[],
        connections: &[],
    };
    canonical_json::write(&mut written, &said).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let sorted: std::collections::BTreeMap<&String, &serde_json::Value> = read.as_object().unwrap().iter().collect();
    assert_eq!(serde_json::to_string(&sorted).unwrap(), String::from_utf8(written).unwrap());
    assert_eq!(read["sets"]["principals"][0]["spiffe"][0], "spiffe://a/*");
    assert_eq!(read["rule"][0]["paths"][0], "/a");
}
