//! Above `[limits] in_flight`, and above one identity's share of it, requests are refused at once, recorded, and taken again afterwards.

use crate::support::client::{Answer, Peer, at, get};
use crate::support::{ALICE, App, BOB, Remote, Setup, Sidecar, eventually, policy, within};
use http::StatusCode;

const CAROL: &str = "spiffe://test.example/carol";
const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn one_identity_holds_no_more_than_its_share() {
    let (app, setup, sidecar) = start().await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    // Two of four, over two connections.
    let held = [http1.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        shed(&sidecar, peer.get("/more").await, "shed_identity", "").await;
        assert!(peer.facts().is_open());
    }
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.get("/more").await.status, StatusCode::OK, "others have their own share");

    app.release();
    for answer in held {
        assert_eq!(within("a held answer", answer).await.unwrap().status(), StatusCode::OK);
    }
    recovers(&mut http2).await;
    assert!(!app.seen().iter().any(|seen| seen.target == "/more" && !forwarded_for(seen, BOB)), "what is shed never reaches the app");
}

#[tokio::test]
async fn all_together_hold_no_more_than_the_limit() {
    let (app, setup, sidecar) = start().await;
    let mut held = Vec::new();
    for (name, id) in [("alice", ALICE), ("bob", BOB)] {
        let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(id)).await;
        for turn in 0..2 {
            held.push(peer.begin(get(&format!("/hold/{name}/{turn}"))));
            app.got(&format!("/hold/{name}/{turn}")).await;
        }
    }
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(CAROL)).await;
    for peer in [&mut http1, &mut http2] {
        shed(&sidecar, peer.get("/more").await, "shed", "").await;
    }
    // The gauge is set once a second.
    sidecar.metric_reaches("countersign_requests_in_flight", &["direction=\"inbound\""], 4.0).await;
    app.release();
    for answer in held {
        assert_eq!(within("a held answer", answer).await.unwrap().status(), StatusCode::OK);
    }
    recovers(&mut http1).await;
    recovers(&mut http2).await;
}

/// A client that goes away gives its place back although the app still works on the answer.
#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let (app, setup, sidecar) = start().await;
    let alice = setup.cert(ALICE);
    for turn in 0..4 {
        let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &alice).await;
        let held = [http1.begin(get(&format!("/hold/1/{turn}"))), http2.begin(get(&format!("/hold/2/{turn}")))];
        app.got(&format!("/hold/1/{turn}")).await;
        app.got(&format!("/hold/2/{turn}")).await;
        drop((held, http1, http2));
        let mut next = Peer::http1(sidecar.inbound(), &alice).await;
        recovers(&mut next).await;
    }
}

#[tokio::test]
async fn outbound_has_the_same_limit_and_says_why() {
    let mut setup = Setup::new();
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("limits.in_flight", "2");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = Sidecar::start(&setup).await;
    let [mut http1, mut http2] = Peer::app_both(sidecar.outbound()).await;
    let held = [http1.begin(at("payments", "/hold/1")), http2.begin(at("payments", "/hold/2"))];
    remote.got("/hold/1").await;
    remote.got("/hold/2").await;
    let mut more = Peer::app_http1(sidecar.outbound()).await;
    shed(&sidecar, more.ask("payments", "/more").await, "shed", "shed").await;
    remote.release();
    for answer in held {
        assert_eq!(within("a held answer", answer).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(eventually("room again", async || room(more.ask("payments", "/again").await)).await, StatusCode::OK);
}

async fn start() -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("limits.in_flight", "4").set("limits.in_flight_per_identity", "0.5");
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**"), ("carol", CAROL, "/**")]));
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

fn forwarded_for(seen: &crate::support::app::Seen, id: &str) -> bool {
    seen.headers.get("x-countersign-peer").is_some_and(|peer| peer == id)
}

async fn shed(sidecar: &Sidecar, answer: Answer, reason: &str, told: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("x-countersign-reason"), told);
    let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
    assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some(reason)));
    assert_eq!(record["http"]["status"], 503);
}

/// An answer's last byte may be read before its place is free.
async fn recovers(peer: &mut Peer) {
    for _ in 0..3 {
        assert_eq!(eventually("room again", async || room(peer.get("/again").await)).await, StatusCode::OK);
    }
}

fn room(answer: Answer) -> Option<StatusCode> {
    Some(answer.status).filter(|status| *status != StatusCode::SERVICE_UNAVAILABLE)
}
