//! Tables that were made to take time and memory: each is refused, or looked at one by one, and none is carried out as its author meant it.

use super::*;
use crate::policy::automaton::{TooLarge, WORK};
use crate::policy::compiled::Compiled;
use std::fmt::Write as _;

fn refused(text: &str) -> crate::document::Problems {
    parse_at("t.toml", text, &here(), noon()).unwrap_err()
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

/// What compiling gives up is decided all the same.
fn decided_one_by_one(rules: &str, path: &str, by: &str) {
    let table = table(rules);
    let own = table.as_ref().unwrap().own();
    let met = own.principals.rules(&own.rules, &caller(WEB).identity.unwrap().principal, PORT);
    assert_eq!(Compiled::new(&own.rules, &met, WORK).unwrap_err(), TooLarge);
    let web = caller(WEB);
    for _ in 0..3 {
        assert_eq!(why(&decide(&table, &web, &request("GET", path, "a.foo"), noon())), (Reason::Rule, by.to_owned()));
    }
}

#[test]
fn placeholders_in_different_places() {
    let path = |at: usize| many(24, |segment| if segment == at { "/a".into() } else { "/{x}".into() });
    decided_one_by_one(
        &many(24, |at| anyone(&format!("r{at}"), "allow", &format!("paths = ['{}']", path(at)))),
        &format!("/b{}/a", "/b".repeat(22)),
        "r23",
    );
}

#[test]
fn many_beginnings_and_ends_of_a_segment() {
    let rules = many(1_000, |number| anyone(&format!("r{number}"), "allow", &format!("paths = ['/{{x}}.{number}']")));
    decided_one_by_one(&rules, "/b.999", "r999");
}

#[test]
fn a_hundred_thousand_patterns_that_overlap() {
    let one = |number: usize| format!("'/{{x}}/s{number}/{{y}}/**', '/s{}/{{x}}/**', ", number % 317);
    let paths = many(50_000, one);
    decided_one_by_one(&anyone("r", "allow", &format!("paths = [{paths}'/**/']").replace(", '/**/'", "")), "/a/s49999/c/d", "r");
}

/// The sum of rules and members, not their product: that would be two hundred million.
#[test]
fn a_set_that_many_rules_name() {
    let members = many(100_000, |number| format!("'spiffe://prod.example/ns/*/sa/{number}', "));
    let rule = |number: usize| {
        rule(&format!("r{number}"), "allow", &format!("{{ spiffe = ['@big', 'spiffe://d/{number}'] }}"), &format!("paths = ['/{number}']"))
    };
    let text = format!("schema = 1\nname = 't'\n[sets.principals]\nbig = [{members}]\n{}", many(2_000, rule));
    let table = Some(Arc::new(parse_at("t", &text, &here(), noon()).unwrap().into()));
    let asks = |id: &str, path| why(&decide(&table, &caller(id), &request("GET", path, "a.foo"), noon()));
    assert_eq!(asks("spiffe://prod.example/ns/x/sa/99999", "/1999"), (Reason::Rule, "r1999".into()));
    assert_eq!(asks("spiffe://d/7", "/7"), (Reason::Rule, "r7".into()));
    assert_eq!(asks("spiffe://d/7", "/8").0, Reason::ImplicitDeny);
}

#[test]
fn problems_beyond_a_thousand_are_counted() {
    let text = format!("schema = 1\nname = 't'\n{}", many(10_000, |_| anyone("same", "allow", "paths = ['/a']")));
    let problems = refused(&text).into_vec();
    assert_eq!((problems.len(), problems[0].what.as_str()), (1_001, "has 8999 more problems"));
}

#[test]
fn a_name_of_a_megabyte_is_not_told_a_thousand_times() {
    let name = "x".repeat(1 << 20);
    let text = format!("schema = 1\nname = 't'\n{name} = 1\n[sets.principals]\n{name} = [{}]\n", "1, ".repeat(2_000));
    let told = refused(&text).to_string();
    assert!(told.len() < 4 << 20 && told.contains("more problems"), "{}", told.len());
}

#[test]
fn more_rules_and_cases_than_can_be_read() {
    let rules = format!("schema = 1\nname = 't'\n{}", "[[rule]]\n".repeat(500_001));
    assert!(refused(&rules).to_string().contains("500001 entries, more than 500000"));
    let mut text = String::from("schema = 1\nname = 't'\n");
    write!(text, "{}{}", "[[rule]]\n".repeat(10_000), "[[case]]\n".repeat(5_001)).unwrap();
    assert!(refused(&text).to_string().contains("5001 entries, which are too many"));
}
