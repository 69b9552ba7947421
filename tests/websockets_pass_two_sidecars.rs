//! A WebSocket of the local app goes through its own sidecar and the peer's, over HTTP/1.1 between them, and only to the peer that the route expects.

use crate::support::client::Peer;
use crate::support::expiry::{EARLY, LATE, LIFE, ended, ending};
use crate::support::setup::ORDERS;
use crate::support::websocket::{End, SocketApp, WebSocket};
use crate::support::{ALICE, Setup, Sidecar, eventually};
use countersign::testing::pki::LeafOptions;
use http::StatusCode;
use std::time::SystemTime;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// The sidecar beside Alice, whose upstreams `[[upstream]]` tables describe. Its certificate comes from the other's authority.
async fn near(far: &Setup, own: &LeafOptions, upstreams: &[String]) -> (Setup, Sidecar) {
    let mut near = Setup::new();
    far.ca.write_root(near.dir.path(), "roots.pem");
    far.ca.issue_with(own).write(near.dir.path(), "orders");
    near.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("workload.id", &format!("'{ALICE}'"));
    for upstream in upstreams {
        near.table("upstream", upstream);
    }
    let sidecar = Sidecar::start(&near).await;
    (near, sidecar)
}

fn upstream(host: &str, id: &str, sidecar: &Sidecar, protocol: &str) -> String {
    format!("hosts = ['{host}']\nid = '{id}'\naddress = '{}'\nprotocol = '{protocol}'", sidecar.inbound())
}

#[tokio::test]
async fn and_is_recorded_at_both() {
    let (app, mut far) = (SocketApp::start().await, Setup::new());
    let there = Sidecar::start(far.in_front_of(app.address)).await;
    let (_near, here) = near(&far, &LeafOptions::id(ALICE), &[upstream("orders", ORDERS, &there, "auto")]).await;
    for (socket, version) in WebSocket::app_both(here.outbound(), "orders", "/chat").await.into_iter().zip(["1.1", "2"]) {
        let mut socket = socket.unwrap();
        assert_eq!(socket.headers.get("x-app").unwrap(), "yes");
        let large = Bytes::from(vec![b'x'; 1 << 20]);
        socket.send(Message::Binary(large.clone())).await;
        assert!(socket.next().await.unwrap().unwrap() == Message::Binary(large));
        socket.echo("through both").await;
        socket.close().await;
        let ours = here.record("our end", |record| record["phase"] == "end" && record["http"]["version"] == version).await;
        assert_eq!((ours["dir"].as_str(), ours["rule"].as_str()), (Some("outbound"), Some("upstream:orders")), "{ours}");
        assert_eq!(ours["dst"]["id"], ORDERS, "{ours}");
        assert!(ours["bytes_in"].as_u64() > Some(1 << 20) && ours["bytes_out"].as_u64() > Some(1 << 20), "{ours}");
    }
    let theirs = eventually("both tunnels there", async || {
        let ends: Vec<_> = there.records().into_iter().filter(|record| record["phase"] == "end").collect();
        (ends.len() == 2).then_some(ends)
    });
    for record in theirs.await {
        assert_eq!((record["src"]["id"].as_str(), record["http"]["status"].as_u64()), (Some(ALICE), Some(101)), "{record}");
        // Everything else goes over HTTP/2 where the peer speaks it.
        assert_eq!(record["tls"]["alpn"], "http/1.1", "{record}");
    }
    assert_eq!(app.ended(2).await, [End::Closed, End::Closed]);
    assert!(app.seen().iter().all(|seen| seen.headers.get("x-countersign-peer").unwrap() == ALICE));
    for sidecar in [&here, &there] {
        sidecar.metric_reaches("countersign_tunnels_ended_total", &[], 2.0).await;
        assert_eq!(sidecar.metric("countersign_tunnels", &[]).await, 0.0);
    }
}

#[tokio::test]
async fn or_nothing_is_sent() {
    let (app, mut far) = (SocketApp::start().await, Setup::new());
    let there = Sidecar::start(far.in_front_of(app.address)).await;
    let upstreams = [
        upstream("imposter", "spiffe://test.example/payments", &there, "auto"),
        upstream("http2", ORDERS, &there, "h2"),
        upstream("orders", ORDERS, &there, "auto"),
    ];
    let (_near, here) = near(&far, &LeafOptions::id(ALICE), &upstreams).await;
    for (host, reason) in [("imposter", "peer_identity_mismatch"), ("http2", "peer_no_http1")] {
        for socket in WebSocket::app_both(here.outbound(), host, "/chat").await {
            assert_eq!(socket.err(), Some(StatusCode::BAD_GATEWAY), "{host}");
        }
        here.record(reason, |record| record["close_reason"] == reason).await;
    }
    assert!(app.seen().is_empty());
    // What the app there says is what the app here gets.
    for socket in WebSocket::app_both(here.outbound(), "orders", "/refused").await {
        assert_eq!(socket.err(), Some(StatusCode::BAD_REQUEST));
    }
    // Such a connection is nobody else's: an ordinary request dials its own.
    let answer = Peer::app_http1(here.outbound()).await.ask("orders", "/plain").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "an app that speaks WebSocket alone");
    let request = |record: &serde_json::Value| record["http"]["path"] == "/plain" && record["tls"]["alpn"] == "h2";
    there.record("a request over HTTP/2", request).await;
}

/// The nearer certificate of the two ends it on both sides.
#[tokio::test]
async fn until_a_certificate_ends() {
    let (app, mut far) = (SocketApp::start().await, Setup::new());
    let there = Sidecar::start(far.in_front_of(app.address)).await;
    let own = ending(ALICE);
    let (_near, here) = near(&far, &own, &[upstream("orders", ORDERS, &there, "auto")]).await;
    let mut sockets = WebSocket::app_both(here.outbound(), "orders", "/chat").await.map(Result::unwrap);
    for socket in &mut sockets {
        socket.echo("until the end").await;
    }
    assert!(SystemTime::now() < own.not_after, "this machine is too slow for a certificate of {LIFE:?}");
    for socket in &mut sockets {
        socket.torn().await;
    }
    for sidecar in [&here, &there] {
        let ends = eventually("two ends", async || {
            let ends: Vec<_> = sidecar.records().into_iter().filter(|record| record["phase"] == "end").collect();
            (ends.len() == 2).then_some(ends)
        });
        for record in ends.await {
            let at = ended(&record);
            assert!(at + EARLY > own.not_after && at < own.not_after + LATE, "ended at {at:?}: {record}");
        }
    }
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
}
