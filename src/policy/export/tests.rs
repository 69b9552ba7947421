use super::expression::{Attribute, Expression};
use super::*;
use crate::policy::import::{Chosen, Origin, import};
use crate::policy::parse::{case, parse_at};
use crate::policy::{Listeners, Verdict};
use fastrand::Rng;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

const PORTS: [u16; 2] = [8_443, 8_444];
const FROM: [&str; 7] = [
    "{ any_authenticated = true }",
    "{ spiffe = ['spiffe://d/ns/a/sa/x'] }",
    "{ spiffe = ['spiffe://d/ns/a/**'] }",
    "{ spiffe = ['spiffe://d/ns/a/sa/y', 'spiffe://e/**'] }",
    "{ spiffe = ['spiffe://d/ns/*/sa/x'] }",
    "{ spiffe = ['spiffe://d/ns/a/sa/*'] }",
    "{ dns_san = ['p.d'] }",
];
const PATHS: [&str; 12] =
    ["/a", "/a/", "/a/**", "/a/{x}", "/{x}/b", "/{x}/b/{y}", "/{x}/**", "/**", "/a{x}", "/{x}.js/c", "/a%2Ab", "/{x}/"];
const METHODS: [&str; 4] = ["", "methods = ['GET']", "methods = ['GET', 'OPTIONS']", "methods = ['PUT']"];
const MORE: [&str; 8] = [
    "",
    "hosts = ['a.foo']",
    "hosts = ['*.foo']",
    "ports = [8443]",
    "headers = [{ name = 'x-v', in = ['v1', 'w'] }]",
    "headers = [{ name = 'x-v', prefix = 'v' }]",
    "headers = [{ name = 'x-v', present = true }]",
    "when.source_ip = { in = ['10.0.0.0/8', '192.0.2.1/32'] }",
];

const CALLERS: [&str; 6] =
    ["spiffe://d/ns/a/sa/x", "spiffe://d/ns/a/sa/y", "spiffe://d/ns/b/sa/x", "spiffe://e/f", "spiffe://d/ns/a/sa/x/y", "p.d"];
const TARGETS: [&str; 15] =
    ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/b/b", "/b/", "/x.js/c", "/.js/c", "/a*b", "/a%20", "/c/b/d", "/c/d/b/e"];
const HOSTS: [&str; 4] = ["a.foo", "a.foo:81", "b.a.foo", "[::1]"];
const SOURCES: [&str; 3] = ["10.1.2.3", "192.0.2.1", "192.0.2.2"];
const HEADERS: [Option<&str>; 5] = [None, Some("v1"), Some("v1,w"), Some("w"), Some("x")];

fn table(text: &str) -> Arc<Table> {
    let listeners = Listeners { ports: PORTS.to_vec(), ..Listeners::default() };
    parse_at("t", text, &listeners, SystemTime::now()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn random(rng: &mut Rng) -> String {
    let mut text = "schema = 1\nname = 't'\n".to_owned();
    for index in 0..rng.usize(1..=4) {
        let effect = ["allow", "allow", "deny", "audit"][rng.usize(0..4)];
        let choose = |rng: &mut Rng, all: &[&'static str], few: usize| {
            let end = if rng.u8(0..4) > 0 { few } else { all.len() };
            all[rng.usize(0..end)]
        };
        let from = choose(rng, &FROM, 4);
        let paths: Vec<String> = (0..rng.usize(1..=2)).map(|_| format!("'{}'", choose(rng, &PATHS, 4))).collect();
        let methods = METHODS[rng.usize(0..METHODS.len())];
        let asterisk = if methods.is_empty() || methods.contains("OPTIONS") { ", '*'" } else { "" };
        let asterisk = if rng.u8(0..4) == 0 { asterisk } else { "" };
        let paths = format!("paths = [{}{asterisk}]", paths.join(", "));
        let more = MORE[if rng.bool() { 0 } else { rng.usize(0..MORE.len()) }];
        text.push_str(&format!("[[rule]]\nid = 'r{index}'\neffect = '{effect}'\nwhy = 'w'\nfrom = {from}\n{paths}\n{methods}\n{more}\n"));
    }
    text
}

#[derive(Debug)]
struct Request {
    caller: &'static str,
    method: &'static str,
    path: &'static str,
    host: &'static str,
    port: u16,
    source: &'static str,
    header: Option<&'static str>,
}

impl Request {
    fn random(rng: &mut Rng) -> Self {
        let method = *rng.choice(&["GET", "PUT", "OPTIONS"]).unwrap();
        Self {
            caller: rng.choice(CALLERS).unwrap(),
            method,
            path: if method == "OPTIONS" && rng.bool() { "*" } else { rng.choice(TARGETS).unwrap() },
            host: rng.choice(HOSTS).unwrap(),
            port: rng.choice(PORTS).unwrap(),
            source: rng.choice(SOURCES).unwrap(),
            header: rng.choice(HEADERS).unwrap(),
        }
    }

    fn decided(&self, table: &Arc<Table>) -> Verdict {
        let Self { caller, method, path, host, port, source, header } = self;
        let header = header.map(|value| format!("x-v = '{value}'")).unwrap_or_default();
        let toml = format!(
            "name = 'x'\nfrom = '{caller}'\nmethod = '{method}'\npath = '{path}'\nhost = '{host}'\nport = {port}\nsource_ip = '{source}'\nheaders = {{ {header} }}\nexpect = 'allow'"
        );
        let listeners = Listeners { ports: PORTS.to_vec(), ..Listeners::default() };
        let case = case("case", &toml, table.issuers(), &listeners, SystemTime::now()).unwrap_or_else(|wrong| panic!("{wrong}"));
        case.decide(&Some(Arc::new(Arc::clone(table).into())), SystemTime::now()).0
    }

    fn text(&self, attribute: &Attribute) -> &str {
        match attribute {
            Attribute::Caller => self.caller,
            Attribute::Method => self.method,
            Attribute::Path => self.path,
            Attribute::Host => self.host.strip_suffix(":81").unwrap_or(self.host),
            Attribute::Header(_) => self.header.unwrap(),
        }
    }

    /// As Cedar describes its operators: `&&` looks no further after what is false.
    fn holds(&self, expression: &Expression) -> bool {
        match expression {
            Expression::Is(attribute, text) => self.text(attribute) == text,
            Expression::IsPort(port) => self.port == *port,
            Expression::Like(attribute, texts) => is_like(self.text(attribute), texts),
            Expression::Has(_) => self.header.is_some(),
            Expression::InRange(network) => network.parse::<IpNet>().unwrap().contains(&self.source.parse::<IpAddr>().unwrap()),
            Expression::Not(inner) => !self.holds(inner),
            Expression::All(all) => all.iter().all(|one| self.holds(one)),
            Expression::Any(any) => any.iter().any(|one| self.holds(one)),
        }
    }

    fn decided_by_cedar(&self, table: &Table) -> Verdict {
        let meets = |effect| {
            let rules = table.rules.iter().filter(move |rule| rule.effect == effect);
            rules.map(|rule| cedar::condition(rule).unwrap()).any(|all| all.iter().all(|one| self.holds(one)))
        };
        if meets(Effect::Allow) && !meets(Effect::Deny) { Verdict::Allow } else { Verdict::Deny }
    }
}

fn is_like(text: &str, texts: &[String]) -> bool {
    match texts {
        [] => text.is_empty(),
        [only] => text == only,
        [first, rest @ ..] => text
            .strip_prefix(first.as_str())
            .is_some_and(|text| (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| is_like(&text[at..], rest))),
    }
}

/// What was exported decides as the table: imported again, and as an expression. `POLICY_SEED` repeats a run.
#[test]
fn exports_decide_as_their_table() {
    let seed = std::env::var("POLICY_SEED").ok().map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    println!("POLICY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut exported = [0; 2];
    for _ in 0..300 {
        let text = random(&mut rng);
        let table = table(&text);
        let yaml = istio(&table, &Named { name: "n".to_owned(), ..Named::default() });
        let again = yaml.as_ref().ok().map(|yaml| {
            let chosen = Chosen { trust_domains: vec!["d".to_owned()], ..Chosen::default() };
            let imported = import("y", yaml, &Origin::Istio(chosen), "t").unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
            assert_eq!(imported.gaps, [], "{yaml}");
            self::table(&imported.toml)
        });
        let as_cedar = cedar(&table).is_ok();
        exported[0] += usize::from(again.is_some());
        exported[1] += usize::from(as_cedar);
        for _ in 0..40 {
            let request = Request::random(&mut rng);
            let wanted = request.decided(&table);
            if let Some(again) = &again {
                assert_eq!(request.decided(again), wanted, "POLICY_SEED={seed}\n{request:?}\n{text}\n{}", yaml.as_ref().unwrap());
            }
            if as_cedar {
                assert_eq!(request.decided_by_cedar(&table), wanted, "POLICY_SEED={seed}\n{request:?}\n{text}\n{}", cedar(&table).unwrap());
            }
        }
    }
    assert!(exported.iter().all(|count| *count > 60), "hardly any is exported: {exported:?}");
}

fn one(more: &str) -> Arc<Table> {
    table(&format!("schema = 1\nname = 't'\n{more}"))
}

const RULE: &str = "[[rule]]\nid = 'r'\nwhy = 'w'\n";

#[test]
fn what_others_cannot_say_is_named() {
    let any = "from = { any_authenticated = true }\npaths = ['/a']\n";
    let both = [
        (format!("{RULE}effect = 'allow'\nmode = 'shadow'\nshadow_until = '2000-01-01T00:00:00Z'\n{any}"), "mode"),
        (format!("{RULE}effect = 'allow'\nenforce_percent = 5\n{any}"), "enforce_percent"),
        (format!("{RULE}effect = 'allow'\nexpires = '2100-01-01T00:00:00Z'\n{any}"), "expires"),
        (
            format!("{RULE}effect = 'deny'\nexcept_rules = ['s']\n{any}{}effect = 'allow'\n{any}", RULE.replace("'r'", "'s'")),
            "except_rules",
        ),
        (format!("{RULE}effect = 'allow'\nfrom = {{ any_authenticated = true }}\ngrpc = ['a.B/C']\n"), "grpc"),
        (format!("{RULE}effect = 'allow'\nfrom = {{ any_authenticated = true }}\ntcp = true\n"), "tcp"),
        (format!("{RULE}effect = 'allow'\n{any}when.tls = {{ min = '1.3' }}\n"), "when.tls"),
        (format!("{RULE}effect = 'allow'\n{any}when.cert_age = {{ max = '1h' }}\n"), "when.cert_age"),
        (format!("{RULE}effect = 'allow'\n{any}when.time = {{ tz = 'UTC', days = 'mon' }}\n"), "when.time"),
        (format!("{RULE}effect = 'deny'\n{any}headers = [{{ name = 'x-v', in = ['a'] }}]\n"), "headers"),
        (format!("{RULE}effect = 'allow'\nfrom = {{ any_authenticated = true }}\npaths = ['/{{x}}/{{y}}.d/**']\n"), "paths"),
        ("[[egress]]\nid = 'e'\nhosts = ['a.foo']\nports = [443]\ntls = 'required'\n".to_owned(), "egress"),
    ];
    for (text, field) in both {
        let table = one(&text);
        for gaps in [istio(&table, &Named::default()).unwrap_err(), cedar(&table).unwrap_err()] {
            assert!(gaps.iter().any(|gap| gap.field == field), "{text}\n{gaps:?}");
        }
    }
    let of_istio = [
        ("from = { spiffe = ['spiffe://d/ns/*/sa/x'] }\npaths = ['/a']", "from"),
        ("from = { dns_san = ['p.d'] }\npaths = ['/a']", "from"),
        ("from = { any_authenticated = true }\npaths = ['/a{x}']", "paths"),
        ("from = { any_authenticated = true }\npaths = ['/a%20b']", "paths"),
        ("from = { any_authenticated = true }\npaths = ['/a%2A']", "paths"),
        ("from = { any_authenticated = true }\nmethods = ['OPTIONS']\npaths = ['*']", "paths"),
        ("from = { any_authenticated = true }\npaths = ['/a']\nhosts = ['*.foo']", "hosts"),
        ("from = { any_authenticated = true }\npaths = ['/a']\nheaders = [{ name = 'x', eq = '*a' }]", "headers"),
        ("from = { any_authenticated = true }\npaths = ['/a']\nmethods = ['A*']", "methods"),
    ];
    for (fields, field) in of_istio {
        let gaps = istio(&one(&format!("{RULE}effect = 'allow'\n{fields}\n")), &Named::default()).unwrap_err();
        assert_eq!(gaps.iter().map(|gap| gap.field).collect::<Vec<_>>(), [field], "{fields}");
    }
}

/// What `/a*` becomes when it is imported becomes `/a*` again.
#[test]
fn what_begins_alike_is_one_prefix() {
    let from = "from = { any_authenticated = true }\n";
    let exported = |paths: &str| istio(&one(&format!("{RULE}effect = 'allow'\n{from}paths = {paths}\n")), &Named::default());
    let yaml = exported("['/a', '/a/**', '/a{x}', '/a{x}/**', '/b/c']").unwrap();
    assert!(yaml.contains("\"/a*\",\n") && yaml.contains("\"/b/c\"\n") && yaml.matches("/a").count() == 1, "{yaml}");
    assert!(exported("['/a', '/a/**', '/a{x}']").is_err());
}

/// What an author wrote does not end its literal.
#[test]
fn texts_stay_in_their_quotes() {
    let from = "from = { any_authenticated = true }\npaths = ['/a']\n";
    let table = one(&format!(
        "{RULE}effect = 'allow'\n{from}headers = [{{ name = 'x-v', in = ['\"*\\'] }}, {{ name = 'x-w', prefix = 'a*\"' }}]\n"
    ));
    let text = cedar(&table).unwrap();
    assert!(text.contains(r#"context.headers["x-v"] == "\"*\\""#), "{text}");
    assert!(text.contains(r#"context.headers["x-w"] like "a\*\"*""#), "{text}");
}

/// Without a rule that allows, nothing is allowed; and so it must be there.
#[test]
fn a_table_that_allows_nothing_is_exported_as_such() {
    let yaml = istio(
        &one(""),
        &Named { name: "n".to_owned(), namespace: Some("shop".to_owned()), labels: vec![("app".to_owned(), "a".to_owned())] },
    );
    let wanted = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {\"name\":\"n-nothing-else\",\"namespace\":\"shop\"}\nspec:\n  {\n    \"action\": \"ALLOW\",\n    \"selector\": {\n      \"matchLabels\": {\n        \"app\": \"a\"\n      }\n    }\n  }\n";
    assert_eq!(yaml.as_deref(), Ok(wanted));
}
