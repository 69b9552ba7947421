//! The whole way from a recorder to a sink.

use super::sink::{Output, Stream};
use super::writer::{Beside, Opened, start_with};
use super::*;
use crate::identity::{Channel, PeerIdentity, Principal, SpiffeId};
use crate::policy::{Caller, Facts, Part, Reason, RuleFacts, TableFacts, Trial, Verdict, Would};
use crate::request::{CanonicalRequest, ContentType, Framing, Noted, Trace};
use proptest::prelude::*;
use serde_json::Value;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::new(second, 5)
}

pub(super) fn caller(id: &str) -> Arc<Caller> {
    let identity = PeerIdentity {
        principal: Principal::Spiffe(SpiffeId::parse(id).unwrap()),
        serial: "0badcafe".to_owned(),
        fingerprint: "ab".repeat(32),
        issuer: "CN=dev, O=\"Shop\"".to_owned(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: UNIX_EPOCH + Duration::from_secs(3_600),
        not_before: UNIX_EPOCH,
    };
    let channel = Channel {
        version: "1.3",
        cipher: "TLS13_AES_128_GCM_SHA256",
        group: Some(crate::identity::Group::X25519MlKem768),
        alpn: "h2",
        sni: Some("orders".into()),
    };
    let source = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001], 40_000));
    Arc::new(Caller::new(Some(Arc::new(identity)), source, 8_443, Some(channel)))
}

pub(super) fn decision(id: DecisionId, verdict: Verdict, path: &str) -> Decision {
    let rule = Arc::new(RuleFacts::new("orders-read", ["/orders/{id}"]));
    let table = TableFacts { name: "shop".to_owned(), version: "7".to_owned(), sha256: "cd".repeat(32) };
    let reason = if verdict == Verdict::Allow { Reason::Rule } else { Reason::ExplicitDeny };
    Decision {
        at: at(1_000),
        id,
        direction: Direction::Inbound,
        verdict,
        facts: Facts {
            rule: Some(rule),
            pattern: Some(0),
            reason,
            looked: None,
            would: None,
            boundary: None,
            table: Some(Arc::new(table)),
            generation: 3,
            audited: false,
            sample: 1.0,
        },
        caller: caller("spiffe://prod.example/ns/web/sa/frontend"),
        target: Some(Arc::new(Target { id: Some("spiffe://prod.example/o".to_owned()), host: "orders".to_owned(), port: 8_080 })),
        request: Some(CanonicalRequest {
            method: http::Method::GET,
            target: path.parse().unwrap(),
            authority: None,
            version: http::Version::HTTP_2,
            content_type: ContentType::Json,
            framing: Some(Framing::TeCl),
            noted: Noted::default(),
            trace: Trace::None,
        }),
        method: None,
        decide_ns: 61,
        outcome: Outcome { status: 200, bytes_in: 1, bytes_out: 2, upstream_us: Some(3), total_us: 4, ..Outcome::default() },
    }
}

pub(super) fn refused(number: DecisionId, id: &str) -> RefusedHandshake {
    RefusedHandshake {
        at: at(2_000),
        id: number,
        direction: Direction::Inbound,
        source: SocketAddr::from(([10, 0, 0, 2], 50_000)),
        local_port: 8_443,
        reason: "unauthenticated:two_uri_sans".into(),
        claimed: Some(Claimed {
            id: Some(id.to_owned()),
            serial: Some("01".to_owned()),
            fingerprint: Some("ef".to_owned()),
            issuer: Some("CN=x".to_owned()),
            not_after: Some(UNIX_EPOCH),
        }),
        server_name: Some("orders".to_owned()),
    }
}

/// Hands each write to the test, and stands still while it is shut.
struct Gate {
    lines: Sender<Vec<u8>>,
    shut: Arc<(Mutex<bool>, Condvar)>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (shut, opened) = &*self.shut;
        drop(opened.wait_while(shut.lock().unwrap(), |shut| *shut).unwrap());
        let _ = self.lines.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Log {
    recorder: Recorder,
    journal: Journal,
    writer: Writer,
    lines: Receiver<Vec<u8>>,
    shut: Arc<(Mutex<bool>, Condvar)>,
}

fn settings() -> Settings {
    let labels = [("task".to_owned(), "a\"1".to_owned())].into();
    Settings {
        sink: Sink::None,
        format: Format::Countersign,
        max_bytes: 1 << 30,
        on_full: OnFull::Aggregate,
        sample: 1.0,
        signing: None,
        users: Users::Plain,
        labels,
    }
}

fn boot() -> BootFacts {
    BootFacts { workload: "spiffe://prod.example/o".to_owned(), version: "0.1.0", policy_sha256: Some("ef".repeat(32)) }
}

impl Log {
    fn start(settings: &Settings, shut: bool) -> Self {
        let shut = Arc::new((Mutex::new(shut), Condvar::new()));
        let (sender, lines) = channel();
        let output = Output::Stream(Stream { out: Box::new(Gate { lines: sender, shut: Arc::clone(&shut) }), torn: false });
        let (mut recorders, journal, writer) =
            start_with(settings, boot(), 1, Beside::default(), Opened { random: 1, output, previous: None }).unwrap();
        Self { recorder: recorders.remove(0), journal, writer, lines, shut }
    }

    fn open(&self) {
        *self.shut.0.lock().unwrap() = false;
        self.shut.1.notify_all();
    }

    fn finish(self) -> Vec<Value> {
        self.open();
        drop(self.recorder);
        self.writer.finish();
        let bytes: Vec<u8> = self.lines.iter().flatten().collect();
        values(&bytes)
    }
}

fn values(bytes: &[u8]) -> Vec<Value> {
    assert_chained(bytes);
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Each line's chain is the hash of that of the line before it and of what stands before its own. Lines of others are in no chain.
fn assert_chained(lines: &[u8]) {
    let mut last = chain::Link::GENESIS;
    for line in std::str::from_utf8(lines).unwrap().lines().filter(|line| !line.starts_with(r#"{"_aws":"#)) {
        if line.contains(r#""kind":"boot""#) {
            last = chain::Link::GENESIS;
        }
        let (hashed, rest) = line.split_at(line.rfind(r#","chain":""#).unwrap());
        last = last.next(hashed.as_bytes(), &mut Vec::new());
        assert_eq!(rest, format!(r#","chain":"{}"}}"#, last.hex().as_str()), "{line}");
    }
}

fn of_kind<'v>(values: &'v [Value], kind: &str) -> Vec<&'v Value> {
    values.iter().filter(|value| value["kind"] == kind).collect()
}

fn counts(values: &[&Value]) -> u64 {
    values.iter().map(|value| value["count"].as_u64().unwrap()).sum()
}

fn assert_no_holes(values: &[Value]) {
    for (at, value) in values.iter().enumerate() {
        assert_eq!(value["seq"], at, "seq has a hole");
    }
    let mut seqs: Vec<u64> = values.iter().filter_map(|value| value["shard_seq"].as_u64()).collect();
    seqs.sort_unstable();
    assert!(seqs.iter().enumerate().all(|(at, seq)| at as u64 == *seq), "shard_seq has a hole");
}

#[test]
fn every_field_stands_in_its_place() {
    let log = Log::start(&settings(), false);
    let mut full = decision(DecisionId(1), Verdict::Allow, "/orders/4%C3%A4?q=1");
    full.facts.would = Some(Box::new(Would { verdict: Verdict::Deny, rule: full.facts.rule.clone(), by: Trial::Shadow }));
    full.outcome.close_reason = Some("client_closed");
    full.outcome.phase = Some(Phase::End);
    log.recorder.allow(full);
    drop(log.recorder);
    log.writer.finish();
    let bytes: Vec<u8> = log.lines.iter().flatten().collect();
    assert_chained(&bytes);
    let lines: Vec<&str> = std::str::from_utf8(&bytes).unwrap().lines().collect();
    let lines: Vec<&str> = lines.iter().map(|line| &line[..line.rfind(",\"chain\":\"").unwrap()]).collect();
    assert!(
        lines[0].starts_with(r#"{"v":"countersign.decision/1","seq":0,"boot":"00000000000000000000000000000001","kind":"boot","time":""#)
    );
    assert!(lines[0].ends_with(r#"","version":"0.1.0","workload":"spiffe://prod.example/o","policy_sha256":"efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef","labels":{"task":"a\"1"}"#), "{}", lines[0]);
    let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
    let expected = format!(
        concat!(
            r#"{{"v":"countersign.decision/1","seq":1,"shard":0,"shard_seq":0,"boot":"00000000000000000000000000000001","kind":"decision","#,
            r#""time":"1970-01-01T00:16:40.000000005Z","id":"00000000000000000000000001","dir":"inbound","decision":"allow","reason":"rule","#,
            r#""rule":"orders-read","would":"deny","would_rule":"orders-read","policy":"shop","policy_version":"7","policy_sha256":"{cd}","#,
            r#""src":{{"id":"spiffe://prod.example/ns/web/sa/frontend","ip":"10.0.0.1","port":40000}},"#,
            r#""cert":{{"serial":"0badcafe","sha256":"{ab}","not_after":"1970-01-01T01:00:00Z","issuer":"CN=dev, O=\"Shop\""}},"#,
            r#""tls":{{"version":"1.3","cipher":"TLS13_AES_128_GCM_SHA256","group":"X25519MLKEM768","alpn":"h2","sni":"orders"}},"#,
            r#""dst":{{"id":"spiffe://prod.example/o","host":"orders","port":8080}},"#,
            r#""http":{{"method":"GET","path":"/orders/4%C3%A4","template":"/orders/{{id}}","version":"2","ctype":"json","status":200}},"#,
            r#""framing":"te_cl","bytes_in":1,"bytes_out":2,"decide_ns":61,"upstream_us":3,"total_us":4,"close_reason":"client_closed","#,
            r#""phase":"end","labels":{{"task":"a\"1"}}"#
        ),
        ab = ab,
        cd = cd
    );
    assert_eq!(lines[1], expected);
}

proptest! {
    #[test]
    fn whatever_a_peer_says_stays_inside_its_string(name: String, sni: String, issuer: String, host: String, label: String) {
        let mut said = decision(DecisionId(1), Verdict::Deny, "/orders/1");
        let mut caller = Caller::clone(&said.caller);
        let mut identity = PeerIdentity::clone(caller.identity.as_ref().unwrap());
        identity.principal = Principal::Dns(name.as_str().into());
        identity.issuer = issuer.clone();
        caller.identity = Some(Arc::new(identity));
        caller.channel.as_mut().unwrap().sni = Some(sni.clone().into());
        said.caller = Arc::new(caller);
        said.target = Some(Arc::new(Target { id: None, host: format!("h{host}"), port: 0 }));
        let mut line = Vec::new();
        let entry = entry::Entry { shard_seq: 0, what: entry::What::Decision(said) };
        render::Renderer::new("b", &[("l".to_owned(), label.clone())].into()).entry(&mut line, 0, 0, &entry);
        line.push(b'}');
        prop_assert!(!line.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(value["src"]["id"].as_str(), Some(name.as_str()));
        prop_assert_eq!(value["tls"]["sni"].as_str(), Some(sni.as_str()));
        prop_assert_eq!(value["cert"]["issuer"].as_str(), Some(issuer.as_str()));
        prop_assert_eq!(value["dst"]["host"].as_str().and_then(|read| read.strip_prefix("h")), Some(host.as_str()));
        prop_assert_eq!(value["labels"]["l"].as_str(), Some(label.as_str()));
    }
}

#[test]
fn a_recorder_can_move_into_its_thread() {
    fn sendable<T: Send>() {}
    sendable::<Recorder>();
}

#[test]
fn handshakes_and_published_tables_leave_records() {
    let log = Log::start(&settings(), false);
    log.recorder.handshake(refused(log.recorder.id(at(1)), "spiffe://a/b"));
    let table = Arc::new(TableFacts { name: "shop".to_owned(), version: String::new(), sha256: "cd".to_owned() });
    log.journal.policy(PolicyEvent { part: Part::Own, table, generation: 4 });
    log.recorder.handshake(RefusedHandshake { direction: Direction::Outbound, ..refused(log.recorder.id(at(1)), "spiffe://a/c") });
    let values = log.finish();
    let outbound = of_kind(&values, "handshake")[1];
    assert_eq!(outbound["dst"], serde_json::json!({"id": "spiffe://a/c", "host": "10.0.0.2", "port": 50_000}));
    assert_eq!(outbound.get("src"), None);
    let handshake = of_kind(&values, "handshake")[0];
    assert_eq!(handshake["reason"], "unauthenticated:two_uri_sans");
    assert_eq!(handshake["src"], serde_json::json!({"id": "spiffe://a/b", "ip": "10.0.0.2", "port": 50_000}));
    assert_eq!(handshake["cert"]["not_after"], "1970-01-01T00:00:00Z");
    assert_eq!(handshake["tls"]["sni"], "orders");
    assert_eq!(handshake["dst"]["port"], 8_443);
    let policy = of_kind(&values, "policy")[0];
    assert_eq!((&policy["policy"], &policy["generation"], policy.get("policy_version")), (&"shop".into(), &4.into(), None));
    assert_no_holes(&values);
}

/// A million denials by so many identities, and ten refused handshakes; the writer stands still but for the last of them. Each is a record or in a count.
fn flood(identities: u64) -> Vec<Value> {
    const FLOOD: u64 = 1_000_000;
    let log = Log::start(&settings(), true);
    let callers: Vec<_> = (0..identities).map(|number| caller(&format!("spiffe://prod.example/{number}"))).collect();
    let denied = decision(DecisionId(0), Verdict::Deny, "/orders/1");
    for (number, caller) in (0..FLOOD).zip(callers.iter().cycle()) {
        if number == FLOOD - 20_000 {
            log.open();
        }
        let (at, caller) = (at(number), Arc::clone(caller));
        log.recorder.deny(Decision { at, caller, id: log.recorder.id(at), ..denied.clone() });
    }
    for _ in 0..10 {
        log.recorder.handshake(refused(log.recorder.id(at(1)), "spiffe://a/b"));
    }
    let values = log.finish();
    let aggregates = of_kind(&values, "aggregate");
    let single = of_kind(&values, "decision").len() + of_kind(&values, "handshake").len();
    assert!(single >= ring::DENIALS, "{single}");
    assert_eq!(single as u64 + counts(&aggregates), FLOOD + 10);
    for aggregate in aggregates {
        assert!(aggregate["first"].as_str() <= aggregate["last"].as_str());
        assert_eq!(aggregate["decision"], "deny");
    }
    assert_no_holes(&values);
    values
}

#[test]
fn a_million_denials_of_one_identity_are_counted_exactly() {
    let values = flood(1);
    let aggregates = of_kind(&values, "aggregate");
    assert!(!aggregates.is_empty());
    let of_caller = |value: &&&Value| value["of"] == "decision";
    assert!(aggregates.iter().filter(of_caller).all(|value| value["src"]["id"] == "spiffe://prod.example/0"));
}

#[test]
fn a_million_denials_of_ten_thousand_identities_are_counted_exactly() {
    let values = flood(10_000);
    // More callers than slots: the rest goes into one slot.
    assert!(of_kind(&values, "aggregate").iter().any(|value| value["of"] == "other"));
}

#[test]
fn a_flood_takes_no_more_slots_than_there_are() {
    let log = Log::start(&settings(), true);
    for number in 0..20_000_u64 {
        let mut denied = decision(log.recorder.id(at(1)), Verdict::Deny, "/orders/1");
        denied.caller = caller(&format!("spiffe://prod.example/{number}"));
        log.recorder.deny(denied);
    }
    let values = log.finish();
    let aggregates = of_kind(&values, "aggregate");
    assert!(aggregates.len() <= fold::MAX_KEYS + 1, "{}", aggregates.len());
    assert_eq!(of_kind(&values, "decision").len() as u64 + counts(&aggregates), 20_000);
}

#[test]
fn a_clock_that_steps_back_disorders_nothing() {
    let log = Log::start(&settings(), true);
    for number in (0..ring::DENIALS as u64 + 500).rev() {
        log.recorder.deny(Decision { at: at(number), ..decision(log.recorder.id(at(number)), Verdict::Deny, "/orders/1") });
        log.recorder.allow(Decision { at: at(number), ..decision(log.recorder.id(at(number)), Verdict::Allow, "/orders/1") });
    }
    let values = log.finish();
    assert_no_holes(&values);
    let denied: Vec<_> = of_kind(&values, "decision").into_iter().filter(|value| value["decision"] == "deny").collect();
    assert!(
        denied
            .windows(2)
            .all(|pair| pair[0]["id"].as_str() < pair[1]["id"].as_str() && pair[0]["time"].as_str() > pair[1]["time"].as_str())
    );
    for aggregate in of_kind(&values, "aggregate") {
        assert!(aggregate["first"].as_str() < aggregate["last"].as_str(), "{aggregate}");
    }
}

#[test]
fn folded_denials_leave_once_there_is_room() {
    let log = Log::start(&settings(), true);
    for number in 0..ring::DENIALS * 2 {
        log.recorder.deny(decision(log.recorder.id(at(1)), Verdict::Deny, &format!("/orders/{number}")));
    }
    log.open();
    let mut bytes = Vec::new();
    // The recorder stays: the shard's tick hands over.
    while !String::from_utf8_lossy(&bytes).contains(r#""kind":"aggregate""#) {
        log.recorder.flush();
        if let Ok(more) = log.lines.recv_timeout(Duration::from_millis(1)) {
            bytes.extend(more);
        }
    }
    log.writer.finish();
    bytes.extend(log.lines.iter().flatten());
    let values = values(&bytes);
    let total = of_kind(&values, "decision").len() as u64 + counts(&of_kind(&values, "aggregate"));
    assert_eq!(total, ring::DENIALS as u64 * 2);
    assert!(of_kind(&values, "gap").is_empty());
}

#[test]
fn missed_allows_are_counted_exactly() {
    const ALL: u64 = 30_000;
    for on_full in [OnFull::Aggregate, OnFull::Sample] {
        let log = Log::start(&Settings { on_full, ..settings() }, true);
        for number in 0..ALL {
            let mut allowed = decision(log.recorder.id(at(1)), Verdict::Allow, "/orders/1");
            allowed.at = at(number);
            log.recorder.allow(allowed);
        }
        let values = log.finish();
        let gaps = of_kind(&values, "gap");
        assert_eq!(of_kind(&values, "decision").len() as u64 + counts(&gaps), ALL);
        assert_eq!(gaps[0]["cause"], "ring_full");
        assert!(gaps[0]["first"].as_str() < gaps[0]["last"].as_str());
        assert_no_holes(&values);
    }
}

#[test]
fn counts_of_a_living_recorder_are_in_the_last_gap() {
    let log = Log::start(&settings(), true);
    for _ in 0..20_000 {
        log.recorder.allow(decision(log.recorder.id(at(1)), Verdict::Allow, "/orders/1"));
    }
    log.open();
    log.writer.finish();
    let bytes: Vec<u8> = log.lines.iter().flatten().collect();
    let values = values(&bytes);
    let gaps = of_kind(&values, "gap");
    assert_eq!(gaps[0]["cause"], "unfinished");
    assert_eq!(of_kind(&values, "decision").len() as u64 + counts(&gaps), 20_000);
}

#[test]
fn sampling_spares_what_must_be_recorded() {
    let log = Log::start(&Settings { sample: 0.0, ..settings() }, false);
    let allow = |change: &dyn Fn(&mut Decision)| {
        let mut allowed = decision(log.recorder.id(at(1)), Verdict::Allow, "/orders/1");
        change(&mut allowed);
        log.recorder.allow(allowed);
    };
    for _ in 0..50 {
        allow(&|_| ());
    }
    allow(&|allowed| allowed.facts.audited = true);
    allow(&|allowed| allowed.facts.would = Some(Box::new(Would { verdict: Verdict::Deny, rule: None, by: Trial::Shadow })));
    allow(&|allowed| allowed.outcome.close_reason = Some("app_unreachable"));
    allow(&|allowed| allowed.verdict = Verdict::Deny);
    for _ in 0..50 {
        log.recorder.deny(decision(log.recorder.id(at(1)), Verdict::Deny, "/orders/1"));
    }
    log.journal.set_sample(1.0);
    allow(&|allowed| allowed.facts.sample = 0.0);
    allow(&|_| ());
    let values = log.finish();
    let allows = of_kind(&values, "decision").iter().filter(|value| value["decision"] == "allow").count();
    // The first between the two, three that are never sampled, one at the full share.
    assert_eq!(allows, 5);
    assert_eq!(of_kind(&values, "decision").len(), 5 + 51);
}

#[test]
fn a_pair_that_was_recorded_before_a_restart_is_sampled_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { sink: Sink::File(directory.path().to_owned()), sample: 0.0, ..settings() };
    let allows = |callers: &[&str]| {
        let (recorders, _journal, writer) = start(&settings, boot(), 1).unwrap();
        for id in callers {
            let mut allowed = decision(recorders[0].id(at(1)), Verdict::Allow, "/orders/1");
            allowed.caller = caller(id);
            recorders[0].allow(allowed);
        }
        drop(recorders);
        writer.finish();
        let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let bytes: Vec<u8> = files.flat_map(|path| std::fs::read(path).unwrap()).collect();
        of_kind(&values(&bytes), "decision").len()
    };
    assert_eq!(allows(&["spiffe://a/b", "spiffe://a/b", "spiffe://a/c"]), 2);
    assert_eq!(allows(&["spiffe://a/b", "spiffe://a/c", "spiffe://a/d"]), 3);
}

/// The files of a log and what is in them, oldest first.
fn log_files(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<Value>)> {
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let lines = |bytes: Vec<u8>| bytes.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    paths.into_iter().map(|path| (path.clone(), lines(std::fs::read(&path).unwrap()))).collect()
}

fn file_settings(directory: &std::path::Path, max_bytes: u64) -> Settings {
    Settings { sink: Sink::File(directory.to_owned()), max_bytes, ..settings() }
}

#[test]
fn each_file_ends_with_a_footer_and_what_was_pruned_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (recorders, _journal, writer) = start(&file_settings(directory.path(), 1 << 20), boot(), 1).unwrap();
    let mut last = 0;
    // A kibibyte each, in bursts that no ring is too small for.
    while last < 3_000 {
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
        last += 1;
        if last % 500 == 0 {
            let wanted = last as u64;
            while log_files_hold(directory.path()) < wanted {
                std::thread::yield_now();
            }
        }
    }
    drop(recorders);
    writer.finish();
    let files = log_files(directory.path());
    let mut next = None;
    let mut pruned = Vec::new();
    for (path, records) in &files {
        let footer = records.last().unwrap();
        assert_eq!(footer["kind"], "footer", "{}", path.display());
        assert_eq!(footer["count"], records.len() - 1);
        assert_eq!((&footer["first_seq"], &footer["last_seq"]), (&records[0]["seq"], &records[records.len() - 2]["seq"]));
        assert_eq!(footer["last_chain"], records[records.len() - 2]["chain"]);
        assert!(next.is_none_or(|next| records[0]["seq"] == next));
        assert_eq!(records[records.len() - 2]["kind"], "checkpoint", "{}", path.display());
        next = Some(footer["seq"].as_u64().unwrap() + 1);
        pruned.extend(records.iter().filter(|record| record["kind"] == "pruned"));
    }
    assert!(files.len() >= 2, "{}", files.len());
    let first = &files[0].1[0];
    let goes_before = pruned.iter().find(|record| record["pruned"]["last_seq"] == first["seq"].as_u64().unwrap() - 1).unwrap();
    assert_eq!(goes_before["pruned"]["boot"], first["boot"]);
    assert!(pruned.iter().all(|record| !directory.path().join(record["pruned"]["file"].as_str().unwrap()).exists()));
}

/// The number of the last record on the disk.
fn log_files_hold(directory: &std::path::Path) -> u64 {
    let newest = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).max();
    let text = newest.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let line = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    line.and_then(|line| line["seq"].as_u64()).unwrap_or_default()
}

#[test]
fn a_boot_names_where_the_one_before_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (recorders, _journal, writer) = start(&file_settings(directory.path(), 1 << 30), boot(), 1).unwrap();
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
        drop(recorders);
        writer.finish();
    }
    let files = log_files(directory.path());
    let (last, next) = (files[0].1.last().unwrap(), &files[1].1[0]);
    assert_eq!(files[0].1[0].get("previous"), None);
    assert_eq!(next["previous"], serde_json::json!({"boot": last["boot"], "seq": last["seq"], "chain": last["chain"], "torn": false}));
}

/// Each is signed by the same key, over the bytes before its signature, and names the link before itself and the checkpoint before.
#[tokio::test]
async fn checkpoints_sign_for_what_stands_before_them() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    struct Slow;
    impl crate::runtime::signer::DigestSigner for Slow {
        fn public_key(&self) -> crate::runtime::signer::Signing<'_, crate::runtime::signer::PublicKey> {
            Box::pin(std::future::pending())
        }
        fn sign<'a>(
            &'a self,
            _: &'a crate::runtime::signer::Sha256,
        ) -> crate::runtime::signer::Signing<'a, crate::runtime::signer::Signature> {
            Box::pin(std::future::pending())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (recorders, journal, writer) = start(&file_settings(directory.path(), 2 << 20), boot(), 1).unwrap();
    let asked = journal.certify(Arc::new(Slow), crate::runtime::readiness::Readiness::default());
    assert!(tokio::time::timeout(Duration::from_millis(1), asked).await.is_err(), "nothing waits for a certificate");
    for _ in 0..1_000 {
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
    }
    while log_files_hold(directory.path()) < 1_000 {
        std::thread::yield_now();
    }
    drop(recorders);
    writer.finish();
    let mut before = Value::Null;
    let mut checkpoints: Vec<Value> = Vec::new();
    let text: String = log_files(directory.path()).iter().map(|(path, _)| std::fs::read_to_string(path).unwrap()).collect();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["kind"] == "checkpoint" {
            assert_eq!((&record["last_seq"], &record["last_chain"]), (&before["seq"], &before["chain"]));
            let previous = checkpoints.last().map_or(&Value::Null, |checkpoint| &checkpoint["signature"]);
            assert_eq!(record.get("previous").unwrap_or(&Value::Null), previous);
            assert!(checkpoints.iter().all(|other| other["key"] == record["key"]));
            let decoded = |name: &str| BASE64_STANDARD.decode(record[name].as_str().unwrap()).unwrap();
            let (signed, _) = line.split_at(line.find(",\"signature\":").unwrap());
            let key = crate::runtime::signer::PublicKey::from_spki(&decoded("key")).unwrap();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed.as_bytes());
            key.verified(digest.as_ref().try_into().unwrap(), decoded("signature")).unwrap();
            checkpoints.push(record.clone());
        }
        before = record;
    }
    assert!(checkpoints.len() >= 2, "{}", checkpoints.len());
}

#[tokio::test]
async fn block_waits_for_room_and_then_refuses() {
    let log = Log::start(&Settings { on_full: OnFull::Block, ..settings() }, true);
    assert_eq!(log.recorder.reserve().await, Ok(()));
    for _ in 0..ring::ALLOWS + 2_048 {
        log.recorder.allow(decision(log.recorder.id(at(1)), Verdict::Allow, "/orders/1"));
    }
    let before = tokio::time::Instant::now();
    assert_eq!(log.recorder.reserve().await, Err(Unavailable));
    assert!(before.elapsed() >= Duration::from_millis(50));
    log.open();
    while log.recorder.reserve().await.is_err() {}
    log.finish();
}

#[test]
fn a_sink_that_blocks_does_not_keep_the_process_alive() {
    let log = Log::start(&settings(), true);
    log.recorder.deny(decision(log.recorder.id(at(1)), Verdict::Deny, "/orders/1"));
    drop(log.recorder);
    log.writer.finish();
    assert!(*log.shut.0.lock().unwrap(), "it still blocks");
}

#[test]
fn a_long_path_is_cut_and_does_not_wait_whole() {
    let log = Log::start(&settings(), false);
    log.recorder.allow(decision(log.recorder.id(at(1)), Verdict::Allow, &format!("/{}?{}", "x".repeat(20_000), "y".repeat(20_000))));
    let values = log.finish();
    assert_eq!(values[1]["cut"], true);
    let path = values[1]["http"]["path"].as_str().unwrap();
    assert!(path.len() <= json::MAX_TEXT && path.ends_with("x…"));
}

#[test]
fn the_tap_gets_each_line_and_never_slows_the_writer() {
    let (tap, lines) = std::sync::mpsc::sync_channel(2);
    let (recorders, _journal, writer) = start_tapped(&settings(), boot(), 1, Some(tap), None).unwrap();
    for _ in 0..10 {
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
    }
    drop(recorders);
    writer.finish();
    let lines: Vec<Arc<str>> = lines.iter().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""kind":"boot""#) && !lines[0].ends_with('\n'));
}

#[test]
fn lines_of_others_stand_whole_between_the_records() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let stream = Stream { out: Box::new(Flaky { out: Arc::clone(&out), failures: 2, half: false }), torn: false };
    let opened = Opened { random: 1, output: Output::Stream(stream), previous: None };
    let (recorders, journal, writer) = start_with(&settings(), boot(), 1, Beside::default(), opened).unwrap();
    let other = format!(r#"{{"_aws":"{}"}}"#, "x".repeat(900));
    journal.aside(vec![other.clone(), other.clone()]).unwrap();
    for _ in 0..100 {
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
    }
    drop(recorders);
    writer.finish();
    let bytes = out.lock().unwrap().clone();
    let whole: Vec<Value> = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let (others, records): (Vec<_>, Vec<_>) = whole.into_iter().partition(|line| line.get("_aws").is_some());
    assert_no_holes(&records);
    assert_eq!((others.len(), of_kind(&records, "decision").len()), (2, 100));
}

#[test]
fn a_writer_that_stands_still_takes_no_more_lines_of_others() {
    let log = Log::start(&settings(), true);
    let line = || vec![r#"{"_aws":{}}"#.to_owned()];
    assert_eq!(log.journal.aside(line()), Ok(()));
    assert_eq!(log.journal.aside(line()), Err(line()));
    let values = log.finish();
    assert_eq!(values.iter().filter(|value| value.get("_aws").is_some()).count(), 1);
}

#[test]
fn entries_are_as_small_as_the_rings_memory_says() {
    assert!(size_of::<entry::Entry>() <= 400, "{} bytes", size_of::<entry::Entry>());
}

/// A sink that fails as told, in the middle of a line.
struct Flaky {
    out: Arc<Mutex<Vec<u8>>>,
    failures: u32,
    half: bool,
}

impl Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failures > 0 {
            self.half = !self.half;
            if !self.half {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            let some = bytes.len().min(700);
            self.out.lock().unwrap().extend_from_slice(&bytes[..some]);
            return Ok(some);
        }
        self.out.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_fails_gets_every_line_whole_afterwards() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let stream = Stream { out: Box::new(Flaky { out: Arc::clone(&out), failures: 2, half: false }), torn: false };
    let opened = Opened { random: 1, output: Output::Stream(stream), previous: None };
    let (recorders, _journal, writer) = start_with(&settings(), boot(), 1, Beside::default(), opened).unwrap();
    for _ in 0..100 {
        recorders[0].deny(decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1"));
    }
    drop(recorders);
    writer.finish();
    let bytes = out.lock().unwrap().clone();
    let whole: Vec<&[u8]> =
        bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| serde_json::from_slice::<Value>(line).is_ok()).collect();
    let whole = values(&whole.concat());
    assert_no_holes(&whole);
    assert_eq!(whole.len(), 103);
}
