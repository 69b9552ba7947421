//! The own table, the one that caps it, and the one that is tried beside it.

use super::super::{Tables, Trial};
use super::*;

const OPEN: &str = "paths = ['/**']";
const SHADOW: &str = "mode = 'shadow'\nshadow_until = '2026-12-01T00:00:00Z'";

/// The three tables as (head, rules); the last two may be left out.
fn together(own: (&str, &str), boundary: Option<(&str, &str)>, candidate: Option<(&str, &str)>) -> Snapshot {
    let table = |(head, rules): (&str, &str)| parsed(head, rules);
    Some(Arc::new(Tables::new(table(own), boundary.map(table), candidate.map(table))))
}

#[test]
fn a_request_passes_only_if_the_boundary_allows_it_too() {
    let own = anyone("all", "allow", OPEN);
    let boundary = anyone("platform", "allow", "paths = ['/app/**', '/admin/**']") + &anyone("no-admin", "deny", "paths = ['/admin/**']");
    let tables = together(("", &own), Some(("", &boundary)), None);
    assert_eq!(why(&get(&tables, "/app/x")), (Reason::Rule, "all".into()));
    assert_eq!(why(&get(&tables, "/admin/x")), (Reason::Boundary, "no-admin".into()));
    assert_eq!(why(&get(&tables, "/elsewhere")), (Reason::Boundary, "-".into()));
    let denial = get(&tables, "/admin/x").unwrap_err();
    assert_eq!((denial.status, denial.facts.boundary.as_ref()), (403, tables.as_ref().unwrap().boundary().map(|table| &table.facts)));
}

#[test]
fn a_boundary_grants_nothing_by_itself() {
    let (own, boundary) = (anyone("some", "allow", "paths = ['/app/**']"), anyone("all", "allow", OPEN));
    let tables = together(("", &own), Some(("", &boundary)), None);
    assert_eq!(why(&get(&tables, "/elsewhere")), (Reason::ImplicitDeny, "-".into()));
    let own = own + &anyone("no", "deny", "paths = ['/app/no']");
    let both = together(("", &own), Some(("", &anyone("none", "deny", OPEN))), None);
    assert_eq!(why(&get(&both, "/app/no")), (Reason::ExplicitDeny, "no".into()), "the own table's refusal is named");
}

#[test]
fn an_own_table_in_shadow_is_still_capped() {
    let boundary = anyone("some", "allow", "paths = ['/app/**']");
    let tables = together((SHADOW, ""), Some(("", &boundary)), None);
    assert_eq!(why(&get(&tables, "/app/x")), (Reason::Shadow, "-".into()));
    assert_eq!(would(&get(&tables, "/app/x")), Some((Verdict::Deny, None)));
    assert_eq!(why(&get(&tables, "/elsewhere")), (Reason::Boundary, "-".into()));
}

#[test]
fn a_boundary_in_shadow_is_told_and_not_enforced() {
    let own = anyone("all", "allow", OPEN);
    let tables = together(("", &own), Some((SHADOW, &anyone("no", "deny", "paths = ['/admin/**']"))), None);
    assert_eq!(why(&get(&tables, "/admin/x")), (Reason::Rule, "all".into()));
    assert_eq!(would(&get(&tables, "/admin/x")), Some((Verdict::Deny, Some("no".into()))));
    let ruled = anyone("all", "allow", OPEN) + &anyone("no", "deny", &format!("paths = ['/admin/**']\n{SHADOW}"));
    let tables = together(("", &own), Some(("", &ruled)), None);
    assert_eq!(would(&get(&tables, "/admin/x")), Some((Verdict::Deny, Some("no".into()))));
    assert_eq!(would(&get(&tables, "/app")), None);
}

#[test]
fn a_candidate_changes_nothing_and_its_differences_are_told() {
    let own = anyone("some", "allow", "paths = ['/app/**']");
    let candidate = anyone("other", "allow", "paths = ['/new/**', '/app/both']");
    let tables = together(("", &own), None, Some(("", &candidate)));
    for (target, reason, rule, tried) in [
        ("/app/x", Reason::Rule, "some", Some((Verdict::Deny, None))),
        ("/new/x", Reason::ImplicitDeny, "-", Some((Verdict::Allow, Some("other".into())))),
        ("/app/both", Reason::Rule, "some", None),
        ("/neither", Reason::ImplicitDeny, "-", None),
    ] {
        let decision = get(&tables, target);
        assert_eq!((why(&decision), would(&decision)), ((reason, rule.into()), tried), "{target}");
    }
    let denial = get(&tables, "/new/x").unwrap_err();
    let candidate = tables.as_ref().unwrap().candidate().unwrap();
    assert_eq!(denial.facts.would.unwrap().by, Trial::Candidate(Arc::clone(&candidate.facts)));
    assert_eq!(denial.facts.table.as_ref(), Some(&tables.as_ref().unwrap().own().facts));
}

#[test]
fn a_boundary_caps_the_candidate_as_well() {
    let (own, boundary) = (anyone("some", "allow", "paths = ['/app/**']"), anyone("cap", "allow", "paths = ['/app/**']"));
    let tables = together(("", &own), Some(("", &boundary)), Some(("", &anyone("all", "allow", OPEN))));
    assert_eq!(would(&get(&tables, "/elsewhere")), None);
}

#[test]
fn headers_that_only_the_candidate_mentions_refuse_nothing() {
    let asks = anyone("tenant", "allow", &format!("{OPEN}\nheaders = [{{ name = 'x-tenant', eq = 'eu' }}]"));
    let own = anyone("all", "allow", OPEN);
    let tables = together(("", &own), None, Some(("", &asks)));
    let read = |tables: &Snapshot, fields: &[&str]| {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a.foo"))]);
        for value in fields {
            headers.append("x-tenant", HeaderValue::from_str(value).unwrap());
        }
        let (uri, mentioned) = (Uri::from_static("/app"), super::super::mentioned(tables));
        canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &mentioned)
    };
    let decided = |fields: &[&str]| would(&decide(&tables, &caller(WEB), &read(&tables, fields).unwrap(), noon()));
    assert_eq!(decided(&["eu"]), None);
    for unclear in [&["eu", "eu"][..], &["us"], &[]] {
        assert_eq!(decided(unclear), Some((Verdict::Deny, None)), "{unclear:?}");
    }
    let enforced = together(("", &asks), None, Some(("", &own)));
    assert!(read(&enforced, &["eu", "eu"]).is_err(), "of the enforced table's names there is one value");
}

#[test]
fn a_promotion_puts_the_candidate_in_the_place_of_the_own_table() {
    let rules = ["own", "cap", "next"].map(|id| anyone(id, "allow", OPEN));
    let tables = together(("", &rules[0]), Some(("", &rules[1])), Some(("", &rules[2]))).unwrap();
    let next = tables.promoted().unwrap();
    assert!(next.own().facts == tables.candidate().unwrap().facts && next.boundary().unwrap().facts == tables.boundary().unwrap().facts);
    assert!(next.candidate().is_none() && next.promoted().is_none() && !next.same_as(&tables));
}
