//! Whatever ends a request ends a tunnel: idleness, a certificate, a new table, the drain, a side that goes, a fault. Both sides end, and the record
//! says why.

use crate::support::expiry::{EARLY, LATE, LIFE, MovedClock, ended, whole_second};
use crate::support::frames::GOAWAY;
use crate::support::websocket::{End, SocketApp, WebSocket};
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, policy};
use countersign::testing::pki::LeafOptions;
use http::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_tungstenite::tungstenite::Message;

/// A sidecar in front of an app that speaks WebSocket.
async fn started(setup: &mut Setup) -> (SocketApp, Sidecar) {
    let app = SocketApp::start().await;
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    (app, sidecar)
}

/// One open WebSocket over each protocol, with its path.
async fn opened(sidecar: &Sidecar, setup: &Setup) -> [(&'static str, WebSocket); 2] {
    let cert = setup.cert(ALICE);
    let mut sockets = [
        ("/http1", WebSocket::http1(sidecar.inbound(), &cert, "/http1").await),
        ("/http2", WebSocket::http2(sidecar.inbound(), &cert, "/http2").await),
    ]
    .map(|(path, socket)| (path, socket.unwrap()));
    for (path, socket) in &mut sockets {
        socket.echo(path).await;
    }
    sockets
}

/// The record of the end of the tunnel to `path`.
async fn end_of(sidecar: &Sidecar, path: &str) -> Value {
    sidecar.record(path, |record| record["http"]["path"] == path && record["phase"] == "end").await
}

#[tokio::test]
async fn that_idles() {
    let mut setup = Setup::new();
    setup.set("timeouts.tunnel_idle", "'1500ms'").set("timeouts.idle", "'500ms'");
    let (app, sidecar) = started(&mut setup).await;
    let begun = Instant::now();
    let mut busy = WebSocket::http1(sidecar.inbound(), &setup.cert(ALICE), "/busy").await.unwrap();
    for (path, mut socket) in opened(&sidecar, &setup).await {
        // One that is used goes on beside it, also past the time-outs that are for HTTP.
        while end_of_now(&sidecar, path).is_none() {
            busy.echo("still here").await;
            assert!(begun.elapsed() < Duration::from_secs(30), "{path} does not end");
        }
        socket.torn().await;
        let record = end_of(&sidecar, path).await;
        assert_eq!(record["close_reason"], "tunnel_idle", "{record}");
        assert!(record["total_us"].as_u64() >= Some(1_400_000), "{record}");
    }
    busy.echo("and still").await;
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
    sidecar.metric_reaches("countersign_tunnels_ended_total", &["reason=\"tunnel_idle\""], 2.0).await;
}

fn end_of_now(sidecar: &Sidecar, path: &str) -> Option<Value> {
    sidecar.records().into_iter().find(|record| record["http"]["path"] == path && record["phase"] == "end")
}

#[tokio::test]
async fn whose_certificate_ends() {
    let mut setup = Setup::new();
    setup.set("timeouts.drain_grace", "'60s'");
    let clock = MovedClock::of(&mut setup);
    let (app, sidecar) = started(&mut setup).await;
    let end = SystemTime::now() + Duration::from_secs(1_800);
    let cert = setup.ca.issue_with(&LeafOptions { not_after: end, ..LeafOptions::id(ALICE) });
    let mut sockets = WebSocket::both(sidecar.inbound(), &cert, "/ws").await.map(Result::unwrap);
    for socket in &mut sockets {
        socket.echo("before the end").await;
    }
    assert!(sockets[1].connection.as_ref().unwrap().1.frames.of(GOAWAY).is_empty());

    // Nothing can be announced inside a tunnel; around it, HTTP/2 says GOAWAY.
    clock.show(end - Duration::from_secs(59));
    let announced = sockets[1].connection.as_ref().unwrap().1.frames.first(GOAWAY).await;
    assert_eq!(announced.code(), 0);
    for socket in &mut sockets {
        socket.echo("until the end").await;
    }

    clock.show(end);
    for mut socket in sockets {
        socket.torn().await;
    }
    let records = eventually("two ends", async || {
        let ends: Vec<_> = sidecar.records().into_iter().filter(|record| record["phase"] == "end").collect();
        (ends.len() == 2).then_some(ends)
    });
    for record in records.await {
        assert_eq!(record["close_reason"], "expired", "{record}");
    }
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
    sidecar.metric_reaches("countersign_tunnels_ended_total", &["reason=\"expired\""], 2.0).await;
}

#[tokio::test]
async fn that_a_new_table_forbids() {
    let mut setup = Setup::new();
    let (app, sidecar) = started(&mut setup).await;
    let sockets = opened(&sidecar, &setup).await;
    let mut kept = WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/kept").await.unwrap();
    setup.write_policy(&policy(&[("alice", ALICE, "/kept")]));
    for (path, mut socket) in sockets {
        socket.torn().await;
        assert_eq!(end_of(&sidecar, path).await["close_reason"], "policy_changed");
    }
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
    kept.echo("still allowed").await;
}

#[tokio::test]
async fn whose_rule_ends() {
    let mut setup = Setup::new();
    let end = whole_second(SystemTime::now() + LIFE);
    let text = OffsetDateTime::from(end).format(&Rfc3339).unwrap();
    let ending = policy(&[("kept", ALICE, "/kept"), ("ending", ALICE, "/{protocol}")]);
    setup.write_policy(&format!("{ending}methods = ['GET']\nexpires = '{text}'\n"));
    let (app, sidecar) = started(&mut setup).await;
    let sockets = opened(&sidecar, &setup).await;
    let mut kept = WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/kept").await.unwrap();
    for (path, mut socket) in sockets {
        socket.torn().await;
        let record = end_of(&sidecar, path).await;
        assert_eq!(record["close_reason"], "policy_changed", "{record}");
        let ended = ended(&record);
        assert!(ended + EARLY > end && ended < end + LATE, "ended at {ended:?}, the rule ended at {end:?}");
    }
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
    kept.echo("by another rule").await;
}

#[tokio::test]
async fn at_the_end_of_the_drain() {
    let mut setup = Setup::new();
    setup.set("timeouts.drain", "'3s'");
    let (app, mut sidecar) = started(&mut setup).await;
    let mut sockets = opened(&sidecar, &setup).await;
    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    sockets[1].1.connection.as_ref().unwrap().1.frames.first(GOAWAY).await;
    for (_, socket) in &mut sockets {
        socket.echo("what is open may finish").await;
    }
    for (_, mut socket) in sockets {
        socket.torn().await;
    }
    assert_eq!(sidecar.exit().await.code(), Some(3), "something had to be cut");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    for path in ["/http1", "/http2"] {
        assert_eq!(end_of(&sidecar, path).await["close_reason"], "drained");
    }
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
}

#[tokio::test]
async fn that_closes_while_it_drains() {
    let mut setup = Setup::new();
    setup.set("timeouts.drain", "'60s'");
    let (app, mut sidecar) = started(&mut setup).await;
    let sockets = opened(&sidecar, &setup).await;
    sidecar.signal(Signal::TERM);
    sockets[1].1.connection.as_ref().unwrap().1.frames.first(GOAWAY).await;
    for (_, socket) in sockets {
        socket.close().await;
    }
    assert_eq!(sidecar.exit().await.code(), Some(0), "a drain whose tunnels ended loses nothing");
    assert_eq!(app.ended(2).await, [End::Closed, End::Closed]);
}

/// A client that is gone without a word, also as a stream that HTTP/2 resets.
#[tokio::test]
async fn whose_client_goes() {
    let mut setup = Setup::new();
    let (app, sidecar) = started(&mut setup).await;
    for (path, socket) in opened(&sidecar, &setup).await {
        drop(socket);
        assert_eq!(end_of(&sidecar, path).await["close_reason"], "client_closed");
    }
    let mut reset = WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/reset").await.unwrap();
    reset.echo("before").await;
    let connection = reset.connection.take().unwrap();
    drop(reset);
    assert_eq!(end_of(&sidecar, "/reset").await["close_reason"], "client_closed");
    assert!(connection.1.is_open(), "only the stream was reset");
    assert_eq!(app.ended(3).await, [End::Torn; 3]);
}

#[tokio::test]
async fn in_which_something_goes_wrong() {
    let mut setup = Setup::new();
    let (app, sidecar) = started(&mut setup).await;
    let [(_, mut http1), (_, mut http2)] = opened(&sidecar, &setup).await;
    let mut beside = WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/beside").await.unwrap();
    // The client's own frames are masked; the fault is provoked on the way back.
    for (path, socket) in [("/http1", &mut http1), ("/http2", &mut http2)] {
        socket.send(Message::text("panic-in-body")).await;
        socket.torn().await;
        assert_eq!(end_of(&sidecar, path).await["close_reason"], "panic");
    }
    sidecar.metric_reaches("countersign_panics_total", &[], 2.0).await;
    assert_eq!(app.ended(2).await, [End::Torn, End::Torn]);
    beside.echo("nobody else noticed").await;
}

/// A tunnel is a request under way and its connection a connection.
#[tokio::test]
async fn and_only_then_makes_room() {
    let mut setup = Setup::new();
    setup.set("limits.in_flight", "2").set("limits.in_flight_per_identity", "1.0");
    let (_app, sidecar) = started(&mut setup).await;
    let cert = setup.cert(ALICE);
    let sockets = opened(&sidecar, &setup).await;
    assert_eq!(WebSocket::http1(sidecar.inbound(), &cert, "/third").await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    // The third connection may take a moment to end.
    let two = async || (sidecar.status().await?["connections"]["inbound"] == 2).then_some(());
    eventually("two connections, those of the tunnels", two).await;
    for (_, socket) in sockets {
        socket.close().await;
    }
    eventually("room", async || WebSocket::http1(sidecar.inbound(), &cert, "/fourth").await.ok()).await.echo("room").await;
}

/// What the app says to an extended CONNECT is an answer to the client only where it is unambiguous.
#[tokio::test]
async fn before_it_begins_where_the_app_does_not_speak_websocket() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    assert_eq!(WebSocket::http2(sidecar.inbound(), &setup.cert(ALICE), "/ws").await.err(), Some(StatusCode::BAD_GATEWAY));
    let record = sidecar.record("/ws", |record| record["http"]["path"] == "/ws").await;
    assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("not_switched"), Some(502)), "{record}");
    let seen = app.got("/ws").await;
    assert_eq!(seen.headers.get("upgrade").unwrap(), "websocket");
    assert_eq!(seen.headers.get("sec-websocket-key").unwrap().len(), 24);
    // Over HTTP/1.1 a 200 is what it is.
    assert_eq!(WebSocket::http1(sidecar.inbound(), &setup.cert(ALICE), "/ws").await.err(), Some(StatusCode::OK));
    assert_eq!(Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await.get("/other").await.status, StatusCode::OK);
}
