//! `enforce_percent`, and `break_glass`.

use super::*;
use crate::policy::standing::Percent;

const ALL: &str = "paths = ['/**']";

/// An identity that a rule or table of this name with 50 per cent is enforced for, and one that it is not.
fn both(name: &str) -> [String; 2] {
    let find = |enforced| {
        let mut ids = (0..).map(|number| format!("spiffe://prod.example/sa/{number}"));
        let half = Percent::new(50).unwrap();
        ids.find(|id| half.has(&caller(id).identity.unwrap().principal, name) == enforced).unwrap()
    };
    [find(true), find(false)]
}

fn ask(table: &Snapshot, id: &str) -> Decision {
    decide(table, &caller(id), &request("GET", "/", "a.foo"), noon())
}

#[test]
fn a_rule_is_enforced_for_a_share_and_tried_for_the_rest() {
    let [enforced, tried] = both("no");
    let denied = table(&(anyone("no", "deny", &format!("{ALL}\nenforce_percent = 50")) + &anyone("all", "allow", ALL)));
    assert_eq!(why(&ask(&denied, &enforced)), (Reason::ExplicitDeny, "no".into()));
    let passed = ask(&denied, &tried);
    assert_eq!((why(&passed), would(&passed)), ((Reason::Rule, "all".into()), Some((Verdict::Deny, Some("no".into())))));
    let [granted, refused] = both("yes");
    let allowed = table(&anyone("yes", "allow", &format!("{ALL}\nenforce_percent = 50")));
    assert_eq!(why(&ask(&allowed, &granted)), (Reason::Rule, "yes".into()));
    let denial = ask(&allowed, &refused);
    assert_eq!((why(&denial), would(&denial)), ((Reason::ImplicitDeny, "-".into()), Some((Verdict::Allow, Some("yes".into())))));
}

#[test]
fn a_table_is_enforced_for_a_share_and_tried_for_the_rest() {
    let [enforced, tried] = both("t");
    let table = table_with("enforce_percent = 50", &anyone("no", "deny", ALL));
    assert_eq!(why(&ask(&table, &enforced)), (Reason::ExplicitDeny, "no".into()));
    let passed = ask(&table, &tried);
    assert_eq!((why(&passed), would(&passed)), ((Reason::Shadow, "-".into()), Some((Verdict::Deny, Some("no".into())))));
}

/// The same identity, asked on any number of connections.
#[test]
fn the_answer_is_that_of_the_identity() {
    let [enforced, tried] = both("no");
    let table = table(&(anyone("no", "deny", &format!("{ALL}\nenforce_percent = 50")) + &anyone("all", "allow", ALL)));
    for _ in 0..3 {
        assert!(ask(&table, &enforced).is_err() && ask(&table, &tried).is_ok());
    }
}

fn problems(head: &str, more: &str) -> String {
    let text = format!(
        "schema = 1\nname = 't'\n{head}\n[[rule]]\nid = 'r'\nfrom = {{ spiffe = ['spiffe://a/b'] }}\nmethods = ['GET']\npaths = ['/a']\n{more}"
    );
    parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

#[test]
fn percentages_that_mean_nothing_are_refused() {
    const SHADOW: &str = "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\nenforce_percent = 5";
    let table = [
        ("", "effect = 'deny'\nenforce_percent = 0", "rule[0].enforce_percent: is 0; write 1 to 100; for nobody, mode = \"shadow\""),
        ("", "effect = 'deny'\nenforce_percent = 101", "enforce_percent: is 101"),
        ("", "effect = 'audit'\nenforce_percent = 5", "enforce_percent: stands in an audit rule"),
        ("", &format!("effect = 'deny'\n{SHADOW}"), "enforce_percent: stands beside mode = \"shadow\""),
        ("enforce_percent = 0", "effect = 'deny'", "t:3:1: enforce_percent: is 0"),
        (SHADOW, "effect = 'deny'", "enforce_percent: stands beside mode"),
    ];
    for (head, more, expected) in table {
        let found = problems(head, more);
        assert!(found.contains(expected) && found.lines().count() == 1, "{head} {more}\n{found}");
    }
    assert_eq!(problems("enforce_percent = 1", "effect = 'deny'\nenforce_percent = 100"), "");
}

#[test]
fn a_broken_glass_has_a_ticket_an_end_and_a_reason() {
    const GLASS: &str = "effect = 'allow'\nbreak_glass = { ticket = 'INC-1' }\nexpires = '2026-11-22T12:00:00Z'\nwhy = 'x'";
    assert_eq!(problems("", GLASS), "");
    assert_eq!(problems("", &GLASS.replace("11-22", "11-20")), "", "one that has ended matches nothing");
    for (from, to, expected) in [
        ("'INC-1'", "' '", "rule[0].break_glass: has no ticket"),
        ("ticket = 'INC-1'", "", "break_glass: has no ticket"),
        ("'allow'", "'deny'", "break_glass: stands in a rule that lets nothing pass"),
        ("expires = '2026-11-22T12:00:00Z'\n", "", "break_glass: stands in a rule without an end"),
        ("12:00:00Z", "12:00:01Z", "expires: is more than 24 hours ahead in a break-glass rule"),
        ("why = 'x'", "", "why: is missing in a break-glass rule"),
        ("'x'", "' '", "why: is missing in a break-glass rule"),
    ] {
        let found = problems("", &GLASS.replace(from, to));
        assert!(found.contains(expected) && found.lines().count() == 1, "{from}\n{found}");
    }
    let table = table(&rule(
        "r",
        "allow",
        &format!("{{ spiffe = ['{WEB}'] }}"),
        &format!("{ALL}\nbreak_glass = {{ ticket = 'INC-1' }}\nexpires = '2026-11-21T13:00:00Z'"),
    ));
    assert_eq!(get(&table, "/").unwrap().facts().ticket(), Some("INC-1"));
}
