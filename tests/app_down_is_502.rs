//! An app that is down, breaks off, talks nonsense or says nothing costs a 502 or 504 with its reason in the record, and nothing else.

use crate::support::app::RawApp;
use crate::support::client::{Answer, Peer};
use crate::support::{ALICE, App, Setup, Sidecar};
use http::StatusCode;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;

#[tokio::test]
async fn nothing_listens_there() {
    // Bound and dropped: nobody is there, and nobody comes.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (answer, record) in both(address).await {
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(record["close_reason"], "app_unreachable");
        assert_eq!(answer.header("x-countersign-reason"), "", "a peer is not told why");
        assert_eq!((record["decision"].as_str(), record["rule"].as_str()), (Some("allow"), Some("alice")));
    }
}

#[tokio::test]
async fn it_comes_up_later() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut setup = Setup::new();
    let sidecar = Sidecar::start(setup.in_front_of(address)).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/orders").await.status, StatusCode::BAD_GATEWAY);
    let listener = TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_on(stream).await;
    });
    assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
    serving.await.unwrap();
}

#[tokio::test]
async fn it_closes_without_an_answer() {
    let app = RawApp::start("").await;
    for (answer, record) in both(app.address).await {
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(record["close_reason"], "app_closed");
    }
    assert_eq!(app.heads().len(), 2, "each request was sent once");
}

#[tokio::test]
async fn it_closes_in_the_middle_of_the_head() {
    let app = RawApp::start("HTTP/1.1 200 OK\r\ncontent-le").await;
    for (answer, record) in both(app.address).await {
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(record["close_reason"], "app_closed");
    }
    assert_eq!(app.heads().len(), 2);
}

#[tokio::test]
async fn it_answers_something_that_is_not_http() {
    for garbage in
        ["220 mail.example ESMTP\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n"]
    {
        let app = RawApp::start(garbage).await;
        for (answer, record) in both(app.address).await {
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{garbage}");
            assert_eq!(record["close_reason"], "app_bad_response", "{garbage}");
        }
    }
}

#[tokio::test]
async fn it_switches_protocols_unasked() {
    let app = RawApp::start("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nsecret").await;
    for (answer, record) in both(app.address).await {
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(record["close_reason"], "unasked_status");
        assert!(!answer.body.windows(6).any(|window| window == b"secret"));
    }
}

#[tokio::test]
async fn it_never_answers() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.response_head", "'1s'");
    let sidecar = setup.start(&app).await;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let begun = Instant::now();
        let answer = peer.get("/hold").await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", peer.name());
        assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
        let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("response_head_timeout"), Some(504)));
        assert_eq!(peer.get("/orders").await.status, StatusCode::OK, "the connection goes on: {}", peer.name());
    }
}

#[tokio::test]
async fn it_listens_on_a_unix_socket() {
    let mut setup = Setup::new();
    let path = setup.path("app.sock");
    setup.set("inbound.app", &format!("'unix:{}'", path.display()));
    let sidecar = Sidecar::start(&setup).await;
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let answer = peer.get("/orders").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
    assert_eq!(record["close_reason"], "app_unreachable");

    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_on(stream).await;
    });
    let answer = peer.get("/orders").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ok"[..]));
    serving.await.unwrap();
}

/// Reads one head, answers `ok`, and closes.
async fn answer_on<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await.unwrap();
}

/// One request over each protocol through a sidecar in front of `address`, with their final records. The connections must survive it.
async fn both(address: SocketAddr) -> Vec<(Answer, Value)> {
    let mut setup = Setup::new();
    let sidecar = Sidecar::start(setup.in_front_of(address)).await;
    let mut answers = Vec::new();
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let answer = peer.get("/orders").await;
        let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!(record["http"]["status"], answer.status.as_u16());
        assert!(peer.facts().is_open(), "{}", peer.name());
        answers.push((answer, record));
    }
    answers
}
