//! A panic in one request costs that request, and nothing else.

use crate::support::app::full;
use crate::support::client::read;
use crate::support::frames::RST_STREAM;
use crate::support::{ALICE, App, Peer, Setup, get, within};
use http::{HeaderValue, Response, StatusCode};

const PANICS: &str = "countersign_panics_total";

/// An app whose `/bad` answers with what makes the sidecar panic.
async fn app() -> App {
    App::serve(|request| async move {
        let bad = request.uri().path() == "/bad";
        Response::new(full(if bad { "some bytes, then panic-in-body" } else { "ok" }))
    })
    .await
}

#[tokio::test]
async fn a_panic_in_the_decision_is_an_answer() {
    let (app, mut setup) = (app().await, Setup::new());
    setup.set("runtime.shards", "1");
    let sidecar = setup.start(&app).await;
    for (panics, mut peer) in (1..).zip(Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await) {
        let mut other = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        let held = match &mut peer {
            Peer::Http1(..) => other.begin(get("/hold/other")),
            same @ Peer::Http2(..) => same.begin(get("/hold/same")),
        };
        app.got(if panics == 1 { "/hold/other" } else { "/hold/same" }).await;

        let mut request = get("/panic");
        request.headers_mut().insert("x-test-panic", HeaderValue::from_static("decision"));
        let answer = peer.send(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", peer.name());
        let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!((&record["decision"], &record["src"]["id"]), (&"deny".into(), &ALICE.into()), "{record}");
        assert!(record["reason"].as_str().unwrap().contains("panic"), "{record}");
        assert_eq!(sidecar.metric(PANICS, &[]).await, f64::from(panics));

        assert_eq!(peer.get("/later").await.status, StatusCode::OK, "the connection goes on");
        if panics == 2 {
            app.release();
        }
        if let Peer::Http2(..) = peer {
            let answer = within("the held answer", async { read(held.await.unwrap()).await.unwrap() }).await;
            assert_eq!(answer.status, StatusCode::OK, "other streams go on");
        }
    }
    assert!(app.seen().iter().all(|seen| seen.target != "/panic"), "what was not decided is not forwarded");
}

#[tokio::test]
async fn a_panic_in_a_body_ends_its_response() {
    let (app, mut setup) = (app().await, Setup::new());
    setup.set("runtime.shards", "1");
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &cert).await;
    let held = [Peer::http1(sidecar.inbound(), &cert).await.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;

    // HTTP/1.1 has nothing smaller than the connection to end.
    assert!(http1.send(get("/bad")).await.is_err(), "a torn body must not look whole");
    http1.facts().ended().await;
    sidecar.metric_reaches(PANICS, &[], 1.0).await;
    assert!(http2.send(get("/bad")).await.is_err(), "a torn body must not look whole");
    let reset = http2.facts().frames.first(RST_STREAM).await;
    assert_ne!(reset.code(), 0, "an error, not an end");
    sidecar.metric_reaches(PANICS, &[], 2.0).await;

    let torn = || sidecar.records().into_iter().filter(|record| record["http"]["path"] == "/bad").collect::<Vec<_>>();
    crate::support::eventually("two records", async || (torn().len() == 2).then_some(())).await;
    for record in torn() {
        assert_eq!((&record["decision"], &record["close_reason"]), (&"allow".into(), &"panic".into()), "{record}");
    }

    app.release();
    for held in held {
        let answer = within("the held answer", async { read(held.await.unwrap()).await.unwrap() }).await;
        assert_eq!(answer.status, StatusCode::OK, "other requests of the shard go on");
    }
    assert_eq!(http2.get("/later").await.status, StatusCode::OK, "the connection goes on");
    assert_eq!(Peer::http1(sidecar.inbound(), &cert).await.get("/later").await.status, StatusCode::OK, "so do new ones");
    let status = sidecar.status().await.unwrap();
    assert_eq!(status["in_flight"]["inbound"], 0, "the torn requests are counted off");
}
