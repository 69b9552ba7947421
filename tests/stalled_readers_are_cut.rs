//! `[timeouts] body_idle` ends a body whose reader takes nothing, whichever way it goes.

use crate::support::app::full;
use crate::support::raw_http2::{Outcome, setting};
use crate::support::streaming::{Streams, empty, generated};
use crate::support::{ALICE, App, Bystander, Raw, Remote, Setup, Sidecar, client, eventually, within};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::time::Instant;

/// More than all buffers on the way hold.
const LARGE: u64 = 64 << 20;
const PAYMENTS: &str = "spiffe://test.example/payments";
/// The least that a second may become: marks are as coarse as the sweep's tick.
const LEAST: Duration = Duration::from_millis(600);

/// An app that takes a request and reads nothing of its body: the client is told, the log says it, and its place is free again.
#[tokio::test]
async fn an_app_that_does_not_read() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.body_idle", "'1s'");
    let sidecar = setup.start(&app).await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let path = format!("/hold/{}", peer.name());
        let begun = Instant::now();
        let (body, _) = generated(LARGE, true);
        let answer = within("the answer", peer.send("POST", &path, body)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT, "{}", peer.name());
        assert!(begun.elapsed() >= LEAST, "{:?}", begun.elapsed());
        stalled(&sidecar, &path).await;
    }
    bystander.outlives(&sidecar).await;
    nothing_in_flight(&sidecar, "inbound").await;
}

/// The same for a peer that the app calls, which speaks h2c to us.
#[tokio::test]
async fn a_peer_that_does_not_read() {
    let mut setup = Setup::new();
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2", "http/1.1"]).await;
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("timeouts.body_idle", "'1s'");
    setup.table("upstream", &format!("hosts = ['orders']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = Sidecar::start(&setup).await;
    let stream = tokio::net::TcpStream::connect(sidecar.outbound()).await.unwrap();
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://orders/hold/peer").body(generated(LARGE, true).0).unwrap();
    let answer = within("the answer", send.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    stalled(&sidecar, "/hold/peer").await;
    nothing_in_flight(&sidecar, "outbound").await;
}

/// An HTTP/2 client that never opens a stream's window blocks no write of its connection; it is cut all the same.
#[tokio::test]
async fn an_http2_client_without_a_window() {
    let app = App::serve(|_| async { Response::new(generated(LARGE, true).0.map_err(|error| panic!("{error}")).boxed_unsync()) }).await;
    let mut setup = Setup::new();
    setup.set("timeouts.body_idle", "'1s'");
    let sidecar = setup.start(&app).await;
    for window in [0, 65_535] {
        let stream = client::tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["h2"]).await.unwrap();
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (mut send, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let path = format!("/window/{window}");
        let begun = Instant::now();
        let request = Request::get(format!("https://orders{path}")).body(empty()).unwrap();
        let answer = within("the head", send.send_request(request)).await.unwrap();
        let record = sidecar.record(&path, |record| record["http"]["path"] == path.as_str() && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "body_idle", "{record}");
        assert!(begun.elapsed() >= LEAST, "{:?}", begun.elapsed());
        assert!(within("the cut", answer.into_body().collect()).await.is_err(), "what is cut looks complete");
    }
    nothing_in_flight(&sidecar, "inbound").await;
}

/// A connection's window covers all its streams: one that is used up stops them all.
#[tokio::test]
async fn an_http2_client_without_a_window_for_its_connection() {
    let (_app, setup, sidecar) = start(200_000).await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.returns_window = false;
    raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 30)]).await;
    for stream in [1, 3] {
        raw.get(stream, &format!("/connection/{stream}")).await;
    }
    raw.ended().await;
    let record = sidecar.record("the cut", |record| record["close_reason"] == "body_idle" || record["reason"] == "body_idle").await;
    assert_eq!(record["src"]["id"], ALICE);
    drop(raw);
    bystander.outlives(&sidecar).await;
    nothing_in_flight(&sidecar, "inbound").await;
}

/// An answer whose end was handed over and cannot leave is no open request any more, whatever else the connection does.
#[tokio::test]
async fn an_http2_client_that_leaves_the_end_of_its_answers() {
    let (_app, setup, sidecar) = start(10_000).await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.returns_window = false;
    raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 9_999)]).await;
    let begun = Instant::now();
    raw.get(1, "/left").await;
    sidecar.record("an answer that seems whole", |record| record["http"]["path"] == "/left" && record["close_reason"].is_null()).await;
    // Other requests keep the connection busy meanwhile.
    let mut stream = 3;
    loop {
        raw.get(stream, "/small").await;
        if !matches!(raw.outcome(stream).await, Outcome::Answer(_)) {
            break;
        }
        stream += 2;
    }
    assert!(begun.elapsed() >= LEAST, "{:?}", begun.elapsed());
    sidecar.metric_reaches("countersign_cuts_total", &["reason=\"body_idle\""], 1.0).await;
    sidecar.record("the cut", |record| record["reason"] == "body_idle" || record["close_reason"] == "body_idle").await;
    drop(raw);
    bystander.outlives(&sidecar).await;
}

/// HTTP/1.1: the kernel and our buffers take what they can, then nothing moves.
#[tokio::test]
async fn an_http1_client() {
    let (_app, setup, sidecar) = start(32 << 20).await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    let mut raw = Raw::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.send("GET /http1 HTTP/1.1\r\nhost: orders\r\n\r\n").await;
    let record = sidecar.record("the cut", |record| record["http"]["path"] == "/http1" && record["phase"] != "open").await;
    assert_eq!(record["close_reason"], "body_idle", "{record}");
    sidecar.metric_reaches("countersign_cuts_total", &["reason=\"body_idle\""], 1.0).await;
    nothing_in_flight(&sidecar, "inbound").await;
    drop(raw);
    bystander.outlives(&sidecar).await;
}

/// An app that answers with so many bytes; the bystander, and whoever asks for `/small`, with two.
async fn start(length: usize) -> (App, Setup, Sidecar) {
    let bytes = Bytes::from(vec![b'x'; length]);
    let app = App::serve(move |request| {
        let small = ["/bystander", "/small"].contains(&request.uri().path());
        let bytes = if small { Bytes::from_static(b"ok") } else { bytes.clone() };
        async { Response::new(full(bytes)) }
    })
    .await;
    let mut setup = Setup::new();
    setup.set("timeouts.body_idle", "'1s'");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

async fn stalled(sidecar: &Sidecar, path: &str) {
    let record = sidecar.record(path, |record| record["http"]["path"] == path && record["phase"] != "open").await;
    assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("upload_stalled"), Some(504)), "{record}");
}

async fn nothing_in_flight(sidecar: &Sidecar, direction: &str) {
    eventually("no request in flight", async || (sidecar.status().await?["in_flight"][direction] == 0).then_some(())).await;
}
