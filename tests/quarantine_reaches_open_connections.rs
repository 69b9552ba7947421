//! Whoever is put into quarantine is refused on the connections that they have, and what they have under way ends; then they go on.

use crate::support::expiry::MovedClock;
use crate::support::frames::RST_STREAM;
use crate::support::sidecar::{run_for, run_with};
use crate::support::websocket::{SocketApp, WebSocket};
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, get, policy, within};
use countersign::identity::x509::Leaf;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Runs `countersign quarantine` against the sidecar of `setup`.
async fn quarantine(setup: &Setup, arguments: &[&str]) -> (i32, String) {
    let socket = setup.path("control.sock");
    let arguments = [&["quarantine"], arguments, &["--socket", socket.to_str().unwrap()]].concat();
    run_with(&arguments, setup.dir.path(), &[]).await
}

fn actions(sidecar: &Sidecar) -> Vec<Value> {
    sidecar.records().into_iter().filter(|record| record["kind"] == "action").collect()
}

#[tokio::test]
async fn by_identity() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let sidecar = setup.start(&app).await;
    let [mut idle1, mut idle2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let [mut held1, mut held2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    for peer in [&mut idle1, &mut idle2, &mut bob] {
        assert_eq!(peer.get("/before").await.status, StatusCode::OK);
    }
    let answers = [held1.begin(get("/hold/1")), held2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    let head = within("a head", held2.begin(get("/unfinished"))).await.unwrap();

    let (code, said) = quarantine(&setup, &["add", ALICE, "--for", "10m", "--cause", "ticket 7"]).await;
    assert!(code == 0 && said.contains("is in quarantine until "), "{code} {said}");
    // The next request of an open connection, at once: the command has answered.
    for peer in [&mut idle1, &mut idle2] {
        let answer = peer.get("/after").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", peer.name());
        assert!(peer.facts().is_open());
    }
    for answer in answers {
        assert_eq!(within("the end of a held request", answer).await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    assert!(within("the end of a body", head.into_body().collect()).await.is_err(), "a torn body must not look whole");
    assert_ne!(held2.facts().frames.first(RST_STREAM).await.code(), 0);
    for path in ["/hold/1", "/hold/2"] {
        let record = sidecar.record(path, |record| record["http"]["path"] == path && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "quarantined", "{record}");
    }
    let denial = sidecar.record("a denial", |record| record["http"]["path"] == "/after").await;
    assert_eq!((&denial["decision"], &denial["reason"], &denial["src"]["id"]), (&"deny".into(), &"quarantined".into(), &ALICE.into()));
    assert_eq!(bob.get("/other").await.status, StatusCode::OK, "others go on");
    // A reload of the table leaves it alone.
    setup.write_policy(&policy(&[("alice-again", ALICE, "/**")]));
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"ok\""], 2.0).await;
    assert_eq!(idle2.get("/still").await.status, StatusCode::FORBIDDEN);
    assert_eq!(sidecar.metric("countersign_quarantine_entries", &[]).await, 1.0);
    assert_eq!(sidecar.status().await.unwrap()["quarantined"], 1);
    let (code, listed) = quarantine(&setup, &["list"]).await;
    assert!(code == 0 && listed.contains(ALICE) && listed.contains("ticket 7") && listed.contains("by uid:"), "{listed}");

    let (code, said) = quarantine(&setup, &["remove", ALICE]).await;
    assert!(code == 0 && said.contains("out of quarantine"), "{code} {said}");
    for peer in [&mut idle1, &mut idle2, &mut held2] {
        assert_eq!(peer.get("/again").await.status, StatusCode::OK, "{}", peer.name());
    }
    let actions = eventually("two actions", async || Some(actions(&sidecar)).filter(|actions| actions.len() == 2)).await;
    for (record, action) in actions.iter().zip(["quarantine_add", "quarantine_remove"]) {
        assert_eq!((&record["action"], &record["src"]["id"], &record["cause"]), (&action.into(), &ALICE.into(), &"ticket 7".into()));
        assert!(record["by"].as_str().unwrap().starts_with("uid:") && record["until"].is_string(), "{record}");
    }
    let (code, said) = quarantine(&setup, &["remove", ALICE]).await;
    assert!(code == 2 && said.contains("is not in quarantine"), "{code} {said}");
}

#[tokio::test]
async fn by_serial_number_until_its_end() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let clock = MovedClock::of(&mut setup);
    let sidecar = setup.start(&app).await;
    let stolen = setup.cert(ALICE);
    let serial = Leaf::parse(&stolen.chain[0]).unwrap().serial;
    let mut thieves = Peer::both(sidecar.inbound(), &stolen).await;
    let mut kept = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let (code, said) = quarantine(&setup, &["add", &serial.to_uppercase(), "--for", "5m", "--cause", "stolen"]).await;
    assert!(code == 0, "{code} {said}");
    for peer in &mut thieves {
        assert_eq!(peer.get("/in").await.status, StatusCode::FORBIDDEN, "{}", peer.name());
    }
    assert_eq!(kept.get("/in").await.status, StatusCode::OK, "the same identity with another certificate");

    clock.show(SystemTime::now() + Duration::from_secs(301));
    for peer in &mut thieves {
        assert_eq!(peer.get("/over").await.status, StatusCode::OK, "{}", peer.name());
    }
    let record = sidecar.record("the end", |record| record["action"] == "quarantine_expire").await;
    assert_eq!((&record["cert"]["serial"], &record["by"]), (&serial.as_str().into(), &"clock".into()), "{record}");
    sidecar.metric_reaches("countersign_quarantine_changes_total", &["action=\"quarantine_expire\""], 1.0).await;
    assert_eq!(sidecar.metric("countersign_quarantine_entries", &[]).await, 0.0);
}

#[tokio::test]
async fn tunnels_end() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    let mut sockets = WebSocket::both(sidecar.inbound(), &setup.cert(ALICE), "/ws").await.map(Result::unwrap);
    for socket in &mut sockets {
        socket.echo("before").await;
    }
    let (code, said) = quarantine(&setup, &["add", ALICE, "--cause", "a test"]).await;
    assert!(code == 0, "{code} {said}");
    for mut socket in sockets {
        socket.torn().await;
    }
    app.ended(2).await;
    sidecar.metric_reaches("countersign_tunnels_ended_total", &["direction=\"inbound\"", "reason=\"quarantined\""], 2.0).await;
}

#[tokio::test]
async fn what_cannot_be_put_in_is_refused_and_recorded() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("quarantine.never", &format!("['{ALICE}']"));
    let sidecar = setup.start(&app).await;
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let table = [
        (vec!["add", ALICE, "--cause", "c"], "[quarantine] never"),
        (vec!["add", "alice", "--cause", "c"], "neither an identity nor a serial number"),
        (vec!["add", "spiffe://test.example/*", "--cause", "c"], "spiffe"),
        (vec!["add", BOB, "--for", "31d", "--cause", "c"], "30 days"),
        (vec!["add", BOB, "--for", "0s", "--cause", "c"], "for_s"),
        (vec!["add", BOB], "--cause"),
    ];
    for (arguments, needle) in table {
        let (code, said) = quarantine(&setup, &arguments).await;
        assert!(code == 2 && said.contains(needle), "{arguments:?}: {code} {said}");
    }
    assert_eq!(alice.get("/").await.status, StatusCode::OK);
    let record = sidecar.record("the refusal", |record| record["kind"] == "action").await;
    assert_eq!((&record["action"], &record["refused"]), (&"quarantine_refuse".into(), &"never".into()), "{record}");
    let (_, listed) = quarantine(&setup, &["list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["entries"], &listed["rails"]["never"][0]), (&Value::Array(Vec::new()), &ALICE.into()));

    setup.set("quarantine.never", "['*']");
    let (code, said) = run_for(&setup, &["check"]).await;
    assert!(code == 2 && said.contains("quarantine.never"), "{code} {said}");
}
