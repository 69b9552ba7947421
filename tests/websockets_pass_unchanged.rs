//! A WebSocket passes as its two ends speak it, over both protocols, and the record says so at both ends.

use crate::support::websocket::{End, SocketApp, WebSocket};
use crate::support::{ALICE, BOB, Setup, Sidecar, eventually, policy};
use http::StatusCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::test]
async fn messages_of_every_kind_and_size() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let sidecar = setup.in_front_of(app.address);
    let sidecar = Sidecar::start(sidecar).await;
    for (socket, status) in WebSocket::both(sidecar.inbound(), &setup.cert(ALICE), "/chat/1?x=y").await.into_iter().zip([101, 200]) {
        let mut socket = socket.unwrap();
        assert_eq!(socket.headers.get("x-app").unwrap(), "yes");
        assert!(!socket.headers.contains_key("x-countersign-decision"), "nobody but us speaks in our name");
        assert_eq!(socket.headers.contains_key("sec-websocket-accept"), status == 101);
        let opened = sidecar.record("the opened tunnel", |record| record["phase"] == "open" && record["http"]["status"] == status).await;
        assert_eq!((opened["http"]["method"].as_str(), opened["http"]["path"].as_str()), (Some("GET"), Some("/chat/1")), "{opened}");
        assert_eq!((opened["decision"].as_str(), opened["rule"].as_str()), (Some("allow"), Some("alice")));
        sidecar.metric_reaches("countersign_tunnels", &["direction=\"inbound\""], 1.0).await;

        socket.echo("a small one").await;
        let large = Bytes::from((0..4 << 20).map(|at| (at * 7 % 251) as u8).collect::<Vec<_>>());
        socket.send(Message::Binary(large.clone())).await;
        assert!(socket.next().await.unwrap().unwrap() == Message::Binary(large), "a large message changed on its way");
        socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await;
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"are you there")));
        socket.close().await;

        let id = opened["id"].as_str().unwrap();
        let ended = sidecar.record("its end", |record| record["id"] == id && record["phase"] == "end").await;
        assert_eq!(ended["time"], opened["time"], "both bear the decision's time");
        for bytes in ["bytes_in", "bytes_out"] {
            assert!(ended[bytes].as_u64().unwrap() > 4 << 20, "{ended}");
        }
        let reason = ended["close_reason"].as_str().unwrap();
        assert!(["client_closed", "app_closed"].contains(&reason), "{ended}");
        assert!(ended["total_us"].as_u64() > Some(0) && ended["http"]["status"] == status, "{ended}");
    }
    assert_eq!(app.ended(2).await, [End::Closed, End::Closed]);
    for seen in app.seen() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/chat/1?x=y"));
        assert_eq!(seen.headers.get("x-countersign-peer").unwrap(), ALICE);
        assert_eq!(seen.headers.get_all("connection").iter().collect::<Vec<_>>(), ["upgrade"]);
        assert_eq!(seen.headers.get_all("upgrade").iter().collect::<Vec<_>>(), ["websocket"]);
    }
    eventually("no open tunnel", async || (sidecar.metric("countersign_tunnels", &[]).await == 0.0).then_some(())).await;
    sidecar.metric_reaches("countersign_tunnels_ended_total", &["direction=\"inbound\""], 2.0).await;
    assert_eq!(sidecar.metric("countersign_failures_total", &[]).await, 0.0);
}

#[tokio::test]
async fn the_app_refuses_as_it_would_any_request() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    for socket in WebSocket::both(sidecar.inbound(), &setup.cert(ALICE), "/refused").await {
        assert_eq!(socket.err(), Some(StatusCode::BAD_REQUEST));
    }
    let refused =
        |record: &serde_json::Value| record["http"]["status"] == 400 && record["decision"] == "allow" && record["phase"].is_null();
    sidecar.record("an answer that is no tunnel", refused).await;
    assert_eq!(sidecar.metric("countersign_tunnels_ended_total", &[]).await, 0.0);
}

#[tokio::test]
async fn who_is_denied_gets_403_and_the_app_sees_nothing() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    for socket in WebSocket::both(sidecar.inbound(), &setup.cert(BOB), "/chat").await {
        assert_eq!(socket.err(), Some(StatusCode::FORBIDDEN));
    }
    let denials = eventually("two denials", async || {
        let denials = sidecar.records().into_iter().filter(|record| record["decision"] == "deny").collect::<Vec<_>>();
        (denials.len() == 2).then_some(denials)
    });
    let denials = denials.await;
    assert!(denials.iter().all(|record| record["reason"] == "implicit_deny" && record["http"]["method"] == "GET"), "{denials:?}");
    assert!(app.seen().is_empty());
}

/// Extended CONNECT is decided as the GET that it stands for.
#[tokio::test]
async fn extended_connect_is_denied_where_get_is() {
    let (app, mut setup) = (SocketApp::start().await, Setup::new());
    let deny = "[[rule]]\nid = 'no-ws'\neffect = 'deny'\nfrom = { any_authenticated = true }\nmethods = ['GET']\npaths = ['/ws']\n";
    setup.write_policy(&(policy(&[("alice", ALICE, "/**")]) + deny));
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    assert_eq!(WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/ws").await.err(), Some(StatusCode::FORBIDDEN));
    let record = sidecar.record("the denial", |record| record["decision"] == "deny").await;
    assert_eq!((record["reason"].as_str(), record["rule"].as_str()), (Some("explicit_deny"), Some("no-ws")), "{record}");
    assert_eq!((record["http"]["method"].as_str(), record["http"]["version"].as_str()), (Some("GET"), Some("2")), "{record}");
    assert!(app.seen().is_empty());
    // The broad allow holds beside it.
    WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/other").await.unwrap().echo("hello").await;
}
