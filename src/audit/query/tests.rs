use super::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2026-11-22T12:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_348_800)
}

fn filter(text: &str) -> Filter {
    Filter::parse(text, now()).unwrap_or_else(|error| panic!("{error}"))
}

fn passes(text: &str, record: &Json) -> bool {
    let (filter, mut values) = (filter(text), Vec::new());
    let line = record.to_string();
    filter.extract(&[]).read(line.as_bytes(), &mut values).unwrap();
    filter.matches(&values)
}

fn denial() -> Json {
    json!({
        "v": "countersign.decision/1", "seq": 7, "kind": "decision", "time": "2026-11-22T11:50:00.000000001Z", "decision": "deny",
        "reason": "implicit_deny", "src": { "id": "spiffe://prod.example/ns/web/sa/shop", "ip": "10.1.2.3", "port": 4711 },
        "http": { "method": "GET", "path": "/orders/17", "status": 403 }, "labels": { "zone": "eu \"1\"" }, "cut": true,
        "conds": [{ "name": "time", "cond": "x", "result": "f" }],
    })
}

#[test]
fn records_pass_by_what_they_say() {
    let table = [
        ("", true),
        ("decision=deny", true),
        ("decision!=deny", false),
        ("decision=deny and src.id~\"spiffe://*/ns/web/**\"", true),
        ("src.id~spiffe://*/ns/web", false),
        ("src.id~spiffe://prod.example/ns/*/sa/*", true),
        ("src.id~spiffe://prod.example/*", false),
        ("src.ip~10.0.0.0/8", true),
        ("src.ip~11.0.0.0/8 or src.ip~10.1.2.*", true),
        ("http.path~/orders/*", true),
        ("http.path~/*", false),
        ("http.path~/**", true),
        ("http.path~**/1*", true),
        ("http.status>=400 and http.status<500", true),
        ("http.status=404", false),
        ("http.status in (401, 403)", true),
        ("http.status not in (401, 403)", false),
        ("has rule or has tls.sni", false),
        ("not has rule", true),
        ("has conds", true),
        ("rule!=web", true),
        ("rule=web", false),
        ("cut=true", true),
        ("labels.zone=\"eu \\\"1\\\"\"", true),
        ("labels.zone~eu*", true),
        ("time>15m", true),
        ("time>5m", false),
        ("time>=2026-11-22T12:50:00.000000001+01:00", true),
        ("time>2026-11-22T11:50:00.000000001Z", false),
        ("not (decision=allow or rule=web) and src.port=4711", true),
        ("decision=allow or rule=web and src.port=4711", false),
    ];
    for (text, expected) in table {
        assert_eq!(passes(text, &denial()), expected, "{text}");
    }
    assert!(passes("dst.id~*.shop.example", &json!({ "dst": { "id": "api.shop.example" } })));
    assert!(!passes("dst.id~*.shop.example", &json!({ "dst": "api.shop.example" })));
}

/// Every mistake: where it is, and what is said.
#[test]
fn every_mistake_is_told_apart() {
    let table = [
        ("rule=\"a", 6, "this quote has no end"),
        ("rule='a'", 6, "values are quoted with \""),
        ("!has rule", 1, "there is != and there is not"),
        ("decison=deny", 1, "there is no field decison; did you mean decision?"),
        ("path=/x", 1, "there is no field path; did you mean http.path?"),
        ("has frobnication", 5, "there is no field frobnication"),
        ("labels.=x", 1, "there is no field labels."),
        ("decision=deny and", 18, "a field, not, has or ( is expected here, and not the end"),
        ("=deny", 1, "a field, not, has or ( is expected here, and not ="),
        ("decision is deny", 10, "after decision one of =, !=, ~, in, not in is expected, and not is"),
        ("decision", 9, "and not the end"),
        ("rule not = x", 10, "after rule one of =, !=, ~, in, not in is expected, and not ="),
        ("rule>7", 5, "rule is a text, and > has no meaning for it; there is =, !=, ~, in, not in"),
        ("time~x", 5, "time is a time, and ~ has no meaning"),
        ("conds=x", 6, "conds is more than one value, and = has no meaning for it; there is has alone"),
        ("rule=", 6, "a value is expected here, and not the end"),
        ("rule=and", 6, "write it in quotes: \"and\""),
        ("http.status=4xx", 13, "http.status is a number, and 4xx is none"),
        ("http.status=+4", 13, "is a number"),
        ("time>yesterday", 6, "time is a time, and yesterday is none; write one as in 2026-07-01T12:00:00Z"),
        ("time>99999999999999999w", 6, "is a time"),
        ("decision=denied", 10, "decision is never denied; it is one of allow, deny"),
        ("decision=alow", 10, "decision is never alow; did you mean allow?; it is one of allow, deny"),
        ("src.id~spiffe://a/**/b", 8, "this pattern has ** before its end"),
        ("src.id~spiffe://a/w*", 8, "a * is a whole segment"),
        ("src.id~*web*", 8, "is about an identity"),
        ("src.ip~10.0.0.0/99", 8, "is no network"),
        ("rule in a", 9, "after in a list is expected, as in (a, b), and not a"),
        ("rule in (a b)", 12, ", or ) is expected here, and not b"),
        ("rule in ()", 10, "a value is expected here, and not )"),
        ("rule=a rule=b", 8, "and, or or the end are expected here, and not rule"),
        ("rule=a && rule=b", 8, "and not &&; write and"),
        ("(rule=a", 1, "this ( has no )"),
        ("(rule=a rule=b)", 9, "and, or, ) are expected here, and not rule"),
        ("rule=a)", 7, "and not )"),
    ];
    for (text, column, what) in table {
        let error = Filter::parse(text, now()).expect_err(text).to_string();
        assert!(error.contains(&format!("column {column}: ")) && error.contains(what), "{text}\n{error}");
    }
    let deep = Filter::parse(&("not ".repeat(10_000) + "has rule"), now()).unwrap_err();
    assert_eq!(deep.mistake, Mistake::Deep(64));
    assert_eq!(
        Filter::parse("decision=deny\n and ruel=ü", now()).unwrap_err().to_string(),
        "the filter, column 6: there is no field ruel; did you mean rule?\n   and ruel=ü\n       ^"
    );
    assert!(!Filter::parse("\u{1b}[2J", now()).unwrap_err().to_string().contains('\u{1b}'));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/.\"\\\\ ü=()\\*]{0,6}",
        prop::sample::select(vec!["a", "rule", "true", "spiffe://d/web", "/orders/17", "a\"b", "ü", "\u{1}"]).prop_map(str::to_owned)
    ]
}

/// What somebody may write about the records of [`record`].
fn condition() -> impl Strategy<Value = String> {
    let quoted = |text: String| lex::quoted(&text);
    let field = || prop::sample::select(vec!["rule", "src.id", "http.path", "labels.a", "reason"]);
    prop_oneof![
        (field(), text()).prop_map(move |(field, text)| format!("{field}={}", quoted(text))),
        (field(), text()).prop_map(move |(field, text)| format!("{field}!={}", quoted(text))),
        (field(), text(), text()).prop_map(move |(field, one, two)| format!("{field} in ({}, {})", quoted(one), quoted(two))),
        (prop::sample::select(vec!["rule", "http.path"]), text()).prop_map(move |(field, text)| format!("{field}~{}", quoted(text))),
        prop::sample::select(vec![
            "src.id~spiffe://*/web",
            "src.id~spiffe://d/**",
            "cut=true",
            "has src.id",
            "has rule",
            "has http.status"
        ])
        .prop_map(str::to_owned),
        (prop::sample::select(vec!["=", "!=", "<", ">="]), 0_u64..4).prop_map(|(sign, number)| format!("http.status{sign}{number}")),
        (prop::sample::select(vec!["<", ">=", "="]), 0_u64..3).prop_map(|(sign, age)| format!("time{sign}{age}m")),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    condition().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" or "))),
            inner.prop_map(|expr| format!("not {expr}")),
        ]
    })
}

/// A line that may be a record, written in one of the ways in which JSON can be.
fn record() -> impl Strategy<Value = String> {
    let optional = || prop::option::of(text());
    let status = prop::option::of(prop_oneof![(0_u64..4).prop_map(|number| json!(number)), Just(json!(2.0)), Just(json!("2"))]);
    let values = (optional(), optional(), optional(), optional(), status, 0_u64..3, any::<bool>());
    (values, 0..4).prop_map(|((rule, id, path, label, status, age, cut), style)| {
        let time = time::OffsetDateTime::from(now() - Duration::from_secs(60 * age));
        let mut record = json!({ "time": time.format(&time::format_description::well_known::Rfc3339).unwrap() });
        for (group, name, value) in [
            (None, "rule", rule.map(Json::from)),
            (Some("src"), "id", id.map(Json::from)),
            (Some("http"), "path", path.map(Json::from)),
            (Some("http"), "status", status),
            (Some("labels"), "a", label.map(Json::from)),
            (None, "cut", cut.then_some(Json::from(true))),
        ] {
            let Some(value) = value else { continue };
            match group {
                Some(group) => record[group][name] = value,
                None => record[name] = value,
            }
        }
        match style {
            0 => record.to_string(),
            1 => record.to_string().replace(':', ": "),
            2 => record.to_string().replace("ru", "\\u0072u").replace('/', "\\/"),
            _ => record.to_string().replace('{', "{ ").chars().take(60).collect(),
        }
    })
}

/// What JSON may write in two ways is found in both.
#[test]
fn escapes_hide_nothing() {
    let table = [
        ("decision=deny", r#"{"decision":"d\u0065ny"}"#),
        ("has rule and http.status=403", r#"{"r\u0075le":"x","http":{"status":403}}"#),
        ("http.path~/a/**", r#"{"http":{"path":"\/a\/b"}}"#),
        ("http.status>400", r#"{"http":{"st\u0061tus":403}}"#),
        ("labels.a=\"x\\\"y\"", r#"{"labels":{"a":"x\"y"}}"#),
    ];
    for (text, line) in table {
        let block = format!("{{\"decision\":\"allow\"}}\n{line}\n{{}}\n");
        let mut found = Vec::new();
        let _ = Scan::new(filter(text), &[]).lines(block.as_bytes(), |hit| {
            found.push(hit.line.to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!(found, [line.as_bytes()], "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_filter(text in expression()) {
        let one = filter(&text);
        let other = Filter::parse(&one.to_string(), UNIX_EPOCH).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&one, &other, "{}", one);
    }

    #[test]
    fn no_match_is_passed_over(text in expression(), lines in prop::collection::vec(record(), 0..20)) {
        let (filter, mut values) = (filter(&text), Vec::new());
        let extract = filter.extract(&[]);
        let wanted: Vec<&String> = lines.iter().filter(|line| extract.read(line.as_bytes(), &mut values).is_some() && filter.matches(&values)).collect();
        let (mut found, mut scan) = (Vec::new(), Scan::new(filter.clone(), &[]));
        let block: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let _ = scan.lines(block.as_bytes(), |hit| {
            found.push(String::from_utf8(hit.line.to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn globs_are_what_they_say(pattern in "[ab/*]{0,6}", value in "[ab/]{0,6}") {
        fn slow(pattern: &[u8], value: &[u8]) -> bool {
            match pattern {
                [] => value.is_empty(),
                [b'*', b'*', rest @ ..] => (0..=value.len()).any(|length| slow(rest, &value[length..])),
                [b'*', rest @ ..] => (0..=value.len()).take_while(|length| !value[..*length].contains(&b'/')).any(|length| slow(rest, &value[length..])),
                [letter, rest @ ..] => value.first() == Some(letter) && slow(rest, &value[1..]),
            }
        }
        let glob = pattern::Pattern::parse(field::Kind::Text, &pattern).unwrap();
        prop_assert_eq!(glob.matches(&value), slow(pattern.as_bytes(), value.as_bytes()), "{}", pattern);
    }
}
