//! The end of the process: not ready at once, requests under way finish, nothing new comes in, and the exit code says how it went.

use crate::support::client::{Peer, at, get};
use crate::support::frames::GOAWAY;
use crate::support::{ALICE, App, Remote, Setup, Sidecar, eventually, within};
use http::StatusCode;
use http_body_util::BodyExt as _;
use rustix::process::Signal;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn requests_under_way_finish_on_both_protocols() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.drain", "'60s'");
    let mut sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &alice).await;
    let mut idle = Peer::http1(sidecar.inbound(), &alice).await;
    idle.get("/idle").await;
    let held = [http1.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;

    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    http2.facts().frames.first(GOAWAY).await;
    // An idle HTTP/1.1 connection gets a second for the request that may be on its way.
    let ended = idle.facts().ended().await;
    assert!(ended - begun >= Duration::from_millis(700), "{:?}", ended - begun);
    assert_eq!(sidecar.is_ready().await, Some(false));
    assert!(http1.facts().is_open() && http2.facts().is_open() && !sidecar.has_ended());

    app.release();
    for (name, answer) in ["http1", "http2"].into_iter().zip(held) {
        let answer = within("a held answer", answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        assert_eq!(answer.headers().get("connection").map(|value| value.as_bytes()), (name == "http1").then_some(&b"close"[..]));
        assert_eq!(within("its body", answer.into_body().collect()).await.unwrap().to_bytes(), "ok");
    }
    http1.facts().ended().await;
    http2.facts().ended().await;
    assert_eq!(sidecar.exit().await.code(), Some(0));
    let finished: Vec<_> = sidecar.records().into_iter().filter(|record| record["kind"] == "decision").collect();
    assert_eq!(finished.len(), 3);
    assert!(finished.iter().all(|record| record["close_reason"].is_null() && record["http"]["status"] == 200), "{finished:?}");
}

#[tokio::test]
async fn pre_drain_is_red_and_still_accepts() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.pre_drain", "'3s'");
    let mut sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    eventually("not ready", async || (sidecar.is_ready().await == Some(false)).then_some(())).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "the test is too slow for what it looks at");
    for mut peer in Peer::both(sidecar.inbound(), &alice).await {
        let answer = peer.get("/late").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("connection"), "");
    }
    assert_eq!(sidecar.exit().await.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_new_comes_in_once_it_drains() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let [mut http1, _] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = http1.begin(get("/hold/1"));
    app.got("/hold/1").await;
    sidecar.signal(Signal::TERM);
    let inbound = sidecar.inbound();
    eventually("a closed listener", async || TcpStream::connect(inbound).await.is_err().then_some(())).await;
    app.release();
    assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
    assert_eq!(sidecar.exit().await.code(), Some(0));
}

#[tokio::test]
async fn outbound_serves_the_app_while_inbound_drains() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    setup.set("outbound.listen", "'127.0.0.1:0'").set("timeouts.drain", "'60s'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let mut sidecar = setup.start(&app).await;
    let [_, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = http2.begin(get("/hold/in"));
    app.got("/hold/in").await;
    let mut kept = Peer::app_http1(sidecar.outbound()).await;
    assert_eq!(kept.ask("payments", "/before").await.status, StatusCode::OK);

    sidecar.signal(Signal::TERM);
    http2.facts().frames.first(GOAWAY).await;
    // What the app still has to ask for its last answer, on an old connection or a new one.
    assert_eq!(kept.ask("payments", "/meanwhile").await.status, StatusCode::OK);
    let mut new = Peer::app_h2c(sidecar.outbound()).await;
    let asked = new.begin(at("payments", "/hold/out"));
    remote.got("/hold/out").await;
    app.release();
    assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
    http2.facts().ended().await;
    assert!(!sidecar.has_ended(), "an outbound request is under way");
    remote.release();
    assert_eq!(within("the app's answer", asked).await.unwrap().status(), StatusCode::OK);
    assert_eq!(sidecar.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_at_drain() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.drain", "'1s'");
    let mut sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = [http1.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit().await.code(), Some(3));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    for answer in held {
        assert!(within("the cut", answer).await.is_err());
    }
    cut_in_the_log(&sidecar, 2);
}

#[tokio::test]
async fn a_second_signal_ends_it_now() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.drain", "'1h'").set("timeouts.pre_drain", "'1h'");
    let mut sidecar = setup.start(&app).await;
    let [mut http1, _] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = http1.begin(get("/hold/1"));
    app.got("/hold/1").await;
    sidecar.signal(Signal::TERM);
    sidecar.log_line("drain begins").await;
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit().await.code(), Some(3));
    assert!(within("the cut", held).await.is_err());
    cut_in_the_log(&sidecar, 1);
}

#[tokio::test]
async fn the_control_socket_does_the_same() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let [mut http1, _] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = http1.begin(get("/hold/1"));
    app.got("/hold/1").await;
    let answer = sidecar.post("/drain").await;
    assert!(answer.is_success(), "{answer:?}");
    sidecar.log_line("drain begins").await;
    app.release();
    assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
    assert_eq!(sidecar.exit().await.code(), Some(0));
}

fn cut_in_the_log(sidecar: &Sidecar, count: usize) {
    let records = sidecar.records();
    let cut = records.iter().filter(|record| record["close_reason"] == "drained").count();
    assert_eq!(cut, count, "{records:?}");
    assert!(sidecar.log().contains("requests had to be cut"), "{}", sidecar.log());
}
