//! A peer on the deny list is refused, and what it has open ends: connections, requests, tunnels, in both directions.

use crate::support::client::{at, is_taken};
use crate::support::setup::{ORDERS, replace};
use crate::support::sidecar::run;
use crate::support::websocket::{SocketApp, WebSocket};
use crate::support::{ALICE, App, BOB, Peer, Remote, Setup, Sidecar, eventually, get, policy, within};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::TestCert;
use http::StatusCode;
use http_body_util::BodyExt as _;

const PAYMENTS: &str = "spiffe://test.example/payments";
const BILLING: &str = "spiffe://test.example/billing";

#[tokio::test]
async fn callers_by_id() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("both", ALICE, "/**"), ("bob", BOB, "/**")]));
    let sidecar = setup.deny("# nobody yet\n").start(&app).await;
    let [mut idle1, mut idle2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    for peer in [&mut idle1, &mut idle2] {
        assert_eq!(peer.get("/before").await.status, StatusCode::OK);
    }
    let [mut held1, mut held2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let answers = [held1.begin(get("/hold/1")), held2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    let mut bob = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;

    setup.write_deny_list(&format!("{ALICE} # left on Monday\n"));
    for peer in [&idle1, &idle2, &held1, &held2] {
        peer.facts().ended().await;
    }
    for (answer, path) in answers.into_iter().zip(["/hold/1", "/hold/2"]) {
        assert!(within("the end of a held request", answer).await.is_err());
        let record = sidecar.record(path, |record| record["http"]["path"] == path).await;
        assert_eq!((&record["close_reason"], &record["decision"]), (&"denied_id".into(), &"allow".into()), "{record}");
    }
    // Two certificates, each recorded once.
    let withdrawn = eventually("two records", async || Some(of_kind(&sidecar, "trust")).filter(|records| records.len() == 2)).await;
    for record in withdrawn {
        assert_eq!((&record["reason"], &record["dir"], &record["connections"]), (&"denied_id".into(), &"inbound".into(), &2.into()));
        assert_eq!(record["src"]["id"], ALICE, "{record}");
        assert!(record["cert"]["serial"].is_string(), "{record}");
    }
    sidecar.metric_reaches("countersign_cuts_total", &["direction=\"inbound\"", "reason=\"denied_id\""], 4.0).await;
    assert_eq!(sidecar.metric("countersign_trust_withdrawn_total", &["reason=\"denied_id\""]).await, 2.0);

    assert!(!is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await);
    let refused = sidecar.record("the refusal", |record| record["reason"] == "unauthenticated:denied_id").await;
    assert_eq!(refused["src"]["id"], ALICE, "{refused}");
    for peer in &mut bob {
        assert_eq!(peer.get("/after").await.status, StatusCode::OK, "others go on, on the connection that they have");
    }
    // Whoever is taken off the list comes back.
    setup.write_deny_list("");
    let cert = setup.cert(ALICE);
    eventually("a connection", async || is_taken(sidecar.inbound(), Some(&cert)).await.then_some(())).await;
}

#[tokio::test]
async fn callers_by_serial_number() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.deny("").start(&app).await;
    let (stolen, kept) = (setup.cert(ALICE), setup.cert(ALICE));
    let thief = Peer::http2(sidecar.inbound(), &stolen).await;
    let mut alice = Peer::http2(sidecar.inbound(), &kept).await;
    setup.write_deny_list(&format!("\n{}\n", serial(&stolen).to_uppercase()));
    thief.facts().ended().await;
    assert!(!is_taken(sidecar.inbound(), Some(&stolen)).await);
    let refused = sidecar.record("the refusal", |record| record["reason"] == "unauthenticated:denied_serial").await;
    assert_eq!(refused["cert"]["serial"], serial(&stolen).as_str());
    assert_eq!(alice.get("/").await.status, StatusCode::OK);
    assert!(is_taken(sidecar.inbound(), Some(&kept)).await, "the same id with another certificate");
}

#[tokio::test]
async fn callers_with_tunnels() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let sidecar = Sidecar::start(setup.deny("").in_front_of(app.address)).await;
    let mut sockets = WebSocket::both(sidecar.inbound(), &setup.cert(ALICE), "/ws").await.map(Result::unwrap);
    for socket in &mut sockets {
        socket.echo("before").await;
    }
    setup.write_deny_list(ALICE);
    for mut socket in sockets {
        socket.torn().await;
    }
    app.ended(2).await;
    sidecar.metric_reaches("countersign_tunnels_ended_total", &["direction=\"inbound\"", "reason=\"denied_id\""], 2.0).await;
}

#[tokio::test]
async fn peers_that_we_call() {
    for alpn in ["h2", "http/1.1"] {
        let mut setup = Setup::new();
        let (denied, other) = (Remote::start(&setup.cert(PAYMENTS), &[alpn]).await, Remote::start(&setup.cert(BILLING), &[alpn]).await);
        setup.unset("inbound").deny("").set("outbound.listen", "'127.0.0.1:0'");
        for (host, id, remote) in [("payments", PAYMENTS, &denied), ("billing", BILLING, &other)] {
            setup.table("upstream", &format!("hosts = ['{host}']\naddress = '{}'\nid = '{id}'", remote.address));
        }
        let sidecar = Sidecar::start(&setup).await;
        let [mut idle, mut busy] = Peer::app_both(sidecar.outbound()).await;
        assert_eq!(idle.ask("payments", "/pooled").await.status, StatusCode::OK);
        let answer = within("a head", busy.begin(at("payments", "/unfinished"))).await.unwrap();
        let held = idle.begin(at("billing", "/hold"));
        other.got("/hold").await;

        setup.write_deny_list(PAYMENTS);
        eventually("the end of every connection", async || denied.calls().iter().all(|call| call.ended).then_some(())).await;
        assert!(within("the end of the answer", answer.into_body().collect()).await.is_err(), "what is cut looks complete");
        let record = sidecar.record("what was cut", |record| record["http"]["path"] == "/unfinished" && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "denied_id", "{alpn}: {record}");
        let record = sidecar.record("the withdrawal", |record| record["kind"] == "trust").await;
        assert_eq!((&record["dir"], &record["dst"]["id"]), (&"outbound".into(), &PAYMENTS.into()), "{record}");
        sidecar.metric_reaches("countersign_cuts_total", &["direction=\"outbound\"", "reason=\"denied_id\""], 1.0).await;

        let refused = Peer::app_http1(sidecar.outbound()).await.ask("payments", "/again").await;
        assert_eq!((refused.status, refused.header("x-countersign-reason")), (StatusCode::BAD_GATEWAY, "peer_denied"));
        assert!(denied.asked().iter().all(|asked| asked.target != "/again"));
        other.release();
        assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK, "others go on");
    }
}

#[tokio::test]
async fn peers_that_we_have_tunnels_with() {
    let (app, mut far) = (SocketApp::start().await, Setup::new());
    let there = Sidecar::start(far.in_front_of(app.address)).await;
    let mut near = Setup::new();
    far.ca.write_root(near.dir.path(), "roots.pem");
    far.cert(ALICE).write(near.dir.path(), "orders");
    near.unset("inbound").deny("").set("outbound.listen", "'127.0.0.1:0'").set("workload.id", &format!("'{ALICE}'"));
    near.table("upstream", &format!("hosts = ['orders']\nid = '{ORDERS}'\naddress = '{}'", there.inbound()));
    let here = Sidecar::start(&near).await;
    let mut sockets = WebSocket::app_both(here.outbound(), "orders", "/ws").await.map(Result::unwrap);
    for socket in &mut sockets {
        socket.echo("before").await;
    }
    near.write_deny_list(ORDERS);
    for mut socket in sockets {
        socket.torn().await;
    }
    app.ended(2).await;
    here.metric_reaches("countersign_tunnels_ended_total", &["direction=\"outbound\"", "reason=\"denied_id\""], 2.0).await;
}

#[tokio::test]
async fn a_bad_list_is_refused_by_line_and_the_last_good_one_stays() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.deny(&format!("{BOB}\n")).start(&app).await;
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let bad = [
        (format!("{ALICE}\nalice\n"), "line 2: \\\"alice\\\" is neither a SPIFFE id nor a serial number"),
        (format!("# new\n\n{ALICE}/\n"), "line 3"),
        (format!("{ALICE}\nspiffe://other.example/a"), "deny_list of its own [[trust]]"),
    ];
    for (refused, (text, needle)) in (1..).zip(bad) {
        setup.write_deny_list(&text);
        sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"failed\""], f64::from(refused)).await;
        sidecar.log_line(needle).await;
        assert_eq!(alice.get("/").await.status, StatusCode::OK);
        assert!(is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await, "nothing of it is in force");
        assert!(!is_taken(sidecar.inbound(), Some(&setup.cert(BOB))).await, "the one before is");
        let (code, said) = run(&["check"], setup.dir.path()).await;
        assert!(code == 2 && said.contains("trust[0].revocation.deny_list"), "{code} {said}");
    }
    // Roots that cannot be read do not hold up a refusal.
    replace(&setup.path("roots.pem"), "nothing");
    sidecar.log_line("holds no certificate").await;
    setup.write_deny_list(ALICE);
    alice.facts().ended().await;
    eventually("bob", async || is_taken(sidecar.inbound(), Some(&setup.cert(BOB))).await.then_some(())).await;
}

#[tokio::test]
async fn without_its_list_a_sidecar_takes_nobody() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.deny("").in_front_of(app.address);
    std::fs::remove_file(setup.path("deny.txt")).unwrap();
    let sidecar = Sidecar::start_unready(&setup).await;
    sidecar.log_line("deny.txt").await;
    assert!(!is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await);
    setup.write_deny_list(BOB);
    let cert = setup.cert(ALICE);
    eventually("a connection", async || is_taken(sidecar.inbound(), Some(&cert)).await.then_some(())).await;

    setup.write_deny_list("nonsense");
    let (code, said) = run(&["run"], setup.dir.path()).await;
    assert!(code == 2 && said.contains("deny_list") && said.contains("line 1"), "{code} {said}");
}

fn serial(cert: &TestCert) -> String {
    Leaf::parse(&cert.chain[0]).unwrap().serial
}

fn of_kind(sidecar: &Sidecar, kind: &str) -> Vec<serde_json::Value> {
    sidecar.records().into_iter().filter(|record| record["kind"] == kind).collect()
}
