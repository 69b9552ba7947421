//! Who is answered before the upload was read gets the whole answer, and nothing of the request stays behind.

use crate::support::app::RawApp;
use crate::support::client::{post, tls};
use crate::support::curl::Curl;
use crate::support::frames::RST_STREAM;
use crate::support::streaming::{Streams, fed};
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, within};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const UPLOAD: usize = 3 << 20;
const TIMES: usize = 10;

/// A client that first writes its whole upload and only then reads: were the socket closed under it, it would fail at writing, or the reset would
/// overtake the answer.
#[tokio::test]
async fn a_client_that_writes_to_the_end_reads_its_403() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let bob = setup.cert(BOB);
    for time in 0..TIMES {
        let mut stream = tls(sidecar.inbound(), Some(&bob), &["http/1.1"]).await.unwrap();
        let head = format!("POST /closed HTTP/1.1\r\nhost: orders\r\ncontent-length: {UPLOAD}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let written = within("the whole upload", stream.write_all(&vec![b'x'; UPLOAD])).await;
        let mut answer = Vec::new();
        let read = within("the answer", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(written.is_ok() && answer.starts_with("http/1.1 403 "), "time {time}: {written:?}, {read:?}, {answer:?}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nconnection: close"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "time {time}: {head} {body}");
    }
    assert!(app.seen().is_empty());
}

/// The same for a client that is not ours.
#[tokio::test]
async fn curl_reads_its_403() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    std::fs::write(setup.path("upload"), vec![b'x'; UPLOAD]).unwrap();
    let curl = Curl::new(setup.dir.path(), sidecar.inbound(), Some(&setup.cert(BOB)));
    for time in 0..TIMES {
        // Without Expect: it would wait for our leave, and write nothing.
        let got = curl.ask(&["--http1.1", "--header", "Expect:", "--data-binary", "@upload"], "/closed").await;
        assert_eq!(got.status, 403, "time {time}: {got:?}");
    }
    assert!(app.seen().is_empty());
}

/// Over HTTP/2 the rest of the upload is declined without an error, and the connection goes on.
#[tokio::test]
async fn an_http2_client_reads_its_403() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    for time in 0..TIMES {
        let answer = peer.send(post("/closed", vec![b'x'; UPLOAD])).await.unwrap_or_else(|error| panic!("time {time}: {error:?}"));
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "time {time}");
    }
    assert!(peer.facts().frames.of(RST_STREAM).iter().all(|frame| frame.code() == 0), "a reset says NO_ERROR");
    assert!(app.seen().is_empty());
}

/// An app answers at the head and keeps its connection, and the client neither sends the rest nor goes: with the response the request is over, on
/// both sides of the sidecar.
#[tokio::test]
async fn an_early_answer_of_the_app_ends_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut setup = Setup::new();
    setup.in_front_of(listener.local_addr().unwrap());
    let ended = Arc::<AtomicUsize>::default();
    let ends = Arc::clone(&ended);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let ends = Arc::clone(&ends);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone").await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
                ends.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    let sidecar = Sidecar::start(&setup).await;
    let alice = setup.cert(ALICE);
    for (served, mut peer) in
        [Streams::http1(sidecar.inbound(), &alice).await, Streams::http2(sidecar.inbound(), &alice).await].into_iter().enumerate()
    {
        let (body, feed) = fed(Some(1_000));
        let answer = tokio::spawn(peer.send("POST", "/upload", body));
        feed.send(Ok(Bytes::from_static(b"abc"))).await.unwrap();
        let answer = within("the answer", answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{}", peer.name());
        assert_eq!(within("its body", answer.into_body().collect()).await.unwrap().to_bytes(), "none", "{}", peer.name());
        eventually("the end of the app's connection", async || (ended.load(Ordering::SeqCst) > served).then_some(())).await;
        eventually("no request in flight", async || (sidecar.status().await?["in_flight"]["inbound"] == 0).then_some(())).await;
        if let Streams::Http1(_) = peer {
            // Nothing can follow a request that is not sent to its end.
            eventually("the end of the client's connection", async || (!peer.is_open()).then_some(())).await;
        }
        drop(feed);
    }
    eventually("the records", async || {
        (sidecar.records().iter().filter(|record| record["http"]["status"] == 404).count() == 2).then_some(())
    })
    .await;
}

/// An app that answers at the head and closes at once resets the connection under our writes; its answer was there before.
#[tokio::test]
async fn an_app_that_answers_and_closes() {
    let app = RawApp::start("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 8\r\nconnection: close\r\n\r\ntoo long").await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address);
    let sidecar = Sidecar::start(&setup).await;
    let alice = setup.cert(ALICE);
    for time in 0..TIMES {
        for mut peer in [Peer::http1(sidecar.inbound(), &alice).await, Peer::http2(sidecar.inbound(), &alice).await] {
            let answer = peer.send(post("/upload", vec![b'x'; UPLOAD])).await.unwrap_or_else(|error| panic!("time {time}: {error:?}"));
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (413, &b"too long"[..]), "time {time}, {}", peer.name());
        }
    }
}
