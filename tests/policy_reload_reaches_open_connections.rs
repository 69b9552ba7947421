//! A new policy table decides the next request of connections that are already open.

use crate::support::frames::RST_STREAM;
use crate::support::{ALICE, App, BOB, Peer, Setup, get, policy, within};
use http::StatusCode;
use http_body_util::BodyExt as _;
use rustix::process::Signal;

const ALICE_AND_BOB: [(&str, &str, &str); 2] = [("alice", ALICE, "/**"), ("bob", BOB, "/**")];

#[tokio::test]
async fn a_changed_file_is_in_force_on_open_connections() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;
    let swaps = [(&ALICE_AND_BOB[..1], StatusCode::FORBIDDEN), (&ALICE_AND_BOB[..], StatusCode::OK), (&[], StatusCode::FORBIDDEN)];
    for (generation, (allows, expected)) in (1..).zip(swaps) {
        if generation > 1 {
            setup.write_policy(&policy(allows));
            // The line comes after the swap: from here on no connection may answer from the old table.
            sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"ok\""], f64::from(generation)).await;
        }
        for peer in [&mut http1, &mut http2] {
            let answer = peer.get("/orders").await;
            assert_eq!(answer.status, expected, "{} in generation {generation}", peer.name());
        }
    }
    assert!(http1.facts().is_open() && http2.facts().is_open());
}

#[tokio::test]
async fn sighup_takes_a_table_under_another_name() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;
    for peer in [&mut http1, &mut http2] {
        assert_eq!(peer.get("/orders").await.status, StatusCode::FORBIDDEN, "{}", peer.name());
    }

    // Nobody watches this file: only the signal can bring it in.
    let other = setup.path("other.toml");
    std::fs::write(&other, policy(&ALICE_AND_BOB)).unwrap();
    setup.set("policy.file", &format!("'{}'", other.display())).write_config();
    sidecar.signal(Signal::HUP);
    sidecar.log_line("configuration reloaded").await;
    for peer in [&mut http1, &mut http2] {
        assert_eq!(peer.get("/orders").await.status, StatusCode::OK, "{}", peer.name());
    }
    let record = sidecar.record("bob's allowed request", |record| record["decision"] == "allow").await;
    assert_eq!(record["rule"], "bob");
}

#[tokio::test]
async fn a_request_under_way_ends_when_a_new_table_forbids_it() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = [http1.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;

    setup.write_policy(&policy(&[]));
    for answer in held {
        let answer = within("the end of a held request", answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    for target in ["/hold/1", "/hold/2"] {
        let record = sidecar.record(target, |record| record["http"]["path"] == target).await;
        assert_eq!(record["close_reason"], "policy_changed");
    }
}

#[tokio::test]
async fn a_response_under_way_ends_when_a_new_table_forbids_it() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bodies = Vec::new();
    for peer in [&mut http1, &mut http2] {
        let sent = peer.begin(get(&format!("/unfinished/{}", peer.name())));
        let mut body = within("a response head", sent).await.unwrap().into_body();
        let frame = within("the first bytes", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "beginning");
        bodies.push(body);
    }

    setup.write_policy(&policy(&[("alice", ALICE, "/kept")]));
    for mut body in bodies {
        assert!(within("the end of a body", body.frame()).await.unwrap().is_err(), "a torn body must not look whole");
    }
    for target in ["/unfinished/http1", "/unfinished/http2"] {
        let record = sidecar.record(target, |record| record["http"]["path"] == target && record["phase"] != "open").await;
        assert_eq!((&record["close_reason"], &record["bytes_out"]), (&"policy_changed".into(), &9.into()), "{record}");
    }
    // HTTP/1.1 has nothing smaller than the connection to end; HTTP/2 has.
    http1.facts().ended().await;
    assert_ne!(http2.facts().frames.first(RST_STREAM).await.code(), 0);
    assert_eq!(http2.get("/kept").await.status, StatusCode::OK, "other streams of the connection go on");
}
