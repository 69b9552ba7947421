//! Every request leaves exactly one final record that says how it really ended, and the log's numbers have no holes.

use crate::support::app::{AppBody, RawApp, full};
use crate::support::client::{Peer, get};
use crate::support::expiry::ending;
use crate::support::streaming::{Streams, empty, fed, generated, reading, take};
use crate::support::{ALICE, App, BOB, Setup, Sidecar, within};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const LARGE: u64 = 64 << 20;

/// What the final record of a request must say: status, close reason, bytes in and out where they are known.
type Expected<'e> = (Option<u64>, Option<&'e str>, Option<u64>, Option<u64>);

#[tokio::test]
async fn requests_that_end_well() {
    let (app, mut setup) = (App::serve(answer).await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let mut expected = BTreeMap::new();
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let cases: [(&str, &str, &str, Expected<'_>); 7] = [
            ("GET", "ok", "", (Some(200), None, Some(0), Some(2))),
            ("HEAD", "large", "", (Some(200), None, Some(0), Some(0))),
            ("POST", "204", "some text", (Some(204), None, Some(9), Some(0))),
            ("GET", "304", "", (Some(304), None, Some(0), Some(0))),
            ("POST", "echo", "some text", (Some(200), None, Some(9), Some(9))),
            ("GET", "404", "", (Some(404), None, Some(0), Some(2))),
            ("DELETE", "500", "", (Some(500), None, Some(0), Some(2))),
        ];
        for (method, what, text, outcome) in cases {
            let path = format!("/{}/{what}", peer.name());
            let uri = format!("https://orders{path}");
            let request = Request::builder().method(method).uri(uri).body(Full::new(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
            let status = peer.send(request).await.unwrap().status;
            assert_eq!(Some(status.as_u16().into()), outcome.0, "{path}");
            expected.insert(path, outcome);
        }
    }
    let bob = setup.cert(BOB);
    for mut peer in Peer::both(sidecar.inbound(), &bob).await {
        let path = format!("/{}/denied", peer.name());
        assert_eq!(peer.get(&path).await.status, StatusCode::FORBIDDEN);
        expected.insert(path, (Some(403), None, Some(0), Some(0)));
    }
    complete(&mut sidecar, &expected).await;
}

#[tokio::test]
async fn clients_that_leave_in_the_middle() {
    let (app, mut setup) = (App::serve(answer).await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut expected = BTreeMap::new();
    for mut peer in Streams::both(sidecar.inbound(), &alice).await {
        let path = format!("/{}/upload", peer.name());
        // In the middle of the upload: a reset stream, or a lost connection.
        let (body, feed) = fed(Some(1_000));
        let answer = tokio::spawn(peer.send("POST", &path, body));
        feed.send(Ok(Bytes::from_static(b"the first of it"))).await.unwrap();
        app.got(&path).await;
        feed.send(Err(std::io::Error::other("the client gives up"))).await.unwrap();
        assert!(within("the end of the upload", answer).await.unwrap().is_err());
        ended(&sidecar, &path).await;
        // It may be there still and read that its request was incomplete.
        expected.insert(path, (None, Some("client_closed"), Some(15), None));
    }
    for mut peer in Streams::both(sidecar.inbound(), &alice).await {
        // In the middle of the download.
        let path = format!("/{}/large", peer.name());
        let response = within("the head", peer.send("GET", &path, empty())).await.unwrap();
        let mut body = response.into_body();
        take(&mut body, &reading(), 100_000).await.unwrap();
        drop(body);
        drop(peer);
        ended(&sidecar, &path).await;
        expected.insert(path, (Some(200), Some("client_closed"), Some(0), None));
    }
    for mut peer in Peer::both(sidecar.inbound(), &alice).await {
        // While the app still thinks.
        let path = format!("/hold/{}", peer.name());
        let held = peer.begin(get(&path));
        app.got(&path).await;
        drop((held, peer));
        ended(&sidecar, &path).await;
        expected.insert(path, (Some(0), Some("client_closed"), Some(0), Some(0)));
    }
    complete(&mut sidecar, &expected).await;
}

#[tokio::test]
async fn an_app_that_dies_in_the_middle() {
    let app = RawApp::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
    let mut setup = Setup::new();
    let mut sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    let mut expected = BTreeMap::new();
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let path = format!("/{}", peer.name());
        let answer = peer.send(get(&path)).await;
        assert!(answer.is_err(), "what is cut does not look complete");
        expected.insert(path, (Some(200), Some("upstream_closed"), Some(0), Some(9)));
    }
    complete(&mut sidecar, &expected).await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Reads the head and a little, answers, and reads no more.
    let app = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"the first of it\r\n") && !bytes.ends_with(b"the first of it") {
                bytes.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 409 Conflict\r\ncontent-length: 5\r\n\r\nearly").await.unwrap();
            open.push(stream);
        }
    });
    let mut setup = Setup::new();
    let mut sidecar = Sidecar::start(setup.in_front_of(address)).await;
    let mut expected = BTreeMap::new();
    for declared in [Some(1_000_000), None] {
        for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
            let path = format!("/{}/{declared:?}", peer.name()).replace(['(', ')'], "-");
            let (body, feed) = fed(declared);
            let answer = tokio::spawn(peer.send("POST", &path, body));
            feed.send(Ok(Bytes::from_static(b"the first of it"))).await.unwrap();
            let answer = within("the early answer", answer).await.unwrap().unwrap();
            assert_eq!(answer.status(), StatusCode::CONFLICT, "{path}");
            assert_eq!(within("its body", answer.into_body().collect()).await.unwrap().to_bytes(), "early");
            ended(&sidecar, &path).await;
            expected.insert(path, (Some(409), None, Some(15), Some(5)));
            drop(feed);
        }
    }
    complete(&mut sidecar, &expected).await;
    app.abort();
}

#[tokio::test]
async fn a_certificate_that_ends_in_the_middle() {
    let (app, mut setup) = (App::serve(answer).await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let short = setup.ca.issue_with(&ending(ALICE));
    let mut expected = BTreeMap::new();
    let mut waiting = Vec::new();
    for mut peer in Streams::both(sidecar.inbound(), &short).await {
        let path = format!("/{}/large", peer.name());
        let response = within("the head", peer.send("GET", &path, empty())).await.unwrap();
        expected.insert(path, (Some(200), Some("expired"), Some(0), None));
        let path = format!("/hold/{}", peer.name());
        if peer.name() == "http2" {
            waiting.push(tokio::spawn(peer.send("GET", &path, empty())));
            app.got(&path).await;
            expected.insert(path, (Some(0), Some("expired"), Some(0), Some(0)));
        }
        waiting.push(tokio::spawn(async move {
            let (_peer, mut body) = (peer, response.into_body());
            take(&mut body, &reading(), 1).await.unwrap();
            std::future::pending().await
        }));
    }
    for path in expected.keys() {
        ended(&sidecar, path).await;
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    complete(&mut sidecar, &expected).await;
}

async fn answer(request: Request<Incoming>) -> Response<AppBody> {
    let status = |code: u16| Response::builder().status(code);
    match request.uri().path().rsplit('/').next().unwrap() {
        "204" => {
            let _ = request.into_body().collect().await;
            status(204).body(Empty::new().map_err(|never| match never {}).boxed_unsync()).unwrap()
        }
        "304" => status(304).header("etag", "\"1\"").body(full("")).unwrap(),
        "404" => status(404).body(full("no")).unwrap(),
        "500" => status(500).body(full("no")).unwrap(),
        "echo" => Response::new(request.into_body().boxed_unsync()),
        "large" => Response::new(generated(LARGE, true).0.map_err(|error| panic!("{error}")).boxed_unsync()),
        "upload" => {
            let _ = request.into_body().collect().await;
            Response::new(full("ok"))
        }
        _ => Response::new(full("ok")),
    }
}

/// Waits for the final record of a request.
async fn ended(sidecar: &Sidecar, path: &str) {
    sidecar.record(path, |record| record["http"]["path"] == path && is_final(record)).await;
}

fn is_final(record: &Value) -> bool {
    record["kind"] == "decision" && record["phase"] != "open"
}

/// Ends the sidecar, so that everything is written, and compares.
async fn complete(sidecar: &mut Sidecar, expected: &BTreeMap<String, Expected<'_>>) {
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    let records = sidecar.records();
    for (path, (status, reason, bytes_in, bytes_out)) in expected {
        let of: Vec<_> = records.iter().filter(|record| record["http"]["path"] == path.as_str() && is_final(record)).collect();
        let [record] = of[..] else { panic!("{} final records of {path}: {of:?}", of.len()) };
        assert!(status.is_none_or(|status| record["http"]["status"].as_u64().unwrap_or(0) == status), "{record}");
        assert_eq!(record["close_reason"].as_str(), *reason, "{record}");
        assert!(bytes_in.is_none_or(|bytes| record["bytes_in"] == bytes), "{record}");
        assert!(bytes_out.is_none_or(|bytes| record["bytes_out"] == bytes), "{record}");
        assert!(record["total_us"].is_u64() && record["id"].is_string() && record["src"]["port"].is_u64(), "{record}");
    }
    let finals = records.iter().filter(|record| is_final(record)).count();
    assert_eq!(finals, expected.len(), "{records:?}");
    let mut numbers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (seq, record) in (0_u64..).zip(&records) {
        assert_eq!(record["seq"], seq, "{record}");
        if let Some(shard) = record["shard"].as_u64() {
            numbers.entry(shard).or_default().push(record["shard_seq"].as_u64().unwrap());
        }
    }
    for (shard, mut numbers) in numbers {
        // Denials overtake allows on their way to the writer: complete, not sorted.
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "shard {shard}: {numbers:?}");
    }
}
