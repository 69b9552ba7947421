//! After each rotation the sidecar hand-shakes with its own listener, and tells when that does not show the new certificate. Nobody else notices.

use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, setup};
use countersign::testing::pki::LeafOptions;
use http::StatusCode;
use serde_json::Value;

const PROBES: &str = "countersign_self_probes_total";

#[tokio::test]
async fn each_rotation_is_proven_and_leaves_no_trace() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    for proven in 1..4 {
        sidecar.metric_reaches(PROBES, &["result=\"ok\""], f64::from(proven)).await;
        setup.own_certificate(&LeafOptions::id(setup::ORDERS));
    }
    sidecar.metric_reaches(PROBES, &["result=\"ok\""], 4.0).await;
    // A request after the probes: whatever they had left would be in the log before it.
    assert_eq!(Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await.get("/orders").await.status, StatusCode::OK);
    sidecar.record("the request", |record| record["http"]["path"] == "/orders").await;
    let records: Vec<Value> =
        sidecar.records().into_iter().filter(|record| record["kind"] == "decision" || record["kind"] == "handshake").collect();
    assert!(records.iter().all(|record| record["http"]["path"] == "/orders"), "{records:?}");
    assert_eq!(app.seen().len(), 1);
    assert_eq!(sidecar.metric(PROBES, &[]).await, 4.0, "none failed");
    for (metric, good) in [
        ("countersign_handshakes_total", "result=\"ok\""),
        ("countersign_requests_total", "decision=\"allow\""),
        ("countersign_cuts_total", "none is good"),
    ] {
        let (all, good) =
            (sidecar.metric(metric, &["direction=\"inbound\""]).await, sidecar.metric(metric, &["direction=\"inbound\"", good]).await);
        assert_eq!(all, good, "{metric}");
    }
    assert!(note(&sidecar).await.is_none());
}

/// Who holds every place keeps the probe out as he keeps out everybody.
#[tokio::test]
async fn a_listener_that_does_not_answer_is_told_of_until_it_does() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("limits.connections", "1");
    let sidecar = setup.start(&app).await;
    sidecar.metric_reaches(PROBES, &["result=\"ok\""], 1.0).await;
    let mut occupant = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(occupant.get("/orders").await.status, StatusCode::OK);
    setup.own_certificate(&LeafOptions::id(setup::ORDERS));

    let told = eventually("a note", async || note(&sidecar).await).await;
    assert_eq!(told, "no handshake with our own listener within 5 s");
    sidecar.log_line("could not be proven at our own listener").await;
    assert_eq!(sidecar.metric(PROBES, &["result=\"unanswered\""]).await, 1.0);
    assert_eq!(sidecar.is_ready().await, Some(true), "what works goes on");
    assert_eq!(occupant.get("/orders").await.status, StatusCode::OK);

    drop(occupant);
    eventually("no note", async || note(&sidecar).await.is_none().then_some(())).await;
    sidecar.metric_reaches(PROBES, &["result=\"ok\""], 2.0).await;
    assert!(sidecar.records().iter().all(|record| record["kind"] != "handshake"), "it is no peer that went away");
}

async fn note(sidecar: &Sidecar) -> Option<String> {
    sidecar.status().await?["notes"]["self_probe"].as_str().map(str::to_owned)
}
