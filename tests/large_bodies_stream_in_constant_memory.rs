//! A body of any size passes in both directions, its reader as slow as it likes, and the process does not grow with it.

use crate::support::app::{AppBody, full};
use crate::support::client::Peer;
use crate::support::sidecar::Memory;
use crate::support::streaming::{AnyBody, Streams, Tally, all_stall, empty, fed, generated, reading, take, take_all};
use crate::support::{ALICE, App, Setup, Sidecar, eventually, within};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const MIB: u64 = 1 << 20;
const LARGE: u64 = 128 * MIB;
/// How much the process may grow by, whatever passes through it.
const ROOM: u64 = 32 * MIB;

#[tokio::test]
async fn a_download() {
    let (app, made) = downloads(LARGE).await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let before = warm(&sidecar, &setup).await;
        let response = within("the head", peer.send("GET", "/large", empty())).await.unwrap();
        let made = made.lock().unwrap().last().unwrap().clone();
        // The reader sleeps, wakes for a little, sleeps again; and the app is not asked for more than fits in between.
        let (mut body, read) = (response.into_body(), reading());
        for pause in 0..3 {
            let ahead = made.stalls_past(read.bytes()).await - read.bytes();
            assert!(ahead < 64 * MIB, "{}, pause {pause}: {ahead} bytes are under way", peer.name());
            grown(&sidecar, before, &format!("{}, pause {pause}", peer.name()));
            take(&mut body, &read, 16 * MIB).await.unwrap();
        }
        take(&mut body, &read, LARGE).await.unwrap();
        assert_eq!((read.bytes(), read.checksum()), (LARGE, made.checksum()), "{}", peer.name());
        grown(&sidecar, before, peer.name());
    }
    let record = sidecar.record("the downloads", |record| record["bytes_out"] == LARGE).await;
    assert!(record["close_reason"].is_null(), "{record}");
}

#[tokio::test]
async fn an_upload() {
    let (app, pace) = uploads().await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    for declared in [true, false] {
        for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
            let (before, name) = (warm(&sidecar, &setup).await, format!("{}, declared: {declared}", peer.name()));
            pace.send_replace(0);
            let (body, made) = generated(LARGE, declared);
            let answer = tokio::spawn(peer.send("POST", "/large", body));
            for read in [0, 16 * MIB, 32 * MIB] {
                pace.send_replace(read);
                let ahead = made.stalls_past(read).await - read;
                assert!(ahead < 64 * MIB, "{name}: {ahead} bytes are under way");
                grown(&sidecar, before, &name);
            }
            pace.send_replace(u64::MAX);
            let answer = within("the answer", answer).await.unwrap().unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let told = within("its body", answer.into_body().collect()).await.unwrap().to_bytes();
            assert_eq!((made.bytes(), told), (LARGE, Bytes::from(made.checksum())), "{name}");
            grown(&sidecar, before, &name);
        }
    }
}

#[tokio::test]
async fn many_slow_readers_at_once() {
    let (app, made) = downloads(8 * MIB).await;
    let mut setup = Setup::new();
    setup.set("limits.connections", "100");
    let sidecar = setup.start(&app).await;
    let before = warm(&sidecar, &setup).await;
    let alice = setup.cert(ALICE);
    let mut shared = Streams::http2(sidecar.inbound(), &alice).await;
    let (mut connections, mut responses) = (Vec::new(), Vec::new());
    for turn in 0..20 {
        let mut alone = Streams::http1(sidecar.inbound(), &alice).await;
        responses.push(within("a head", alone.send("GET", &format!("/1/{turn}"), empty())).await.unwrap());
        responses.push(within("a head", shared.send("GET", &format!("/2/{turn}"), empty())).await.unwrap());
        connections.push(alone);
    }
    let tallies = made.lock().unwrap().clone();
    all_stall(&tallies).await;
    grown(&sidecar, before, "40 answers that nobody reads");
    // All at once: those of the one HTTP/2 connection share its window.
    assert_eq!(take_all(responses.into_iter().map(Response::into_body)).await, [8 * MIB; 40]);
    grown(&sidecar, before, "40 answers");
}

#[tokio::test]
async fn more_than_max_body_gets_413() {
    let (app, mut setup) = (App::serve(swallow).await, Setup::new());
    setup.set("limits.max_body", "'1MiB'");
    let sidecar = setup.start(&app).await;
    for (bytes, status) in [(MIB, StatusCode::OK), (MIB + 1, StatusCode::PAYLOAD_TOO_LARGE), (20 * MIB, StatusCode::PAYLOAD_TOO_LARGE)] {
        for declared in [true, false] {
            for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
                let name = format!("{} of {bytes}, declared: {declared}", peer.name());
                let (body, _) = generated(bytes, declared);
                let path = format!("/{}/{bytes}/{declared}", peer.name());
                match within("the answer", peer.send("POST", &path, body)).await {
                    Ok(answer) => assert_eq!(answer.status(), status, "{name}"),
                    // Over HTTP/1.1 the connection ends with the answer, and who still writes may find it closed before it reads.
                    Err(error) => assert!(status != StatusCode::OK && peer.name() == "http1", "{name}: {error:?}"),
                }
                let record = sidecar.record(&path, |record| record["http"]["path"] == path.as_str()).await;
                assert_eq!(record["http"]["status"], status.as_u16(), "{name}");
                assert_eq!(record["close_reason"], if status == StatusCode::OK { Value::Null } else { "max_body".into() }, "{name}");
                let reached = app.seen().iter().any(|seen| seen.target == path);
                assert!(!declared || reached == (status == StatusCode::OK), "{name}: what is declared too long does not reach the app");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_that_stops_arriving_is_cut() {
    let (app, mut setup) = (App::serve(swallow).await, Setup::new());
    setup.set("timeouts.body_idle", "'1s'");
    let sidecar = setup.start(&app).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let (body, feed) = fed(Some(1_000));
        let path = format!("/{}", peer.name());
        let answer = tokio::spawn(peer.send("POST", &path, body));
        feed.send(Ok(Bytes::from_static(b"the first of it"))).await.unwrap();
        app.got(&path).await;
        let begun = Instant::now();
        let answer = within("the answer", answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{}", peer.name());
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        let record = sidecar.record(&path, |record| record["http"]["path"] == path.as_str()).await;
        assert_eq!((record["close_reason"].as_str(), record["bytes_in"].as_u64()), (Some("body_idle"), Some(15)));
        drop(feed);
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_cut() {
    let (app, _) = downloads(LARGE).await;
    let mut setup = Setup::new();
    setup.set("timeouts.body_idle", "'1s'");
    let sidecar = setup.start(&app).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let path = format!("/{}", peer.name());
        let begun = Instant::now();
        let response = within("the head", peer.send("GET", &path, empty())).await.unwrap();
        let record = sidecar.record(&path, |record| record["http"]["path"] == path.as_str() && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "body_idle", "{}", peer.name());
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        let read = take(&mut response.into_body(), &reading(), LARGE).await;
        assert!(read.is_err(), "{}: what is cut does not look complete", peer.name());
    }
}

/// A source that pauses is not a reader that stops.
#[tokio::test]
async fn a_quiet_origin_is_left_alone() {
    let (feeds, gate) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(tokio::sync::Notify::new()));
    let (fed_by, opened) = (Arc::clone(&feeds), Arc::clone(&gate));
    let app = App::serve(move |_| {
        let (body, feed) = fed(None);
        fed_by.lock().unwrap().push(feed);
        opened.notify_one();
        async { Response::new(app_body(body)) }
    })
    .await;
    let mut setup = Setup::new();
    setup.set("timeouts.body_idle", "'300ms'").set("timeouts.head", "'300ms'").set("timeouts.response_head", "'300ms'");
    let sidecar = setup.start(&app).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let answer = tokio::spawn(peer.send("GET", "/events", empty()));
        within("the request", gate.notified()).await;
        let feed = feeds.lock().unwrap().pop().unwrap();
        feed.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        let (mut body, read) = (within("the head", answer).await.unwrap().unwrap().into_body(), reading());
        take(&mut body, &read, 3).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), body.frame()).await.is_err(), "nothing was sent, and nothing was cut");
        feed.send(Ok(Bytes::from_static(b"two"))).await.unwrap();
        drop(feed);
        take(&mut body, &read, LARGE).await.unwrap();
        assert_eq!(read.bytes(), 6, "{}", peer.name());
    }
}

/// An app whose every answer is a body of `bytes` bytes, and what it made of each so far.
async fn downloads(bytes: u64) -> (App, Arc<Mutex<Vec<Tally>>>) {
    let made = Arc::<Mutex<Vec<Tally>>>::default();
    let log = Arc::clone(&made);
    let app = App::serve(move |request| {
        let (body, tally) = generated(bytes, true);
        let warming = request.uri().path() == "/warm";
        if !warming {
            log.lock().unwrap().push(tally);
        }
        async move { Response::new(if warming { full("ok") } else { app_body(body) }) }
    })
    .await;
    (app, made)
}

/// An app that reads a body as far as it is told to, and answers with its checksum.
async fn uploads() -> (App, watch::Sender<u64>) {
    let pace = watch::Sender::new(0);
    let paces = pace.clone();
    let app = App::serve(move |request| {
        let mut pace = paces.subscribe();
        async move {
            if request.uri().path() == "/warm" {
                return Response::new(full("ok"));
            }
            let (mut body, read) = (request.into_body(), reading());
            loop {
                let until = *pace.wait_for(|until| *until > read.bytes()).await.unwrap();
                let before = read.bytes();
                take(&mut body, &read, until - before).await.unwrap();
                if until == u64::MAX {
                    return Response::new(full(read.checksum()));
                }
            }
        }
    })
    .await;
    (app, pace)
}

async fn swallow(request: Request<Incoming>) -> Response<AppBody> {
    let _ = request.into_body().collect().await;
    Response::new(full("ok"))
}

fn app_body(body: AnyBody) -> AppBody {
    body.map_err(|error| panic!("{error}")).boxed_unsync()
}

/// What the process takes once each shard has served something.
async fn warm(sidecar: &Sidecar, setup: &Setup) -> Memory {
    let alice = setup.cert(ALICE);
    for _ in 0..4 {
        for mut peer in Peer::both(sidecar.inbound(), &alice).await {
            assert_eq!(peer.get("/warm").await.status, StatusCode::OK);
        }
    }
    eventually("closed connections", async || {
        (sidecar.metric("countersign_requests_in_flight", &["direction=\"inbound\""]).await == 0.0).then_some(())
    })
    .await;
    sidecar.memory()
}

fn grown(sidecar: &Sidecar, before: Memory, when: &str) {
    let now = sidecar.memory();
    // What of the binary was read in meanwhile is not what passes through.
    let file = now.file.saturating_sub(before.file);
    let grown = now.resident.saturating_sub(before.resident + file);
    assert!(grown < ROOM, "{when}: grown by {} KiB to {} KiB", grown >> 10, now.resident >> 10);
    let peak = now.peak.saturating_sub(before.peak + file);
    assert!(peak < ROOM, "{when}: the peak grew by {} KiB to {} KiB", peak >> 10, now.peak >> 10);
}
