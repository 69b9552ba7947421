use super::*;
use crate::policy::{PermitKind, RuleFacts, permit_route};
use crate::request::Malformed;

#[test]
fn without_a_table_everything_is_denied() {
    let denial = get(&None, "/").unwrap_err();
    assert_eq!((denial.status, denial.facts.reason.text().into_owned(), denial.facts.generation), (403, "no_policy".into(), 0));
}

#[test]
fn without_an_identity_nothing_is_looked_up() {
    let table = table(&anyone("all", "allow", "paths = ['/**']"));
    let mut nobody = caller(WEB);
    nobody.identity = None;
    let decision = decide(&table, &nobody, &request("GET", "/", "a.foo"), noon());
    assert_eq!(decision.unwrap_err().facts.reason.text(), "unauthenticated:no_identity");
}

#[test]
fn a_certificate_ends_with_its_last_second() {
    let table = table(&anyone("all", "allow", "paths = ['/**']"));
    let end = noon() + Duration::from_secs(3_600);
    let at = |now| decide(&table, &caller(WEB), &request("GET", "/", "a.foo"), now);
    assert!(at(end + Duration::from_millis(999)).is_ok());
    assert_eq!(at(end + Duration::from_secs(1)).unwrap_err().facts.reason.text(), "unauthenticated:expired");
}

#[test]
fn the_first_match_in_file_order_is_named() {
    let rules = anyone("one", "allow", "paths = ['/a']")
        + &anyone("two", "allow", "paths = ['/a', '/{x}']")
        + &anyone("three", "allow", "paths = ['/{x}']");
    let table = table(&rules);
    assert_eq!(why(&get(&table, "/a")), (Reason::Rule, "one".into()));
    let permit = get(&table, "/b").unwrap();
    assert_eq!(permit.facts().rule.as_ref().unwrap().id, "two");
    assert_eq!(permit.facts().template(), Some("/{x}"));
    assert_eq!(permit.kind(), PermitKind::Policy);
    assert_eq!(permit.facts().generation, table.as_ref().unwrap().own().generation);
    assert_eq!(why(&get(&table, "/b/c")), (Reason::ImplicitDeny, "-".into()));
}

#[test]
fn a_deny_overrides_allows_before_and_after_it() {
    let all = "paths = ['/**']";
    let table = table(&(anyone("one", "allow", all) + &anyone("no", "deny", "paths = ['/a/**']") + &anyone("two", "allow", all)));
    let denial = get(&table, "/a/b").unwrap_err();
    assert_eq!((denial.status, denial.facts.template()), (403, Some("/a/**")));
    assert_eq!(why(&Err(denial)), (Reason::ExplicitDeny, "no".into()));
    assert!(get(&table, "/b").is_ok());
}

#[test]
fn a_deny_spares_only_the_allows_that_it_names() {
    let web = format!("{{ spiffe = ['{WEB}'] }}");
    let rules = anyone("broad", "allow", "paths = ['/**']")
        + &rule("glass", "allow", &web, "paths = ['/admin/**']")
        + &anyone("no-admin", "deny", "paths = ['/admin/**']\nexcept_rules = ['glass']")
        + &anyone("no-keys", "deny", "paths = ['/admin/keys']");
    let table = table(&rules);
    assert_eq!(why(&get(&table, "/admin/x")), (Reason::Rule, "glass".into()));
    assert_eq!(why(&get(&table, "/admin/keys")), (Reason::ExplicitDeny, "no-admin".into()));
    let other = decide(&table, &caller("spiffe://prod.example/other"), &request("GET", "/admin/x", "a.foo"), noon());
    assert_eq!(why(&other), (Reason::ExplicitDeny, "no-admin".into()));
}

#[test]
fn methods_are_compared_byte_by_byte() {
    let table = table(&anyone("r", "allow", "methods = ['GET', 'PURGE']\npaths = ['/**']"));
    for (method, passes) in [("GET", true), ("get", false), ("HEAD", false), ("PURGE", true), ("purge", false), ("POST", false)] {
        assert_eq!(decide(&table, &caller(WEB), &request(method, "/", "a.foo"), noon()).is_ok(), passes, "{method}");
    }
}

#[test]
fn an_expired_rule_matches_nothing() {
    let table = table(&anyone("r", "allow", "paths = ['/**']\nexpires = '2026-11-21T12:30:00Z'"));
    let at = |minutes: u64| decide(&table, &caller(WEB), &request("GET", "/", "a.foo"), noon() + Duration::from_secs(60 * minutes));
    assert!(at(29).is_ok());
    assert_eq!(why(&at(30)), (Reason::ImplicitDeny, "-".into()));
}

#[test]
fn a_missing_host_grants_nothing_and_excuses_nothing() {
    let host = "hosts = ['a.foo']";
    let bare = CanonicalRequest { authority: None, ..request("GET", "/a", "a.foo") };
    let allow = table(&anyone("r", "allow", &format!("paths = ['/**']\n{host}")));
    assert_eq!(why(&decide(&allow, &caller(WEB), &bare, noon())), (Reason::ImplicitDeny, "-".into()));
    let deny = table(&(anyone("no", "deny", &format!("paths = ['/**']\n{host}")) + &anyone("all", "allow", "paths = ['/**']")));
    assert_eq!(why(&decide(&deny, &caller(WEB), &bare, noon())), (Reason::ExplicitDeny, "no".into()));
    assert!(decide(&deny, &caller(WEB), &request("GET", "/a", "b.foo"), noon()).is_ok());
}

#[test]
fn a_rule_for_another_port_is_not_met() {
    let table = table(&anyone("r", "allow", "paths = ['/**']\nports = [8443]"));
    assert!(get(&table, "/").is_ok());
    let elsewhere = Caller { local_port: 9_443, ..caller(WEB) };
    assert!(decide(&table, &elsewhere, &request("GET", "/", "a.foo"), noon()).is_err());
}

#[test]
fn audit_rules_change_the_record_only() {
    let table = table(&(anyone("watch", "audit", "paths = ['/a']") + &anyone("r", "allow", "paths = ['/**']\nsample = 0.25")));
    let permit = get(&table, "/a").unwrap();
    assert!(permit.facts().audited);
    assert!((permit.facts().sample - 0.25).abs() < f32::EPSILON);
    assert!(!get(&table, "/b").unwrap().facts().audited);
}

#[test]
fn a_new_table_reaches_an_open_connection() {
    let caller = caller(WEB);
    let ask = request("GET", "/", "a.foo");
    let [open, closed] = [table(&anyone("r", "allow", "paths = ['/**']")), table("")];
    for _ in 0..2 {
        assert!(decide(&open, &caller, &ask, noon()).is_ok());
        assert!(decide(&open, &caller.clone(), &ask, noon()).is_ok());
        assert!(decide(&closed, &caller, &ask, noon()).is_err());
    }
}

#[test]
fn a_route_permits_by_its_own_name() {
    let facts = Arc::new(RuleFacts::route("upstream:b.foo"));
    let permit = permit_route(facts, &None);
    assert_eq!((permit.kind(), permit.facts().reason.text().into_owned()), (PermitKind::Route, "route".into()));
}

#[test]
fn reasons_have_stable_texts() {
    let malformed = Denial::malformed(Malformed::HeadFields, &None);
    assert_eq!((malformed.status, malformed.facts.reason.text().into_owned()), (431, "malformed:head_fields".into()));
    let table = [
        (Reason::Rule, "rule"),
        (Reason::Shadow, "shadow"),
        (Reason::Quarantined, "quarantined"),
        (Reason::ExplicitDeny, "explicit_deny"),
        (Reason::ImplicitDeny, "implicit_deny"),
        (Reason::Refused("unknown_host"), "unknown_host"),
    ];
    for (reason, text) in table {
        assert_eq!(reason.text(), text);
    }
}
