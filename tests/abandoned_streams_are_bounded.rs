//! Thousands of HTTP/2 streams that are opened and left take no more than their caller's share, and all of it comes back.

use crate::support::{ALICE, App, BOB, Bystander, Raw, Setup, eventually, policy};

const CONNECTIONS: u32 = 10;
const STREAMS: u32 = 200;
/// One identity's share: half of 1,000.
const SHARE: usize = 500;

#[tokio::test]
async fn of_one_identity() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    // Not what this is about, and the machine may be busy.
    setup.set("timeouts.handshake", "'30s'");
    setup.set("limits.in_flight", "1000");
    let sidecar = setup.start(&app).await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let cert = setup.cert(ALICE);
    let mut attackers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut raw = Raw::http2(sidecar.inbound(), &cert).await;
        for stream in (0..STREAMS).map(|at| 2 * at + 1) {
            // A body that never comes.
            let head = raw.head("POST", "/hold/left");
            raw.headers(stream, &head, false).await;
        }
        attackers.push(raw);
    }
    let more = usize::try_from(CONNECTIONS * STREAMS).unwrap() - SHARE;
    let refused = || sidecar.records().iter().filter(|record| record["reason"] == "shed_identity").count();
    eventually("everything above the share to be refused", async || (refused() >= more).then_some(())).await;
    assert_eq!(refused(), more);
    assert_eq!(sidecar.metric("countersign_requests_total", &["direction=\"inbound\"", "decision=\"refused\""]).await, more as f64);
    bystander.goes_on().await;
    // They stay open for as long as they like, and are given back with their connections.
    assert!(app.seen().iter().filter(|seen| seen.target == "/hold/left").count() <= SHARE);
    drop(attackers);
    bystander.outlives(&sidecar).await;
    eventually("nothing in flight", async || (sidecar.status().await?["in_flight"]["inbound"] == 0).then_some(())).await;
}
