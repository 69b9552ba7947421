//! `headers` and `grpc`.

use super::*;
use crate::request::ContentType;

const ALL: &str = "paths = ['/**']";

/// What `web` gets for a `POST target` with these header fields.
fn post(table: &Snapshot, target: &str, fields: &[(&str, &str)]) -> Decision {
    decide(table, &caller(WEB), &read(table, target, fields).unwrap(), noon())
}

fn read(table: &Snapshot, target: &str, fields: &[(&str, &str)]) -> Result<CanonicalRequest, crate::request::Malformed> {
    let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a.foo"))]);
    for (name, value) in fields {
        headers.append(http::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let uri = Uri::try_from(target).unwrap();
    let mentioned = crate::policy::mentioned(table);
    canonicalize(&Method::POST, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &mentioned)
}

fn allow_if(condition: &str) -> Snapshot {
    table(&anyone("r", "allow", &format!("{ALL}\nheaders = [{condition}]")))
}

fn deny_if(condition: &str) -> Snapshot {
    table(&(anyone("no", "deny", &format!("{ALL}\nheaders = [{condition}]")) + &anyone("all", "allow", ALL)))
}

#[test]
fn operators_compare_byte_by_byte() {
    let table = [
        ("{ name = 'X-A', eq = 'v' }", Some("v"), true),
        ("{ name = 'x-a', eq = 'v' }", Some("V"), false),
        ("{ name = 'x-a', eq = 'v' }", Some("vv"), false),
        ("{ name = 'x-a', eq = 'v' }", None, false),
        ("{ name = 'x-a', eq = '' }", Some(""), true),
        ("{ name = 'x-a', in = ['u', 'v'] }", Some("v"), true),
        ("{ name = 'x-a', in = ['u', 'v'] }", Some("w"), false),
        ("{ name = 'x-a', prefix = 'v-' }", Some("v-1"), true),
        ("{ name = 'x-a', prefix = 'v-' }", Some("v"), false),
        ("{ name = 'x-a', present = true }", Some(""), true),
        ("{ name = 'x-a', present = true }", None, false),
        ("{ name = 'x-a', eq = 'u, v' }", Some("u, v"), true),
    ];
    for (condition, value, holds) in table {
        let fields: Vec<_> = value.iter().map(|value| ("x-a", *value)).collect();
        assert_eq!(post(&allow_if(condition), "/", &fields).is_ok(), holds, "{condition} {value:?}");
        assert_eq!(post(&deny_if(condition), "/", &fields).is_err(), holds, "{condition} {value:?}");
    }
}

#[test]
fn cve_2020_25017_a_value_among_others_grants_nothing_and_excuses_nothing() {
    for value in ["user,admin", "admin, user", "a,admin\t,b"] {
        let fields = [("x-role", value)];
        assert_eq!(why(&post(&deny_if("{ name = 'x-role', eq = 'admin' }"), "/", &fields)), (Reason::ExplicitDeny, "no".into()), "{value}");
        assert_eq!(why(&post(&allow_if("{ name = 'x-role', eq = 'admin' }"), "/", &fields)), (Reason::ImplicitDeny, "-".into()), "{value}");
    }
    let browser = [("user-agent", "Mozilla/5.0 (KHTML, like Gecko)")];
    assert!(post(&deny_if("{ name = 'user-agent', prefix = 'curl/' }"), "/", &browser).is_ok());
}

#[test]
fn every_condition_of_a_rule_must_hold() {
    let table = allow_if("{ name = 'x-a', eq = '1' }, { name = 'x-b', eq = '2' }");
    assert!(post(&table, "/", &[("x-a", "1"), ("x-b", "2")]).is_ok());
    assert!(post(&table, "/", &[("x-a", "1")]).is_err());
    assert!(post(&table, "/", &[("x-b", "2")]).is_err());
}

#[test]
fn a_header_that_nobody_read_grants_nothing_and_excuses_nothing() {
    // As when a new table asks about a header that was not kept of a request under way.
    let request = request("POST", "/", "a.foo");
    let asked = |table| decide(&table, &caller(WEB), &request, noon());
    assert!(asked(allow_if("{ name = 'x-a', eq = '1' }")).is_err());
    assert_eq!(why(&asked(deny_if("{ name = 'x-a', eq = '1' }"))), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn what_was_looked_at_is_told() {
    let table = table(
        &(anyone("no", "deny", &format!("{ALL}\nheaders = [{{ name = 'x-a', eq = '1' }}]"))
            + &anyone("r", "allow", &format!("{ALL}\nheaders = [{{ name = 'x-a', in = ['1'] }}, {{ name = 'x-b', prefix = 'p' }}]"))),
    );
    let looked = |fields: &[(&str, &str)]| {
        let facts = match post(&table, "/", fields) {
            Ok(permit) => permit.facts().clone(),
            Err(denial) => denial.facts,
        };
        let one = |looked: &crate::policy::Looked| (looked.condition.name.to_string(), looked.result.letter());
        facts.conditions().iter().map(one).collect::<Vec<_>>()
    };
    // `eq` and `in` with the same value are one condition; what a false one spares is not looked at.
    assert_eq!(looked(&[("x-a", "2"), ("x-b", "p")]), [("header:x-a".to_owned(), "f")]);
    assert_eq!(looked(&[("x-a", "1"), ("x-b", "p")]), [("header:x-a".to_owned(), "t")]);
    assert_eq!(looked(&[("x-a", "0,1"), ("x-b", "p")]), [("header:x-a".to_owned(), "u")]);
    assert!(post(&super::table(&anyone("r", "allow", ALL)), "/", &[]).unwrap().facts().looked.is_none());
}

#[test]
fn grpc_is_post_and_path_and_content_type() {
    let table = table(&anyone("r", "allow", "grpc = ['shop.Orders/Get', 'shop.Carts/*']"));
    let ask = |target, content_type| why(&post(&table, target, &[("content-type", content_type)])).0;
    assert_eq!(ask("/shop.Orders/Get", "application/grpc"), Reason::Rule);
    assert_eq!(ask("/shop.Orders/Get", "application/grpc+proto"), Reason::Rule);
    assert_eq!(ask("/shop.Carts/Any", "application/grpc"), Reason::Rule);
    for (target, content_type) in [
        ("/shop.Orders/Get", "application/json"),
        ("/shop.Orders/Get", "application/grpc-web"),
        ("/shop.Orders/List", "application/grpc"),
        ("/shop.Orders/Get/", "application/grpc"),
        ("/shop.Carts/", "application/grpc"),
        ("/shop.Carts/A/B", "application/grpc"),
    ] {
        assert_eq!(ask(target, content_type), Reason::ImplicitDeny, "{target} {content_type}");
    }
    assert!(post(&table, "/shop.Orders/Get", &[]).is_err());
    let get = CanonicalRequest { content_type: ContentType::Grpc, ..request("GET", "/shop.Orders/Get", "a.foo") };
    assert!(decide(&table, &caller(WEB), &get, noon()).is_err());
    let permit = post(&table, "/shop.Carts/Any", &[("content-type", "application/grpc")]).unwrap();
    assert_eq!(permit.facts().template(), Some("/shop.Carts/{method}"));
    assert_eq!(table.as_ref().unwrap().own().grpc_rules().count(), 1);
    // A content type that a rule looks at is said once.
    let twice = [("content-type", "application/json"), ("content-type", "application/grpc")];
    assert_eq!(read(&table, "/shop.Orders/Get", &twice).unwrap_err().code(), "header_repeated");
}

fn problems(rule: &str) -> String {
    let text = format!("schema = 1\nname = 't'\n[[rule]]\nid = 'r'\neffect = 'deny'\nfrom = {{ any_authenticated = true }}\n{rule}\n");
    let listeners = Listeners { reserved: crate::request::reserved::Reserved::new(vec!["x-team".parse().unwrap()]), ..here() };
    parse_at("t", &text, &listeners, noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

#[test]
fn conditions_that_could_never_hold_are_refused() {
    let table = [
        ("", "headers: is an empty list"),
        ("1", "headers: is not a list of tables"),
        ("{}", "headers[0].name: is missing"),
        ("{ name = 'x-a' }", "headers[0].name: stands without an operator; write one of eq"),
        ("{ name = 'x-a', eq = 'a', present = true }", "has more than one operator"),
        ("{ name = 'x-a', in = [] }", "in: is an empty list"),
        ("{ name = 'x-a', eqq = 'a', prefix = 'b' }", "headers[0].eqq: unknown key; did you mean `eq`?"),
        ("{ name = 'x-a', present = false }", "present: is false, and there is no `not`; write a deny rule"),
        ("{ name = 'x-a', prefix = '' }", "is what every value begins with; write present = true"),
        ("{ name = 'x-a', eq = ' a' }", "` a` begins or ends with a blank"),
        ("{ name = 'x-a', prefix = ' a' }", "` a` begins or ends with a blank"),
        ("{ name = 'x-a', in = ['a', 'é'] }", "`é` has a byte that is not printable ASCII"),
        ("{ name = 'x a', eq = 'a' }", "`x a` is no header name"),
        ("{ name = ':path', eq = 'a' }", "`:path` is a pseudo-header of HTTP/2; use methods, paths and hosts"),
        ("{ name = 'Host', eq = 'a' }", "`Host` is decided on by hosts"),
        ("{ name = 'cookie', eq = 'a' }", "`cookie` holds many values"),
        ("{ name = 'te', eq = 'trailers' }", "`te` concerns one connection"),
        ("{ name = 'Content-Length', eq = '0' }", "`Content-Length` concerns one connection"),
        ("{ name = 'x-forwarded-for', eq = 'a' }", "`x-forwarded-for` is stripped from requests"),
        ("{ name = 'X_Real_IP', eq = 'a' }", "`X_Real_IP` is stripped from requests"),
        ("{ name = 'x-team', eq = 'a' }", "`x-team` is stripped from requests"),
        ("{ name = 'x-a', eq = 'a' }, { name = 'X-A', eq = 'b' }", "headers[1].name: `x-a` has a condition in this rule already"),
    ];
    for (conditions, expected) in table {
        let found = problems(&format!("{ALL}\nheaders = [{conditions}]"));
        assert!(found.contains(expected), "{conditions}\n{found}");
    }
    assert_eq!(
        problems(&format!("{ALL}\nheaders = [{{ name = 'X-A', prefix = 'a ' }}, {{ name = 'authorization', present = true }}]")),
        ""
    );
}

#[test]
fn grpc_stands_for_method_and_path() {
    let table = [
        ("grpc = []", "grpc: is an empty list"),
        ("grpc = ['shop.Orders/Get']\nmethods = ['POST']", "methods: stands beside grpc"),
        ("grpc = ['shop.Orders/Get']\npaths = ['/a']", "paths: stands beside grpc"),
        ("grpc = ['/shop.Orders/Get']", "`/shop.Orders/Get` is no gRPC method; write \"package.Service/Method\""),
        ("grpc = ['shop.Orders']", "is no gRPC method"),
        ("grpc = ['shop.Orders/']", "is no gRPC method"),
        ("grpc = ['shop.*/Get']", "is no gRPC method"),
        ("grpc = ['shop..Orders/Get']", "is no gRPC method"),
        ("grpc = ['shop.Orders/Get/x']", "is no gRPC method"),
        ("", "rule[0].paths: is missing"),
    ];
    for (rule, expected) in table {
        let found = problems(rule);
        assert!(found.contains(expected) && found.lines().count() == 1, "{rule}\n{found}");
    }
    assert_eq!(problems("grpc = ['Orders/Get', 'a_b.C1/*']"), "");
}

#[test]
fn the_hash_is_about_conditions_too() {
    let hash = |more: &str| table(&anyone("r", "deny", more)).unwrap().own().facts.sha256.clone();
    let condition = |text: &str| hash(&format!("{ALL}\nheaders = [{text}]"));
    let first = condition("{ name = 'x-a', eq = 'v' }");
    assert_eq!(first, condition("{ in = ['v'], name = 'X-A' }"));
    for other in
        ["{ name = 'x-b', eq = 'v' }", "{ name = 'x-a', eq = 'w' }", "{ name = 'x-a', prefix = 'v' }", "{ name = 'x-a', present = true }"]
    {
        assert_ne!(first, condition(other), "{other}");
    }
    assert_ne!(first, hash(ALL));
    assert_ne!(hash("grpc = ['a.B/C']"), hash("methods = ['POST']\npaths = ['/a.B/C']"));
}

#[test]
fn cases_have_headers_and_a_content_type() {
    let rule = "[[rule]]\nid = 'r'\neffect = 'allow'\nfrom = { spiffe = ['spiffe://a/b'] }\ngrpc = ['a.B/C']\nheaders = [{ name = 'x-a', eq = '1' }]\n";
    let problems = |case: &str| {
        let text =
            format!("schema = 1\nname = 't'\n{rule}[[case]]\nname = 'c'\nfrom = 'spiffe://a/b'\nmethod = 'POST'\npath = '/a.B/C'\n{case}");
        parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
    };
    assert_eq!(problems("headers = { X-A = '1' }\nctype = 'grpc'\nexpect = 'allow'\nrule = 'r'"), "");
    assert_eq!(problems("headers = { x-a = '1', content-type = 'application/grpc+proto' }\nexpect = 'allow'"), "");
    assert_eq!(problems("headers = { x-a = '1' }\nexpect = 'deny'"), "");
    assert_eq!(problems("headers = { x_a = '1' }\nctype = 'grpc'\nexpect = 'deny'"), "");
    assert!(problems("headers = { x-a = '2' }\nctype = 'grpc'\nexpect = 'allow'").contains("gets deny by implicit_deny"));
    assert!(problems("ctype = 'protobuf'\nexpect = 'deny'").contains("`protobuf` is no class of content types"));
    assert!(problems("headers = { host = 'a' }\nexpect = 'deny'").contains("`host` is host; write host ="));
    assert!(problems("headers = { content-type = 'a/b' }\nctype = 'grpc'\nexpect = 'deny'").contains("stands beside a content-type"));
}
