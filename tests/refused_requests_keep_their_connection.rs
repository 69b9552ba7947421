//! A refused request is over with its answer: its connection counts as idle from then on, not as one whose head is still on its way.

use crate::support::frames::GOAWAY;
use crate::support::{ALICE, App, BOB, Peer, Setup, policy};
use http::StatusCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longer than `head` and, for HTTP/2, longer than `idle` as well.
const LONG: Duration = Duration::from_secs(5);

/// A connection on which one request after the other is refused outlives `[timeouts] head` and `[timeouts] idle`, which both bound only what is
/// between requests; and the request after them is served.
#[tokio::test]
async fn they_may_go_on_for_longer_than_any_time_out() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.head", "'1s'").set("timeouts.idle", "'3s'");
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/open/**")]));
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(BOB);
    for http2 in [false, true] {
        // One after the other: the second would idle meanwhile.
        let mut bob = if http2 { Peer::http2(sidecar.inbound(), &cert).await } else { Peer::http1(sidecar.inbound(), &cert).await };
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            let answer = bob.get("/closed").await;
            assert_eq!((answer.status, answer.header("connection")), (StatusCode::FORBIDDEN, ""), "{}", bob.name());
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(bob.get("/open/door").await.status, StatusCode::OK, "{}", bob.name());
        assert!(bob.facts().is_open(), "{}", bob.name());
        assert!(bob.facts().frames.of(GOAWAY).is_empty(), "told to go while it was in use");
    }
    assert_eq!(sidecar.metric("countersign_cuts_total", &[]).await, 0.0);
}

/// A pause that is longer than `[timeouts] head` and shorter than `[timeouts] idle` costs a refused client nothing.
#[tokio::test]
async fn a_pause_after_one_is_idleness() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.head", "'500ms'");
    let sidecar = setup.start(&app).await;
    for mut bob in Peer::both(sidecar.inbound(), &setup.cert(BOB)).await {
        assert_eq!(bob.get("/closed").await.status, StatusCode::FORBIDDEN);
        // Nothing is to be seen: that is the property.
        sleep(Duration::from_secs(2)).await;
        assert!(bob.facts().is_open(), "{}", bob.name());
        assert_eq!(bob.get("/closed").await.status, StatusCode::FORBIDDEN, "{}", bob.name());
    }
}
