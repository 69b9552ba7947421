//! `[rule.when]`.

use super::*;
use crate::identity::{Channel, Group};

const ALL: &str = "paths = ['/**']";

/// A table that lets pass where `when` holds.
fn allow_when(when: &str) -> Snapshot {
    table(&anyone("r", "allow", &format!("{ALL}\nwhen = {{ {when} }}")))
}

/// A table that refuses where `when` holds or cannot be told.
fn deny_when(when: &str) -> Snapshot {
    table(&(anyone("no", "deny", &format!("{ALL}\nwhen = {{ {when} }}")) + &anyone("all", "allow", ALL)))
}

/// Whether the allow matches, and whether the deny does.
fn ask(when: &str, caller: &Caller, now: SystemTime) -> (bool, bool) {
    let ask = |table: Snapshot| decide(&table, caller, &request("GET", "/", "a.foo"), now).is_ok();
    (ask(allow_when(when)), !ask(deny_when(when)))
}

const HOLDS: (bool, bool) = (true, true);
const FAILS: (bool, bool) = (false, false);
const UNKNOWN: (bool, bool) = (false, true);

/// The conditions that were looked at, and what came out.
fn looked(decision: &Decision) -> Vec<(String, &'static str)> {
    let facts = match decision {
        Ok(permit) => permit.facts(),
        Err(denial) => &denial.facts,
    };
    let one = |looked: &crate::policy::Looked| (looked.condition.name.to_string(), looked.result.letter());
    facts.looked.as_deref().unwrap_or_default().iter().map(one).collect()
}

#[test]
fn tls_is_the_channel_of_the_connection() {
    let over = |version, group| {
        let channel = Channel { version, cipher: "", group: Some(group), alpn: "", sni: None };
        Caller { channel: Some(channel), ..caller(WEB) }
    };
    let (new, old) = (over("1.3", Group::X25519MlKem768), over("1.2", Group::X25519));
    assert_eq!(ask("tls = { min = '1.3' }", &new, noon()), HOLDS);
    assert_eq!(ask("tls = { min = '1.3' }", &old, noon()), FAILS);
    assert_eq!(ask("tls = { min = '1.2' }", &old, noon()), HOLDS);
    assert_eq!(ask("tls = { post_quantum = true }", &new, noon()), HOLDS);
    assert_eq!(ask("tls = { post_quantum = true }", &old, noon()), FAILS);
    assert_eq!(ask("tls = { post_quantum = true }", &caller(WEB), noon()), UNKNOWN);
    let decision = decide(&allow_when("tls = { min = '1.3' }"), &old, &request("GET", "/", "a.foo"), noon());
    assert_eq!(looked(&decision), [("tls".to_owned(), "f")]);
}

fn problems(more: &str) -> String {
    let text = format!("schema = 1\nname = 't'\n{}", anyone("r", "deny", &format!("{ALL}\n{more}")));
    parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

#[test]
fn conditions_that_say_nothing_are_refused() {
    let table = [
        ("when = {}", "rule[0].when: is empty; write a condition"),
        ("when = 1", "rule[0].when: is an integer"),
        ("when = { tsl = {} }", "when.tsl: unknown key; did you mean `tls`?"),
        ("when = { tls = {} }", "when.tls: says nothing; write tls = { min = \"1.3\" }"),
        ("when = { tls = { min = '1.1' } }", "`1.1` is no version of TLS that is spoken here; write \"1.2\" or \"1.3\""),
        ("when = { tls = { post_quantum = false } }", "post_quantum: is false, and there is no `not`"),
    ];
    for (more, expected) in table {
        let found = problems(more);
        assert!(found.contains(expected) && found.lines().count() == 1, "{more}\n{found}");
    }
}
