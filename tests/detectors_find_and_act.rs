//! What is suspicious in the records becomes a finding; told to act, the certificate is in quarantine, and nobody else is.

use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::TestCert;
use http::StatusCode;
use rustix::process::Signal;
use serde_json::Value;

fn serial(cert: &TestCert) -> String {
    Leaf::parse(&cert.chain[0]).unwrap().serial
}

fn of_kind(sidecar: &Sidecar, kind: &str) -> Vec<Value> {
    sidecar.records().into_iter().filter(|record| record["kind"] == kind).collect()
}

fn by(sidecar: &Sidecar, detector: &str) -> Vec<Value> {
    of_kind(sidecar, "finding").into_iter().filter(|record| record["detector"] == detector).collect()
}

/// Asks for eleven paths that are not allowed.
async fn scan(peer: &mut Peer) {
    for path in 0..11 {
        assert_eq!(peer.get(&format!("/admin/{path}")).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_scan_is_told_and_nothing_else_by_default() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/orders/**")]));
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &cert).await;
    assert_eq!(http1.get("/orders/1").await.status, StatusCode::OK);
    scan(&mut http1).await;
    let finding = sidecar.record("the scan", |record| record["detector"] == "scanning").await;
    let expected = [("severity", "high"), ("response", "would_quarantine"), ("dir", "inbound")];
    assert!(expected.iter().all(|(key, value)| finding[*key] == *value), "{finding}");
    assert_eq!((&finding["src"]["id"], &finding["cert"]["serial"]), (&ALICE.into(), &serial(&cert).into()), "{finding}");
    assert_eq!(
        (&finding["count"], &finding["window_s"], &finding["src"]["ip"]),
        (&11.into(), &60.into(), &"127.0.0.1".into()),
        "{finding}"
    );
    for id in finding["evidence"].as_array().unwrap() {
        assert_eq!(sidecar.record_of(id.as_str().unwrap()).await["decision"], "deny");
    }
    assert_eq!(http2.get("/orders/1").await.status, StatusCode::OK, "nothing was done");
    assert!(of_kind(&sidecar, "action").is_empty());
    assert_eq!(sidecar.metric("countersign_findings_total", &["detector=\"scanning\"", "response=\"would_quarantine\""]).await, 1.0);
    sidecar.log_line("distinct paths denied within 60 s").await;
    assert_eq!((by(&sidecar, "new_edge").len(), by(&sidecar, "new_issuer").len()), (1, 1), "once, whatever the connections");
}

#[tokio::test]
async fn told_to_act_it_stops_the_certificate_and_no_other_replica() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/orders/**")]));
    let sidecar = setup.set("detect.scanning.mode", "'act'").start(&app).await;
    let (bad, good) = (setup.cert(ALICE), setup.cert(ALICE));
    let [mut thief, mut beside] = Peer::both(sidecar.inbound(), &bad).await;
    let mut replica = Peer::http2(sidecar.inbound(), &good).await;
    for peer in [&mut beside, &mut replica] {
        assert_eq!(peer.get("/orders/1").await.status, StatusCode::OK);
    }
    scan(&mut thief).await;
    // On both connections that the certificate has: what it may ask for is refused now.
    for peer in [&mut thief, &mut beside] {
        eventually("the quarantine", async || (peer.get("/orders/1").await.status == StatusCode::FORBIDDEN).then_some(())).await;
        assert!(peer.facts().is_open());
    }
    assert_eq!(replica.get("/orders/1").await.status, StatusCode::OK, "the same identity with its own certificate");
    let action = sidecar.record("the action", |record| record["kind"] == "action").await;
    assert_eq!((&action["action"], &action["by"]), (&"quarantine_add".into(), &"detector:scanning".into()), "{action}");
    assert_eq!((&action["cert"]["serial"], &action["src"]["id"]), (&serial(&bad).into(), &ALICE.into()), "{action}");
    let finding = &by(&sidecar, "scanning")[0];
    assert_eq!(finding["response"], "quarantined");
    assert_eq!(action["seq"], finding["seq"].as_u64().unwrap() + 1, "each action stands behind its finding");
}

#[tokio::test]
async fn the_guard_rails_hold() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/orders/**"), ("bob", BOB, "/orders/**")]));
    setup.set("detect.scanning.mode", "'act'").set("quarantine.never", &format!("['{BOB}']")).set("quarantine.max", "1");
    let sidecar = setup.start(&app).await;
    let mut peers = Vec::new();
    for id in [BOB, ALICE, ALICE] {
        let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(id)).await;
        scan(&mut peer).await;
        let expected = peers.len() + 1;
        eventually("its finding", async || (by(&sidecar, "scanning").len() == expected).then_some(())).await;
        peers.push(peer);
    }
    let responses: Vec<_> = by(&sidecar, "scanning").into_iter().map(|record| record["response"].clone()).collect();
    assert_eq!(responses, ["refused_never", "quarantined", "refused_cap"]);
    let refusals: Vec<_> = of_kind(&sidecar, "action").into_iter().map(|record| record["refused"].clone()).collect();
    assert_eq!(refusals, [Value::from("never"), Value::Null, "cap".into()]);
    for (peer, status) in peers.iter_mut().zip([StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::OK]) {
        assert_eq!(peer.get("/orders/1").await.status, status);
    }
}

#[tokio::test]
async fn a_reload_changes_what_is_looked_for_and_one_that_fails_is_found() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/orders/**")]));
    let sidecar = setup.set("detect.scanning.mode", "'off'").start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    scan(&mut peer).await;
    // The writer has seen them all, by the settings that ask for nothing.
    sidecar.record("the last of them", |record| record["http"]["path"] == "/admin/10").await;
    setup.set("detect.scanning.mode", "'act'").set("detect.scanning.paths", "3").write_config();
    sidecar.signal(Signal::HUP);
    sidecar.log_line("configuration reloaded").await;
    for path in 0..4 {
        assert_eq!(peer.get(&format!("/other/{path}")).await.status, StatusCode::FORBIDDEN);
    }
    eventually("the quarantine", async || (peer.get("/orders/1").await.status == StatusCode::FORBIDDEN).then_some(())).await;
    let finding = sidecar.record("the scan", |record| record["detector"] == "scanning").await;
    assert_eq!((&finding["count"], &finding["response"]), (&4.into(), &"quarantined".into()), "{finding}");
    let found: Vec<_> = by(&sidecar, "scanning").into_iter().map(|record| record["id"].clone()).collect();
    assert_eq!(found, [finding["id"].clone()], "one, whatever else it asked for before it was stopped");
    setup.write_policy("nonsense");
    let finding = sidecar.record("the reload", |record| record["detector"] == "reload_failed").await;
    assert!(finding["message"].as_str().unwrap().contains("policy.toml"), "{finding}");
}
