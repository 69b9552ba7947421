//! At `[limits] connections` further ones wait, and are served once there is room.

use crate::support::{ALICE, App, Peer, Setup};
use http::StatusCode;
use std::time::Duration;
use tokio::time::timeout;

const CAP: usize = 4;

#[tokio::test]
async fn the_next_connection_waits_for_one_that_ends() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("limits.connections", &CAP.to_string());
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut open = Vec::new();
    for _ in 0..CAP {
        let mut peer = Peer::http1(sidecar.inbound(), &alice).await;
        assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
        open.push(peer);
    }
    sidecar.metric_reaches("countersign_connections", &["direction=\"inbound\""], CAP as f64).await;

    for round in 0..3 {
        let mut next = Box::pin(Peer::http2(sidecar.inbound(), &alice));
        assert!(timeout(Duration::from_millis(400), &mut next).await.is_err(), "there was no room for it in round {round}");
        assert_eq!(sidecar.metric("countersign_connections", &["direction=\"inbound\""]).await, CAP as f64);
        // Who is in is served all the same.
        for peer in &mut open {
            assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
        }
        drop(open.remove(0));
        let mut next = next.await;
        assert_eq!(next.get("/orders").await.status, StatusCode::OK);
        open.push(next);
    }
    drop(open);
    crate::support::eventually("no open connection", async || {
        (sidecar.metric("countersign_connections", &["direction=\"inbound\""]).await == 0.0).then_some(())
    })
    .await;
}

/// The cap's other way to recover: what holds the places and says nothing is cut by its own time-outs.
#[tokio::test]
async fn silent_connections_give_their_places_back() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("limits.connections", &CAP.to_string()).set("timeouts.handshake", "'500ms'").set("timeouts.idle", "'500ms'");
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut silent = Vec::new();
    for _ in 0..2 * CAP {
        silent.push(tokio::net::TcpStream::connect(sidecar.inbound()).await.unwrap());
    }
    let mut idle = Vec::new();
    for _ in 0..2 * CAP {
        let mut peer = Peer::http1(sidecar.inbound(), &alice).await;
        assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
        idle.push(peer);
    }
}
