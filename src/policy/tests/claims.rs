//! `claims` of a rule, `[[jwt_issuer]]`, and the claims of a case.

use super::*;
use crate::policy::Looked;
use crate::policy::decide::decide_given;
use crate::policy::jwt::Claims;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

const ISSUER: &str = "[[jwt_issuer]]\niss = 'https://idp'\naud = ['orders']\njwks = 'https://idp/keys'\nalgs = ['RS256']\n";
const ALL: &str = "paths = ['/**']";

const HOLDS: (bool, bool) = (true, true);
const FAILS: (bool, bool) = (false, false);
const UNKNOWN: (bool, bool) = (false, true);

fn allow_if(claims: &str) -> Snapshot {
    table_with(ISSUER, &anyone("r", "allow", &format!("{ALL}\n[rule.claims]\n{claims}")))
}

fn deny_if(claims: &str) -> Snapshot {
    table_with(ISSUER, &(anyone("no", "deny", &format!("{ALL}\n[rule.claims]\n{claims}")) + &anyone("all", "allow", ALL)))
}

/// Whether the allow matches, and whether the deny does, where a token says this.
fn ask(condition: &str, claims: &Value) -> (bool, bool) {
    let Value::Object(claims) = claims.clone() else { panic!("{claims}") };
    let claims = Claims::new(claims);
    let ask = |table: Snapshot| decide_given(&table, &caller(WEB), &request("GET", "/", "a.foo"), noon(), Some(&claims)).is_ok();
    (ask(allow_if(condition)), !ask(deny_if(condition)))
}

/// What `web` gets with this `Authorization`.
fn with(table: &Snapshot, authorization: Option<&str>) -> Decision {
    let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a.foo"))]);
    headers.extend(authorization.map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())));
    let (listener, mentioned) = (Listener::Inbound, crate::policy::mentioned(table));
    let uri = Uri::from_static("/");
    let request = canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), listener, &mentioned);
    decide(table, &caller(WEB), &request.unwrap(), noon())
}

fn looked(decision: &Decision) -> Vec<(String, &'static str)> {
    let facts = match decision {
        Ok(permit) => permit.facts(),
        Err(denial) => &denial.facts,
    };
    let one = |looked: &Looked| (looked.condition.name.to_string(), looked.result.letter());
    facts.conditions().iter().map(one).collect()
}

#[test]
fn operators_look_at_types_too() {
    let noon = noon().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let table = [
        ("sub = { eq = 'a' }", json!({ "sub": "a" }), HOLDS),
        ("sub = { eq = 'a' }", json!({ "sub": "A" }), FAILS),
        ("sub = { eq = 'a' }", json!({ "sub": "a b" }), FAILS),
        ("sub = { eq = 'a' }", json!({}), FAILS),
        ("sub = { eq = 'a' }", json!({ "sub": ["a"] }), UNKNOWN),
        ("sub = { eq = 'a' }", json!({ "sub": null }), UNKNOWN),
        ("sub = { eq = '1' }", json!({ "sub": 1 }), UNKNOWN),
        ("level = { eq = 2 }", json!({ "level": 2 }), HOLDS),
        ("level = { eq = 2 }", json!({ "level": 3 }), FAILS),
        ("level = { eq = 2 }", json!({ "level": "2" }), UNKNOWN),
        ("email_verified = { eq = true }", json!({ "email_verified": true }), HOLDS),
        ("email_verified = { eq = true }", json!({ "email_verified": false }), FAILS),
        ("email_verified = { eq = true }", json!({ "email_verified": "true" }), UNKNOWN),
        ("sub = { in = ['a', 'b'] }", json!({ "sub": "b" }), HOLDS),
        ("sub = { in = ['a', 'b'] }", json!({ "sub": "c" }), FAILS),
        ("scope = { has = 'a.read' }", json!({ "scope": "x a.read y" }), HOLDS),
        ("scope = { has = 'a.read' }", json!({ "scope": "a.readall xa.read" }), FAILS),
        ("scope = { has = 'a.read' }", json!({ "scope": "" }), FAILS),
        ("scope = { has = 'a.read' }", json!({ "scope": ["x", "a.read"] }), HOLDS),
        ("scope = { has = 'a.read' }", json!({ "scope": ["x a.read"] }), FAILS),
        ("scope = { has = 'a.read' }", json!({ "scope": ["a.read", 1] }), UNKNOWN),
        ("scope = { has = 'a.read' }", json!({ "scope": { "a.read": true } }), UNKNOWN),
        ("groups = { any = ['a', 'b c'] }", json!({ "groups": ["b c"] }), HOLDS),
        ("groups = { any = ['a', 'b c'] }", json!({ "groups": "a" }), HOLDS),
        ("groups = { any = ['a', 'b c'] }", json!({ "groups": "b c" }), FAILS),
        ("groups = { any = ['a'] }", json!({ "groups": [] }), FAILS),
        ("groups = { any = ['a'] }", json!({ "groups": 1 }), UNKNOWN),
        ("auth_time = { max_age = '15m' }", json!({ "auth_time": noon - 900 }), HOLDS),
        ("auth_time = { max_age = '15m' }", json!({ "auth_time": noon - 901 }), FAILS),
        ("auth_time = { max_age = '15m' }", json!({ "auth_time": noon + 60 }), HOLDS),
        ("auth_time = { max_age = '15m' }", json!({ "auth_time": noon + 61 }), UNKNOWN),
        ("auth_time = { max_age = '15m' }", json!({ "auth_time": noon.to_string() }), UNKNOWN),
        ("auth_time = { max_age = '15m' }", json!({}), FAILS),
        // A name inside a claim, and a name with dots in it.
        ("realm_access.roles = { any = ['a'] }", json!({ "realm_access": { "roles": ["a"] } }), HOLDS),
        ("realm_access.roles = { any = ['a'] }", json!({ "realm_access.roles": ["a"] }), FAILS),
        ("realm_access.roles = { any = ['a'] }", json!({ "realm_access": {} }), FAILS),
        ("realm_access.roles = { any = ['a'] }", json!({ "realm_access": "x" }), UNKNOWN),
        ("'realm_access.roles' = { any = ['a'] }", json!({ "realm_access.roles": ["a"] }), HOLDS),
        ("'https://x/roles' = { has = 'a' }", json!({ "https://x/roles": ["a"] }), HOLDS),
        // Fields are AND, and what cannot be told excuses nothing.
        ("a = { eq = '1' }\nb = { eq = '2' }", json!({ "a": "1", "b": "2" }), HOLDS),
        ("a = { eq = '1' }\nb = { eq = '2' }", json!({ "a": "1" }), FAILS),
        ("a = { eq = '1' }\nb = { eq = '2' }", json!({ "a": "1", "b": 2 }), UNKNOWN),
        ("a = { eq = '1' }\nb = { eq = '2' }", json!({ "a": "x", "b": 2 }), FAILS),
    ];
    for (condition, claims, expected) in table {
        assert_eq!(ask(condition, &claims), expected, "{condition} {claims}");
    }
}

#[test]
fn without_a_token_there_are_no_claims_and_what_is_no_token_is_unknown() {
    let condition = "scope = { has = 'x' }";
    let (allow, deny) = (allow_if(condition), deny_if(condition));
    assert!(with(&allow, None).is_err() && with(&deny, None).is_ok());
    // Nobody has fetched the issuer's keys either.
    let garbage = ["Bearer x", "Bearer", "bearer  x", "Bearer\tx", "Basic eDp5", "", "x", "Bearer x, Bearer y", "Bearer e30.e30.AA"];
    for value in garbage {
        assert!(with(&allow, Some(value)).is_err() && with(&deny, Some(value)).is_err(), "{value}");
    }
    assert_eq!(looked(&with(&deny, None)), [("claim:scope".to_owned(), "f")]);
    assert_eq!(looked(&with(&deny, Some("Bearer x"))), [("claim:scope".to_owned(), "u")]);
}

#[test]
fn a_case_is_decided_as_if_its_token_had_been_verified() {
    let rule = anyone("r", "allow", &format!("{ALL}\n[rule.claims]\nscope = {{ has = 'x' }}\na.b = {{ any = ['c'] }}"))
        + &anyone("m", "audit", &format!("{ALL}\n[rule.claims]\nauth_time = {{ max_age = '1h' }}"));
    let case = |claims: &str, expect: &str| {
        let case = format!("[[case]]\nname = 'c'\nfrom = '{WEB}'\nmethod = 'GET'\npath = '/'\nclaims = {claims}\nexpect = '{expect}'\n");
        parse_at("t", &format!("schema = 1\nname = 't'\n{ISSUER}{rule}{case}"), &here(), noon()).map(|_| ()).map_err(|it| it.to_string())
    };
    assert_eq!(case("{ iss = 'https://idp', scope = 'x y', a = { b = ['c'] } }", "allow"), Ok(()));
    assert_eq!(case("{ iss = 'https://idp', scope = 'y', a = { b = ['c'] } }", "deny"), Ok(()));
    let wrong = [
        ("{ iss = 'https://idp', scope = 'x' }", "allow", "expects allow and gets deny"),
        ("{ scope = 'x' }", "deny", "has no iss of this table"),
        ("{ iss = 'https://other' }", "deny", "has no iss of this table"),
        ("{ iss = 'https://idp', auth_time = 2026-11-21T12:00:00Z }", "deny", "is nothing that JSON has"),
        ("{ iss = 'https://idp', x = [nan] }", "deny", "is nothing that JSON has"),
        ("1", "deny", "claims: is an integer"),
        // Later it would be another one's case.
        ("{ iss = 'https://idp', auth_time = 1795262400 }", "deny", "hangs on the hour at which the table is loaded"),
    ];
    for (claims, expect, said) in wrong {
        let found = case(claims, expect).unwrap_err();
        assert!(found.contains(said) && found.lines().count() == 1, "{claims}\n{found}");
    }
}

#[test]
fn what_the_hash_is_over_says_whose_tokens_and_which_claims() {
    let hash = |table: Snapshot| table.unwrap().own().facts.sha256.clone();
    let with_issuer = |issuer: &str| hash(table_with(issuer, &anyone("r", "allow", &format!("{ALL}\n[rule.claims]\na = {{ eq = 'x' }}"))));
    let one = with_issuer(ISSUER);
    assert_eq!(one, hash(allow_if("a = { in = ['x'] }")));
    assert_eq!(hash(allow_if("a = { has = 'x' }")), hash(allow_if("a = { any = ['x'] }")));
    let others = [("orders", "payments"), ("RS256", "ES256"), ("https://idp/keys", "https://idp/keys2"), ("https://idp'", "https://idp2'")];
    for (old, new) in others {
        assert_ne!(one, with_issuer(&ISSUER.replace(old, new)), "{new}");
    }
    for other in ["a = { eq = 'y' }", "b = { eq = 'x' }", "a = { has = 'x' }", "a.b = { eq = 'x' }", "a = { max_age = '1s' }"] {
        assert_ne!(one, hash(allow_if(other)), "{other}");
    }
    assert_ne!(hash(allow_if("a.b = { eq = 'x' }")), hash(allow_if("'a.b' = { eq = 'x' }")));
}

#[test]
fn what_would_only_look_like_a_condition_is_refused() {
    let of_rule = [
        ("", "claims: is empty"),
        ("scope = 'x'", "claims.scope: is a string; write one of { eq ="),
        ("scope = {}", "claims.scope: has no operator"),
        ("scope = { hass = 'x' }", "claims.scope.hass: is a string; write one of { eq ="),
        ("scope = { has = 'x', hass = 'x' }", "claims.scope.hass: unknown key; did you mean `has`?"),
        ("scope = { has = 'x', any = ['y'] }", "claims.scope: has more than one operator"),
        ("scope = { has = '' }", "is empty; write the member"),
        ("scope = { any = [] }", "claims.scope.any: is an empty list"),
        ("a = { in = [1] }", "a.in[0]: is an integer"),
        ("a = { eq = 1.5 }", "a.eq: is a float; write a string in quotes"),
        ("a = { max_age = '15 minutes' }", "a.max_age: is \"15 minutes\""),
        ("a = { max_age = '0s' }", "a.max_age: is no time at all"),
        ("a.b.c.d.e = { eq = 'x' }", "claims.a.b.c.d: has no operator"),
        (
            "iss = { eq = 'https://other' }",
            "\"https://other\" is no issuer of this table; write one that has a [[jwt_issuer]]: https://idp",
        ),
        ("iss = { in = ['https://idp', 'x'] }", "\"x\" is no issuer of this table"),
        ("iss = { has = 'https://idp' }", "claims.iss: is compared as a whole"),
    ];
    let said = |text: &str| parse_at("t", text, &here(), noon()).map_or_else(|problems| problems.to_string(), |_| String::new());
    for (claims, expected) in of_rule {
        let rule = anyone("r", "allow", &format!("{ALL}\n[rule.claims]\n{claims}"));
        let found = said(&format!("schema = 1\nname = 't'\n{ISSUER}{rule}"));
        assert!(found.contains(expected) && found.lines().count() == 1, "{claims}\n{found}");
    }
    let alone = said(&format!("schema = 1\nname = 't'\n{}", anyone("r", "allow", &format!("{ALL}\n[rule.claims]\na = {{ eq = 'x' }}"))));
    assert!(alone.contains("claims: stands in a table that believes no token") && alone.lines().count() == 1, "{alone}");
    let of_issuer = [
        ("algs = ['RS256']", "algs = ['none']", "`none` is no signature"),
        ("algs = ['RS256']", "algs = ['RS256', 'HS256']", "`HS256` is symmetric"),
        ("algs = ['RS256']", "algs = ['rs256']", "`rs256` is no algorithm that is known here"),
        ("algs = ['RS256']", "algs = []", "algs: is an empty list"),
        ("algs = ['RS256']", "", "algs: is missing"),
        ("aud = ['orders']", "", "aud: is missing; write aud = [\"…\"]"),
        ("aud = ['orders']", "aud = ['']", "is empty"),
        ("aud = ['orders']", "aud = 'orders'", "aud: is a string"),
        ("iss = 'https://idp'", "", "iss: is missing"),
        ("'https://idp/keys'", "'http://idp/keys'", "is not encrypted"),
        ("'https://idp/keys'", "'https://169.254.169.254/keys'", "is link-local"),
        ("'https://idp/keys'", "'https://u:p@idp/keys'", "has a user in it"),
        ("'https://idp/keys'", "'/etc/jwks.json'", "write \"https://…\", or \"file:"),
        ("'https://idp/keys'", "'file:'", "names no file"),
        ("algs =", "leeway = '1h'\nalgs =", "leeway: unknown key; known here: algs, aud, iss, jwks"),
        (ISSUER, &ISSUER.repeat(2), "`https://idp` is an issuer already"),
    ];
    for (old, new, expected) in of_issuer {
        let found = said(&format!("schema = 1\nname = 't'\n{}", ISSUER.replace(old, new)));
        assert!(found.contains(expected) && found.lines().count() == 1, "{new}\n{found}");
    }
}
