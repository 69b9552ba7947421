//! What the HTTP library refuses before it is a request of ours leaves one record with the caller, and no path; what was decided leaves no second one.

use crate::support::raw_http2::{Outcome, RawHttp2, code, flag, kind};
use crate::support::{ALICE, App, Raw, Setup, Sidecar, eventually};
use serde_json::Value;

#[tokio::test]
async fn malformed_streams() {
    let (app, setup, sidecar) = start().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    // RFC 9113, sections 8.3.1, 8.3 and 8.2.2: an empty path, none at all, a pseudo-header behind a field, a field that is about the connection.
    raw.headers(1, &[(":method", "GET"), (":scheme", "https"), (":path", ""), (":authority", "orders")], true).await;
    raw.headers(3, &[(":method", "GET"), (":scheme", "https"), (":authority", "orders")], true).await;
    raw.headers(5, &[(":method", "GET"), (":scheme", "https"), ("a", "b"), (":path", "/x"), (":authority", "orders")], true).await;
    raw.headers(7, &[(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", "orders"), ("connection", "close")], true)
        .await;
    for stream in [1, 3, 5, 7] {
        assert_eq!(raw.outcome(stream).await, Outcome::Reset(code::PROTOCOL_ERROR), "{stream}");
    }
    // The connection lives on, and its next request is an ordinary one.
    raw.get(9, "/good").await;
    assert_eq!(raw.response(9).await.status, 200);
    refused(&sidecar, "malformed:h2_stream", 4).await;
    assert_eq!(app.seen().len(), 1);
}

/// HTTP/2 lets a stream be reset that was never opened: a PRIORITY that depends on itself (RFC 9113, section 5.3.1, RFC 7540's rule).
#[tokio::test]
async fn a_reset_of_a_stream_that_nobody_opened() {
    let (_app, setup, sidecar) = start().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.frame(kind::PRIORITY, flag::NONE, 5, [0, 0, 0, 5, 16]).await;
    assert_eq!(raw.reset(5).await, Some(code::PROTOCOL_ERROR));
    refused(&sidecar, "malformed:h2_stream", 1).await;
}

#[tokio::test]
async fn a_header_list_above_the_limit() {
    let (app, setup, sidecar) = start_with(|setup| _ = setup.set("limits.head_bytes", "'8KiB'")).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let long = "x".repeat(9_000);
    for (stream, end_stream) in [(1, true), (3, false)] {
        let mut head = raw.head("GET", "/large");
        head.push(("x-long", &long));
        raw.headers(stream, &head, end_stream).await;
        assert_eq!(raw.response(stream).await.status, 431);
    }
    for record in refused(&sidecar, "malformed:head_bytes", 2).await {
        assert_eq!(record["http"]["status"], 431);
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn streams_above_the_limit() {
    let (app, setup, sidecar) = start_with(|setup| _ = setup.set("limits.h2_streams", "2")).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for stream in [1, 3, 5, 7] {
        raw.get(stream, &format!("/hold/{stream}")).await;
    }
    for stream in [5, 7] {
        assert_eq!(raw.outcome(stream).await, Outcome::Reset(code::REFUSED_STREAM), "{stream}");
    }
    refused(&sidecar, "h2_streams", 2).await;
    app.release();
    for stream in [1, 3] {
        assert_eq!(raw.response(stream).await.status, 200);
    }
}

#[tokio::test]
async fn connection_errors() {
    let (_app, setup, sidecar) = start().await;
    // DATA on no stream; HEADERS that cannot be decompressed; not the preface at all (RFC 9113, sections 6.1, 4.3 and 3.4).
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.data(0, b"x", false).await;
    assert_eq!(raw.goaway().await.map(|(_, code)| code), Some(code::PROTOCOL_ERROR));
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, [0xff; 12]).await;
    raw.ended().await;
    let mut raw = Raw::http2_silent(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await;
    raw.ended().await;
    refused(&sidecar, "malformed:h2_connection", 3).await;
}

/// The library ends a connection on which a CONNECT declares a body, and says nothing.
#[tokio::test]
async fn a_connect_that_declares_a_body() {
    let (_app, setup, sidecar) = start().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.headers(1, &[(":method", "CONNECT"), (":authority", "orders:1"), ("content-length", "5")], false).await;
    raw.ended().await;
    refused(&sidecar, "malformed:h2_connection", 1).await;
}

#[tokio::test]
async fn http1_heads() {
    let (_app, setup, sidecar) = start_with(|setup| _ = setup.set("limits.head_bytes", "'8KiB'")).await;
    for (head, status) in [("GET / HTTP/1.1\r\nhost : orders\r\n\r\n".to_owned(), 400), (format!("GET /{}", "x".repeat(9_000)), 431)] {
        let mut raw = Raw::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
        raw.send(head).await;
        assert_eq!(raw.response().await.unwrap().status, status);
    }
    refused(&sidecar, "malformed:http1_parse", 1).await;
    refused(&sidecar, "malformed:http1_too_large", 1).await;
}

/// Streams that reached us have their record: the library's reset of one, or ours, makes no second.
#[tokio::test]
async fn what_was_decided_is_recorded_once() {
    let (app, setup, sidecar) = start().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    // Decided and open when its client breaks the rules: no window is 2^31 (RFC 9113, section 6.9.1).
    let head = raw.head("POST", "/hold/1");
    raw.headers(1, &head, false).await;
    app.got("/hold/1").await;
    raw.window_update(1, 0x7fff_ffff).await;
    assert_eq!(raw.outcome(1).await, Outcome::Reset(code::FLOW_CONTROL_ERROR));
    // The same in the same moment as its head.
    let head = raw.head("POST", "/hold/3");
    raw.headers(3, &head, false).await;
    raw.window_update(3, 0x7fff_ffff).await;
    assert_eq!(raw.outcome(3).await, Outcome::Reset(code::FLOW_CONTROL_ERROR));
    // Denied before its body came: answered, and what is left of the body is not wanted.
    let head = [(":method", "POST"), (":scheme", "https"), (":path", "//"), (":authority", "orders")];
    raw.headers(5, &head, false).await;
    assert_eq!(raw.response(5).await.status, 400);
    assert!(raw.round_trip().await);
    // A client that resets its own.
    raw.get(7, "/hold/7").await;
    app.got("/hold/7").await;
    raw.rst(7, code::CANCEL).await;
    raw.get(9, "/hold/9").await;
    app.got("/hold/9").await;
    drop(raw);
    let records = eventually("five records", async || Some(decisions(&sidecar)).filter(|records| records.len() >= 5)).await;
    let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "rule").count(), 4, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "malformed:path_empty_segment").count(), 1, "{reasons:?}");
    // Whatever comes later comes after this.
    let mut last = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    last.get(1, "/last").await;
    assert_eq!(last.response(1).await.status, 200);
    sidecar.record("the last request", |record| record["http"]["path"] == "/last").await;
    assert_eq!(decisions(&sidecar).len(), 6);
}

/// The app's side has the same eyes.
#[tokio::test]
async fn the_outbound_listener() {
    let (_app, _setup, sidecar) = start_with(|setup| {
        setup.set("outbound.listen", "'127.0.0.1:0'");
        setup.table("upstream", "hosts = ['peer']\naddress = '127.0.0.1:9'\nid = 'spiffe://test.example/peer'");
    })
    .await;
    let mut raw = Raw::app_h2c(sidecar.outbound()).await;
    raw.headers(1, &[(":method", "GET"), (":scheme", "http"), (":authority", "peer")], true).await;
    assert_eq!(raw.outcome(1).await, Outcome::Reset(code::PROTOCOL_ERROR));
    let record = sidecar.record("the refusal", |record| record["reason"] == "malformed:h2_stream").await;
    assert_eq!((record["dir"].as_str(), record["decision"].as_str()), (Some("outbound"), Some("deny")));
}

/// A client that is refused again and again: each refusal is counted, exactly, and the connection ends.
#[tokio::test]
async fn a_flood_of_malformed_streams() {
    let (_app, setup, sidecar) = start().await;
    let mut sent = 0;
    for _ in 0..4 {
        let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        sent += flood(&mut raw).await;
    }
    let look = async || Some(count(&sidecar, "malformed:h2_stream")).filter(|count| *count >= sent);
    assert_eq!(eventually("every refusal", look).await, sent);
    refused(&sidecar, "malformed:h2_connection", 4).await;
}

/// Opens streams without a path until the connection ends; how many were reset.
async fn flood(raw: &mut RawHttp2) -> u64 {
    for stream in (1..=401).step_by(2) {
        raw.headers(stream, &[(":method", "GET"), (":scheme", "https"), (":authority", "orders")], true).await;
    }
    let mut resets = 0;
    while let Some(frame) = raw.next().await {
        resets += u64::from(frame.kind == kind::RST_STREAM);
    }
    assert!(resets <= 100, "{resets} streams were reset before the connection ended");
    resets
}

async fn start() -> (App, Setup, Sidecar) {
    start_with(|_| ()).await
}

async fn start_with(change: impl FnOnce(&mut Setup)) -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    change(&mut setup);
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// Waits for so many records with this reason, and sees that there are no more and what is in them.
async fn refused(sidecar: &Sidecar, reason: &str, count: usize) -> Vec<Value> {
    let found = eventually(&format!("{count} records of {reason}"), async || {
        let found: Vec<_> = sidecar.records().into_iter().filter(|record| record["reason"] == reason).collect();
        (found.len() >= count).then_some(found)
    })
    .await;
    assert_eq!(found.len(), count, "{found:?}");
    for record in &found {
        assert_eq!((record["decision"].as_str(), record["src"]["id"].as_str()), (Some("deny"), Some(ALICE)), "{record}");
        assert!(record["http"]["path"].is_null() && record["http"]["method"].is_null(), "{record}");
    }
    found
}

fn decisions(sidecar: &Sidecar) -> Vec<Value> {
    sidecar.records().into_iter().filter(|record| record["kind"] == "decision" && record["phase"] != "open").collect()
}

/// Denials with this reason: records of their own, and those inside counts.
fn count(sidecar: &Sidecar, reason: &str) -> u64 {
    let of = |record: Value| if record["kind"] == "aggregate" { record["count"].as_u64().unwrap() } else { 1 };
    sidecar.records().into_iter().filter(|record| record["reason"] == reason).map(of).sum()
}
