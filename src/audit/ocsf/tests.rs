use super::*;
use crate::audit::entry::{Aggregate, Cause, Entry, Event, Gap, Key, RuleKey, Span, What};
use crate::audit::render::Renderer;
use crate::audit::tests::{caller, decision, refused};
use crate::audit::{BootFacts, Claimed, Decision, DecisionId, Direction, Phase, PolicyEvent, RefusedHandshake, Target, TrustEvent};
use crate::identity::{PeerIdentity, Principal};
use crate::policy::{Part, Reason, RuleFacts, TableFacts, Trial, Verdict, Would};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ocsf/schema.json"));
    jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
});

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)
}

fn labels() -> std::collections::BTreeMap<String, String> {
    [("task".to_owned(), "a\"1".to_owned()), ("z\none".to_owned(), "eu".to_owned())].into()
}

/// The record of an entry.
fn native(what: What) -> String {
    let mut line = Vec::new();
    Renderer::new("00000000000000000000000000000001", &labels()).entry(&mut line, 7, 2, &Entry { shard_seq: 5, what });
    whole(line)
}

/// With the end that the chain brings.
fn whole(mut line: Vec<u8>) -> String {
    line.extend_from_slice(b"}\n");
    String::from_utf8(line).unwrap()
}

/// The event of a record, as the writer makes it and as the export does; both are held against the schema.
fn events(native: &str) -> (Value, String) {
    let (mut written, mut exported) = (Vec::new(), Vec::new());
    unsealed(native, &mut written).unwrap();
    written.extend_from_slice(END);
    written.push(b'\n');
    super::exported(native, &mut exported).unwrap();
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&exported));
    let text = String::from_utf8(written).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_valid(&value);
    assert_nothing_is_lost(native, &value);
    (value, text)
}

fn event(native: &str) -> Value {
    events(native).0
}

fn assert_valid(event: &Value) {
    let faults: Vec<String> = SCHEMA.iter_errors(event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{event:#}");
}

fn leaves<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| leaves(value, found)),
        Value::Array(elements) => elements.iter().for_each(|value| leaves(value, found)),
        leaf => found.push(leaf),
    }
}

/// Every value of the record is somewhere in the event, but for those of which OCSF has a code.
fn assert_nothing_is_lost(native: &str, event: &Value) {
    const CODED: [&str; 8] = ["dir", "decision", "first", "last", "not_after", "severity", "of", "cut"];
    let record: Value = serde_json::from_str(native).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    leaves(event, &mut theirs);
    for (name, value) in record.as_object().unwrap() {
        match value {
            Value::Object(members) => {
                members.iter().filter(|(name, _)| !CODED.contains(&name.as_str())).for_each(|(_, value)| leaves(value, &mut ours));
            }
            _ if CODED.contains(&name.as_str()) => {}
            value => leaves(value, &mut ours),
        }
    }
    for value in ours {
        // An address of version 6 has no brackets there.
        let bare = value.as_str().map(|text| json!(text.trim_matches(['[', ']'])));
        let value = bare.as_ref().filter(|_| !theirs.contains(&value)).unwrap_or(value);
        assert!(theirs.contains(&value), "{value} is lost: {native} {event:#}");
    }
}

fn full() -> Decision {
    let mut full = decision(DecisionId(1), Verdict::Allow, "/orders/4%C3%A4?q=1");
    full.at = at();
    full.outcome.upstream_us = Some(3_999);
    full.outcome.total_us = 5_001;
    full
}

fn span() -> Span {
    Span { count: 3, first: at(), last: at() + Duration::from_secs(2) }
}

#[test]
fn a_plain_allow_is_this_event() {
    let (event, text) = events(&native(What::Decision(full())));
    let expected = r#"{
        "class_uid": 4002, "class_name": "HTTP Activity", "category_uid": 4, "category_name": "Network Activity",
        "activity_id": 3, "activity_name": "Get", "type_uid": 400203, "time": 1700000000123, "duration": 5,
        "severity_id": 1, "severity": "Informational", "status_id": 1, "status": "Success", "status_code": "rule",
        "action_id": 1, "action": "Allowed", "disposition_id": 1, "disposition": "Allowed",
        "metadata": {"version": "1.8.0", "product": {"name": "Countersign", "vendor_name": "Countersign"},
            "profiles": ["host", "security_control"], "event_code": "decision", "uid": "00000000000000000000000000000001-7", "sequence": 7,
            "correlation_uid": "00000000000000000000000001", "original_time": "2023-11-14T22:13:20.123456789Z",
            "tags": [{"name": "task", "value": "a\"1"}, {"name": "z\none", "value": "eu"}]},
        "actor": {"app_uid": "spiffe://prod.example/ns/web/sa/frontend"},
        "http_request": {"http_method": "GET", "url": {"path": "/orders/4%C3%A4"}, "version": "2"},
        "http_response": {"code": 200, "latency": 3}, "traffic": {"bytes_in": 2, "bytes_out": 1},
        "src_endpoint": {"uid": "spiffe://prod.example/ns/web/sa/frontend", "ip": "10.0.0.1", "port": 40000},
        "dst_endpoint": {"uid": "spiffe://prod.example/o", "hostname": "orders", "port": 8080},
        "connection_info": {"direction_id": 1, "direction": "Inbound", "protocol_name": "tcp", "protocol_num": 6},
        "tls": {"version": "1.3", "cipher": "TLS13_AES_128_GCM_SHA256", "sni": "orders",
            "tls_extension_list": [{"type_id": 16, "type": "application_layer_protocol_negotiation", "data": "h2"}],
            "certificate": {"serial_number": "0badcafe", "issuer": "CN=dev, O=\"Shop\"", "expiration_time": 3600000,
                "fingerprints": [{"algorithm_id": 3, "algorithm": "SHA-256", "value": "AB"}]}},
        "policy": {"name": "shop", "version": "7", "uid": "CD"}, "firewall_rule": {"uid": "orders-read", "condition": "/orders/{id}"},
        "unmapped": {"v": "countersign.decision/1", "seq": 7, "shard": 2, "shard_seq": 5, "boot": "00000000000000000000000000000001",
            "kind": "decision", "tls": {"group": "X25519MLKEM768"}, "http": {"ctype": "json"}, "framing": "te_cl",
            "decide_ns": 61, "upstream_us": 3999, "total_us": 5001}
    }"#;
    let expected: Value = serde_json::from_str(&expected.replace("AB", &"ab".repeat(32)).replace("CD", &"cd".repeat(32))).unwrap();
    assert_eq!(event, expected, "{event:#}");
    assert!(text.ends_with("\"total_us\":5001}}\n"), "unmapped is not last: {text}");
}

#[test]
fn what_was_done_has_its_code() {
    let coded = |change: &dyn Fn(&mut Decision)| {
        let mut decision = full();
        change(&mut decision);
        let event = event(&native(What::Decision(decision)));
        let code = |name: &str| event[name].as_u64().unwrap();
        (code("action_id"), code("disposition_id"), code("status_id"), code("severity_id"))
    };
    let would = |by| Some(Box::new(Would { verdict: Verdict::Deny, rule: None, by }));
    let candidate = || Trial::Candidate(Arc::new(TableFacts { name: String::new(), version: String::new(), sha256: "ef".to_owned() }));
    assert_eq!(coded(&|_| ()), (1, 1, 1, 1));
    assert_eq!(coded(&|decision| decision.verdict = Verdict::Deny), (2, 2, 2, 2));
    assert_eq!(coded(&|decision| decision.facts.would = would(Trial::Shadow)), (3, 17, 1, 2));
    assert_eq!(coded(&|decision| decision.facts.reason = Reason::Shadow), (3, 17, 1, 2));
    // It passed by the table in force, whatever the candidate says.
    assert_eq!(coded(&|decision| decision.facts.would = would(candidate())), (1, 1, 1, 1));
    assert_eq!(coded(&|decision| decision.outcome.close_reason = Some("client_closed")), (1, 1, 2, 1));
}

#[test]
fn methods_are_activities() {
    for (method, activity, name) in [("GET", 3, "Get"), ("PATCH", 9, "Patch"), ("CONNECT", 1, "Connect"), ("PROPFIND", 99, "PROPFIND")] {
        let mut decision = full();
        decision.request.as_mut().unwrap().method = method.parse().unwrap();
        let event = event(&native(What::Decision(decision)));
        assert_eq!((&event["activity_id"], &event["activity_name"]), (&json!(activity), &json!(name)));
        let kept = if activity == 99 { &event["unmapped"]["http"]["method"] } else { &event["http_request"]["http_method"] };
        assert_eq!(kept, method);
    }
    let mut decision = full();
    (decision.request, decision.outcome.status) = (None, 0);
    assert_eq!(event(&native(What::Decision(decision)))["activity_id"], 0);
}

#[test]
fn requests_of_every_kind_are_events() {
    let mut outbound = full();
    outbound.direction = Direction::Outbound;
    outbound.caller = Arc::new(crate::policy::Caller::new(None, ([127, 0, 0, 1], 50_000).into(), 4_140, None));
    outbound.target = Some(Arc::new(Target { id: None, host: "[2001:db8::1]".to_owned(), port: 0 }));
    outbound.outcome.group = Some(crate::identity::Group::X25519);
    outbound.outcome.phase = Some(Phase::End);
    let event = event(&native(What::Decision(outbound)));
    assert_eq!(event["dst_endpoint"], json!({"ip": "2001:db8::1"}));
    assert_eq!((event.get("actor"), event.get("tls")), (None, None));
    assert_eq!((&event["unmapped"]["tls"]["group"], &event["unmapped"]["phase"]), (&json!("X25519"), &json!("end")));
    assert_eq!(event["connection_info"]["direction_id"], 2);

    let mut nothing = full();
    (nothing.request, nothing.target, nothing.facts.table, nothing.facts.rule) = (None, None, None, None);
    nothing.verdict = Verdict::Deny;
    let event = super::tests::event(&native(What::Decision(nothing)));
    assert_eq!((event.get("dst_endpoint"), &event["unmapped"]["dst"]["port"]), (None, &json!(8_443)));
    assert_eq!((event.get("policy"), event.get("firewall_rule")), (None, None));
}

#[test]
fn the_end_user_and_the_trace_have_their_places() {
    let line = native(What::Decision(full())).replace(
        ",\"labels\"",
        r#","user":{"iss":"https://idp","sub":"b\u0001ob"},"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","labels""#,
    );
    let event = event(&line);
    assert_eq!(event["actor"]["user"], json!({"uid": "b\u{1}ob", "type_id": 1, "type": "User"}));
    assert_eq!(event["actor"]["idp"], json!({"uid": "https://idp", "issuer": "https://idp"}));
    assert_eq!(event["trace"], json!({"uid": "0af7651916cd43dd8448eb211c80319c"}));
    assert_eq!(event["metadata"]["profiles"], json!(["host", "security_control", "trace"]));
    assert_eq!(event["unmapped"]["span_id"], "b7ad6b7169203331");
}

#[test]
fn handshakes_are_refused_network_activity() {
    let empty = Claimed::default();
    let bare = RefusedHandshake { claimed: None, server_name: None, ..refused(DecisionId(3), "spiffe://a/b") };
    let partial = RefusedHandshake { claimed: Some(Claimed { serial: Some("1".to_owned()), ..empty }), ..bare.clone() };
    let outbound = RefusedHandshake { direction: Direction::Outbound, ..refused(DecisionId(3), "spiffe://a/c") };
    for refused in [bare.clone(), partial, outbound.clone(), refused(DecisionId(3), "spiffe://a/b")] {
        let event = event(&native(What::Handshake(refused)));
        assert_eq!((&event["type_uid"], &event["action_id"]), (&json!(400_105), &json!(2)));
        assert_eq!(event["status_code"], "unauthenticated:two_uri_sans");
        // What the certificate said was not verified.
        assert_eq!(event.get("actor"), None);
    }
    let event = event(&native(What::Handshake(outbound)));
    assert_eq!(event["dst_endpoint"], json!({"uid": "spiffe://a/c", "ip": "10.0.0.2", "port": 50_000}));
    assert_eq!((&event["tls"]["version"], &event["tls"]["sni"]), (&json!("unknown"), &json!("orders")));
}

#[test]
fn counts_are_events_of_what_they_count() {
    let rule = RuleKey { rule: Arc::new(RuleFacts::new("orders-read", ["/orders/{id}"])), pattern: Some(0) };
    let keys = [
        (Key::of_decision(&full()), 4_002),
        (Key::Decision { direction: Direction::Inbound, caller: None, rule: Some(rule), method: None, reason: Reason::NoPolicy }, 4_002),
        (Key::of_handshake(refused(DecisionId(3), "spiffe://a/b")), 4_001),
        (Key::Handshake { direction: Direction::Outbound, claimed: None, reason: "handshake_timeout".into() }, 4_001),
        (Key::Other, 0),
    ];
    for (key, class) in keys {
        let event = event(&native(What::Aggregate(Aggregate { id: DecisionId(9), key, table: None, span: span() })));
        assert_eq!((&event["class_uid"], &event["count"], &event["action_id"]), (&json!(class), &json!(3), &json!(2)));
        assert_eq!(event["end_time"].as_u64().unwrap() - event["start_time"].as_u64().unwrap(), 2_000);
    }
    let event = event(&native(What::Gap(Gap { id: DecisionId(9), cause: Cause::RingFull, span: span() })));
    assert_eq!((&event["class_uid"], &event["count"], &event["severity_id"]), (&json!(0), &json!(3), &json!(4)));
}

#[test]
fn what_the_control_plane_does_is_a_base_event() {
    let mut renderer = Renderer::new("b", &labels());
    let mut lines = vec![Vec::new(); 3];
    renderer.boot(
        &mut lines[0],
        0,
        at(),
        &BootFacts { workload: "spiffe://prod.example/o".to_owned(), version: "0.1.0", policy_sha256: Some("ef".repeat(32)) },
        None,
    );
    let table = TableFacts { name: "shop".to_owned(), version: String::new(), sha256: "cd".to_owned() };
    let policy = PolicyEvent { part: Part::Boundary, table: Arc::new(table), generation: 4 };
    renderer.event(&mut lines[1], 1, at(), &Event::Policy(policy));
    let peer = caller("spiffe://a/b").identity.clone().unwrap();
    renderer.event(
        &mut lines[2],
        2,
        at(),
        &Event::Trust(TrustEvent { direction: Direction::Inbound, peer, reason: "denied_id", connections: 2 }),
    );
    let events: Vec<Value> = lines.into_iter().map(|line| event(&whole(line))).collect();
    assert!(events.iter().all(|event| event["class_uid"] == 0 && event["activity_name"] == event["unmapped"]["kind"]));
    assert_eq!(events[0]["metadata"]["product"]["version"], "0.1.0");
    assert_eq!(events[1]["policy"], json!({"name": "shop", "uid": "cd"}));
    assert_eq!((&events[2]["action_id"], &events[2]["disposition_id"]), (&json!(2), &json!(24)));
    assert_eq!(events[2]["unmapped"]["cert"]["serial"], "0badcafe");
}

/// Kinds that are in a log and that the renderer of this room does not write.
#[test]
fn other_kinds_are_events_too() {
    const HEAD: &str = r#"{"v":"countersign.decision/1","seq":8,"boot":"b","kind":"#;
    let finding = format!(
        "{HEAD}{}",
        r#""finding","time":"2026-07-01T00:00:00Z","id":"F","detector":"scanning","severity":"high","response":"RESPONSE","dir":"inbound","src":{"id":"spiffe://a/b","ip":"10.0.0.1"},"cert":{"serial":"01"},"dst":{"id":"spiffe://a/c"},"message":"eleven \"paths\"","count":11,"window_s":60,"evidence":["A","B"],"chain":"00"}"#
    );
    for (response, action, disposition) in [("quarantined", 2, 3), ("would_quarantine", 3, 15), ("none", 3, 15)] {
        let event = event(&finding.replace("RESPONSE", response));
        assert_eq!((&event["action_id"], &event["disposition_id"]), (&json!(action), &json!(disposition)));
    }
    let event = event(&finding);
    assert_eq!((&event["type_uid"], &event["severity_id"], &event["is_alert"]), (&json!(200_401), &json!(4), &json!(true)));
    assert_eq!((&event["finding_info"]["desc"], &event["count"]), (&json!("eleven \"paths\""), &json!(11)));
    assert_eq!(event["observables"][1]["value"], "01");
    assert_eq!(event["evidences"][0]["dst_endpoint"], json!({"uid": "spiffe://a/c"}));
    assert_eq!(event["finding_info"]["related_events"], json!([{"uid": "A"}, {"uid": "B"}]));
    assert_eq!(event["evidences"][0]["src_endpoint"], json!({"uid": "spiffe://a/b", "ip": "10.0.0.1"}));
    assert_eq!(event["unmapped"]["source_chain"], "00");
    let footer =
        format!("{HEAD}{}", r#""footer","time":"2026-07-01T00:00:00Z","first":1,"last":8,"count":8,"key":{"deep":{"er":[1]}},"none":{}}"#);
    let event = super::tests::event(&footer);
    assert_eq!((event.get("count"), &event["unmapped"]["count"], &event["unmapped"]["first"]), (None, &json!(8), &json!(1)));
    assert_eq!((&event["unmapped"]["key"]["deep"], &event["unmapped"]["none"]), (&json!({"er": [1]}), &json!({})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_peer_says_stays_inside_its_string(name: String, sni: String, issuer: String, host: String, reason: String) {
        let mut said = full();
        let mut caller = crate::policy::Caller::clone(&said.caller);
        let mut identity = PeerIdentity::clone(caller.identity.as_ref().unwrap());
        identity.principal = Principal::Dns(name.as_str().into());
        identity.issuer = issuer.clone();
        caller.identity = Some(Arc::new(identity));
        caller.channel.as_mut().unwrap().sni = Some(sni.clone().into());
        said.caller = Arc::new(caller);
        said.target = Some(Arc::new(Target { id: None, host: format!("h{host}"), port: 0 }));
        let event = event(&native(What::Decision(said)));
        prop_assert_eq!(event["src_endpoint"]["uid"].as_str(), Some(name.as_str()));
        prop_assert_eq!(event["tls"]["sni"].as_str(), Some(sni.as_str()));
        prop_assert_eq!(event["tls"]["certificate"]["issuer"].as_str(), Some(issuer.as_str()));
        prop_assert_eq!(event["dst_endpoint"]["hostname"].as_str().and_then(|read| read.strip_prefix('h')), Some(host.as_str()));
        let refused = RefusedHandshake { reason: reason.clone().into(), ..refused(DecisionId(3), &name) };
        let event = super::tests::event(&native(What::Handshake(refused)));
        prop_assert_eq!(event["status_code"].as_str(), Some(reason.as_str()));
    }

    /// A log that somebody edited gives events or an error, never broken JSON.
    #[test]
    fn any_line_is_one_event_or_none(line in "\\PC*", at in 0_usize..900, byte: u8) {
        let mut out = Vec::new();
        prop_assert!(super::exported(&line, &mut out).is_err() && out.is_empty());
        let mut edited = native(What::Decision(full())).into_bytes();
        let length = edited.len();
        edited[at % length] = byte;
        let Ok(edited) = String::from_utf8(edited) else { return Ok(()) };
        match super::exported(&edited, &mut out) {
            Ok(()) => drop(serde_json::from_slice::<Value>(&out).unwrap()),
            Err(_) => prop_assert!(out.is_empty()),
        }
    }
}

#[test]
fn only_records_are_mapped() {
    let refusals = [
        ("", NotARecord::NoObject),
        ("{\"v\":\"countersign.decision/1\"", NotARecord::NoObject),
        ("[]", NotARecord::NoObject),
        ("{\"_aws\":{}}", NotARecord::Foreign),
        ("{\"v\":\"countersign.decision/1\",\"time\":\"yesterday\"}", NotARecord::Foreign),
    ];
    for (line, expected) in refusals {
        assert_eq!(super::exported(line, &mut Vec::new()), Err(expected), "{line}");
    }
}

/// What the schema is here for.
#[test]
fn faults_of_events_are_found() {
    let good = event(&native(What::Decision(full())));
    let faults: [(&str, Value); 9] = [
        ("/invented", json!(1)),
        ("/http_request/invented", json!(1)),
        ("/tls/certificate/serial_number", json!(7)),
        ("/time", json!("now")),
        ("/action_id", json!(77)),
        ("/activity_name", json!("Put")),
        ("/type_uid", json!(400_204)),
        ("/metadata/profiles", json!(["host"])),
        ("/src_endpoint/ip", json!("nowhere")),
    ];
    for (path, value) in faults {
        let mut bad = good.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[name] = value;
        assert!(!SCHEMA.is_valid(&bad), "{path}");
    }
    for path in ["/severity_id", "/metadata/version", "/http_response/code", "/tls/version", "/tls/certificate/issuer"] {
        let mut bad = good.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert!(!SCHEMA.is_valid(&bad), "{path}");
    }
    let mut bad = event(&native(What::Handshake(refused(DecisionId(3), "spiffe://a/b"))));
    for name in ["src_endpoint", "dst_endpoint"] {
        bad.as_object_mut().unwrap().remove(name);
    }
    assert!(!SCHEMA.is_valid(&bad), "no endpoint");
}
