use super::Ask;
use crate::request::Field;
use http::{HeaderName, HeaderValue};

const ROLE: HeaderName = HeaderName::from_static("x-role");

fn under_rules(ask: Ask) -> Ask {
    ask.mentioning(&["x-role", "x-tenant"])
}

#[test]
fn what_rules_mention_is_kept() {
    let request = under_rules(Ask::get("/").with("x-other", b"1").with("X-Role", b"admin")).answer().unwrap();
    assert_eq!(request.noted.field(&ROLE), Field::Present(&HeaderValue::from_static("admin")));
    assert_eq!(request.noted.field(&HeaderName::from_static("x-tenant")), Field::Absent);
    assert_eq!(request.noted.field(&HeaderName::from_static("x-other")), Field::Unknown);
    let request = under_rules(Ask::get("/")).answer().unwrap();
    assert_eq!(request.noted.field(&ROLE), Field::Absent);
    let request = Ask::get("/").with("x-role", b"admin").answer().unwrap();
    assert_eq!(request.noted.field(&ROLE), Field::Unknown);
}

#[test]
fn values_are_not_printed() {
    let request = under_rules(Ask::get("/").with("x-role", b"secret")).answer().unwrap();
    let text = format!("{request:?}");
    assert!(text.contains("x-role") && !text.contains("secret"), "{text}");
}

#[test]
fn cve_2020_25017_and_2026_26308_a_mentioned_header_twice() {
    for (first, second) in [("admin", "user"), ("user", "admin"), ("user", "user")] {
        let ask = || Ask::get("/").with("x-role", first.as_bytes()).with("x-role", second.as_bytes());
        assert_eq!(under_rules(ask()).refusal(), ("header_repeated", 400));
        assert_eq!(ask().refusal().0, "ok", "no rule asks about it");
    }
}

#[test]
fn cve_2026_73552_obs_text_in_a_mentioned_header() {
    for value in [&b"admin\xff"[..], b"\x80", "ädmin".as_bytes()] {
        assert_eq!(under_rules(Ask::get("/").with("x-role", value)).refusal(), ("header_obs_text", 400));
    }
    assert_eq!(under_rules(Ask::get("/").with("x-other", b"\xff")).refusal().0, "ok");
}

#[test]
fn another_spelling_of_a_mentioned_header() {
    for name in ["x_role", "X_Role"] {
        assert_eq!(under_rules(Ask::get("/").with(name, b"admin")).refusal(), ("header_spelling", 400), "{name}");
    }
    assert_eq!(Ask::get("/").mentioning(&["x_role"]).with("x-role", b"admin").refusal(), ("header_spelling", 400));
    assert_eq!(under_rules(Ask::get("/").with("x-roles", b"admin")).refusal().0, "ok");
}

#[test]
fn connection_does_not_nominate_a_mentioned_header() {
    for option in ["x-role", "close, X-Role", "x_role"] {
        assert_eq!(under_rules(Ask::get("/").with("connection", option.as_bytes())).refusal(), ("connection_nominates", 400), "{option}");
        assert_eq!(Ask::get("/").with("connection", option.as_bytes()).refusal().0, "ok", "{option}");
    }
}
