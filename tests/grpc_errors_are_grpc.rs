//! Who speaks gRPC is told in gRPC what went wrong on the way: by a status in the head where nothing was answered yet, by a reset where something was.

use crate::support::app::{AppBody, full};
use crate::support::raw::RawAnswer;
use crate::support::raw_http2::{Outcome, RawFrame, code, flag, kind};
use crate::support::{ALICE, App, BOB, Raw, RawServer, Setup, Sidecar, eventually, within};
use http::Response;
use std::time::{Duration, Instant};

/// An app that hangs, and a sidecar that lets nothing through that is larger than 1 KiB.
async fn start(app: &App) -> (Setup, Sidecar) {
    let mut setup = Setup::new();
    setup.set("inbound.app_protocol", "'h2c'").set("limits.max_body", "'1KiB'").set("timeouts.response_head", "'100ms'");
    let sidecar = setup.start(app).await;
    (setup, sidecar)
}

/// The head of a call.
fn call<'h>(path: &'h str, more: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    let head = [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "orders")];
    let grpc = [("content-type", "application/grpc+proto"), ("te", "trailers")];
    [&head[..], &grpc[..], more].concat()
}

fn is(answer: &RawAnswer, status: &str, text: &str) -> String {
    assert_eq!((answer.status, answer.header("grpc-status"), answer.header("grpc-message")), (200, status, text), "{answer:?}");
    assert_eq!((answer.header("content-type"), answer.body.len(), answer.trailers.len()), ("application/grpc", 0, 0), "{answer:?}");
    answer.header("x-countersign-decision").to_owned()
}

#[tokio::test]
async fn refusals_are_trailers_only() {
    let app = App::h2c(|_| async { Response::new(full("ok")) }).await;
    let (setup, sidecar) = start(&app).await;
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    peer.headers(1, &call("/test.Notes/Echo", &[]), false).await;
    let head = peer.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await.unwrap();
    assert!(head.has(flag::END_STREAM), "nothing follows the head");
    let field = |name: &str| {
        let found = head.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
    };
    assert_eq!((field(":status"), field("grpc-status"), field("grpc-message")), ("200".into(), "7".into(), "403 Forbidden".into()));
    assert_eq!((field("content-type"), field("x-countersign-reason")), ("application/grpc".into(), String::new()));
    let record = sidecar.record_of(&field("x-countersign-decision")).await;
    assert_eq!((record["reason"].as_str(), record["http"]["status"].as_u64()), (Some("implicit_deny"), Some(200)), "{record}");

    // 400: it cannot be made canonical, and 413 is said of a declared length.
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    peer.headers(1, &call("/test.Notes//Echo", &[]), true).await;
    let id = is(&peer.response(1).await, "13", "400 Bad Request");
    assert_eq!(sidecar.record_of(&id).await["reason"], "malformed:path_empty_segment");
    peer.headers(3, &call("/test.Notes/Echo", &[("content-length", "2000")]), false).await;
    let id = is(&peer.response(3).await, "8", "413 Payload Too Large");
    assert_eq!(sidecar.record_of(&id).await["close_reason"], "max_body");

    // The same over HTTP/1.1, and for a neighbour that is no gRPC the usual words.
    let mut bob = Raw::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    for (ctype, grpc) in [("application/grpc", true), ("application/grpc-web", false), ("application/json", false)] {
        bob.send(format!("POST /x HTTP/1.1\r\nhost: orders\r\ncontent-type: {ctype}\r\ncontent-length: 0\r\n\r\n")).await;
        let answer = bob.response().await.unwrap();
        if grpc {
            is(&answer, "7", "403 Forbidden");
        } else {
            assert_eq!((answer.status, &answer.body[..]), (403, &b"403 Forbidden\n"[..]));
        }
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn an_app_that_is_down_is_unavailable() {
    let app = App::h2c(|_| async { Response::new(full("ok")) }).await;
    let (setup, sidecar) = start(&app).await;
    drop(app);
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut stream = 1;
    // The listener goes with its task, a moment later.
    eventually("an app that is down", async || {
        peer.headers(stream, &call("/test.Notes/Echo", &[]), true).await;
        let answer = peer.response(stream).await;
        stream += 2;
        (answer.header("grpc-status") == "14").then(|| is(&answer, "14", "502 Bad Gateway"))
    })
    .await;
}

/// `grpc-timeout` rules: neither the time-out of other requests ends a call before it, nor does a call outlive it.
#[tokio::test]
async fn a_deadline_that_is_past() {
    let app = App::h2c(|_| async { std::future::pending::<Response<AppBody>>().await }).await;
    let (setup, sidecar) = start(&app).await;
    let alice = setup.cert(ALICE);
    let mut peer = Raw::http2(sidecar.inbound(), &alice).await;
    let begun = Instant::now();
    peer.headers(1, &call("/test.Notes/Slow", &[("grpc-timeout", "1500m")]), true).await;
    let id = is(&peer.response(1).await, "4", "504 Gateway Timeout");
    assert!(begun.elapsed() >= Duration::from_millis(1_500), "{:?}", begun.elapsed());
    let record = sidecar.record_of(&id).await;
    assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("deadline_exceeded"), Some(200)), "{record}");
    assert_eq!(app.got("/test.Notes/Slow").await.headers["grpc-timeout"], "1500m");
    // It rules also while the request is still coming.
    peer.headers(3, &call("/test.Notes/Upload", &[("grpc-timeout", "200000u")]), false).await;
    is(&peer.response(3).await, "4", "504 Gateway Timeout");

    // Without one, or with one that says nothing, there is no bound; what is no gRPC has the usual one.
    for (at, more) in [&[][..], &[("grpc-timeout", "1s")], &[("grpc-timeout", "100000000m")]].into_iter().enumerate() {
        peer.headers(5 + 2 * u32::try_from(at).unwrap(), &call("/test.Notes/Patient", more), true).await;
    }
    let head = peer.head("GET", "/plain");
    peer.headers(21, &head, true).await;
    assert_eq!(peer.response(21).await.status, 504);
    for stream in [5, 7, 9] {
        assert_eq!(sidecar.status().await.unwrap()["in_flight"]["inbound"], 3, "stream {stream} waits");
    }
    peer.rst(5, code::CANCEL).await;
    eventually("a cancelled call", async || (sidecar.status().await?["in_flight"]["inbound"] == 2).then_some(())).await;
}

/// What has begun cannot be taken back: the stream is reset, and no trailers are made up.
#[tokio::test]
async fn a_response_that_has_begun_is_reset() {
    let app = RawServer::app(|mut connection, _| async move {
        connection.settings(&[]).await;
        while let Some(call) = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await {
            connection.headers(call.stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
            connection.data(call.stream, "message", false).await;
            // Whoever refuses what it has answered promises what is not true.
            connection.rst(call.stream, if call.stream == 1 { code::INTERNAL_ERROR } else { code::REFUSED_STREAM }).await;
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
    let sidecar = Sidecar::start(&setup).await;
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for (stream, path) in [(1, "/broken"), (3, "/refused")] {
        peer.headers(stream, &call(path, &[]), true).await;
        // The reset may overtake the message; the head that came is not taken back.
        let outcome = within("a reset", peer.outcome(stream)).await;
        assert!(matches!(outcome, Outcome::Reset(code) if code != code::REFUSED_STREAM), "{path}: {outcome:?}");
        let record = sidecar.record(path, |record| record["http"]["path"] == path).await;
        assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("upstream_closed"), Some(200)), "{record}");
    }
    assert!(peer.round_trip().await, "the connection goes on");
}
