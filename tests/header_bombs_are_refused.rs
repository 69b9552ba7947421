//! A head that is small on the wire and large in memory, or made of very many fields, is refused and recorded, and costs no memory that stays.

use crate::support::bystander::with_two_callers;
use crate::support::raw_http2::{RawHttp2, block, flag, integer, kind, string};
use crate::support::{ALICE, App, BOB, Bystander, Raw};

/// HPACK: one field of 3 KiB goes into the table and is then named thousands of times, one byte each (RFC 7541, section 7.3).
#[tokio::test]
async fn a_list_that_expands() {
    let (app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let before = sidecar.memory().resident;
    for _ in 0..20 {
        let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        let mut bomb = request(&raw);
        bomb.extend([&[0x40][..], &string(b"bomb"), &string(&[b'x'; 3 << 10])].concat());
        // The newest entry of the table has index 62.
        bomb.extend([&integer(0x80, 7, 62)[..]].concat().repeat(12 << 10));
        raw.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &bomb).await;
        // The library answers 431, or ends the connection where it is too much to go on.
        let _ = raw.outcome(1).await;
    }
    let refused =
        |record: &serde_json::Value| matches!(record["reason"].as_str(), Some("malformed:head_bytes" | "malformed:h2_connection"));
    sidecar.record("the refusal", refused).await;
    // The kernel's figures of one moment need not fit together.
    let more = sidecar.memory().peak.saturating_sub(before);
    assert!(more < 64 << 20, "{more} bytes more at the peak");
    bystander.outlives(&sidecar).await;
    assert!(sidecar.metric("countersign_requests_total", &["decision=\"malformed\""]).await >= 20.0);
    only_the_bystander(&app);
}

#[tokio::test]
async fn a_block_in_many_frames() {
    let (app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut head = request(&raw);
    let long = "x".repeat(12 << 10);
    let names: Vec<_> = (0..10).map(|at| format!("x-{at}")).collect();
    head.extend(block(&names.iter().map(|name| (name, &long)).collect::<Vec<_>>()));
    let mut pieces = head.chunks(16 << 10).peekable();
    raw.frame(kind::HEADERS, flag::END_STREAM, 1, pieces.next().unwrap()).await;
    while let Some(piece) = pieces.next() {
        raw.continuation(1, piece, pieces.peek().is_none()).await;
    }
    let _ = raw.outcome(1).await;
    let refused =
        |record: &serde_json::Value| matches!(record["reason"].as_str(), Some("malformed:head_bytes" | "malformed:h2_connection"));
    sidecar.record("the refusal", refused).await;
    sidecar.metric_reaches("countersign_requests_total", &["decision=\"malformed\""], 1.0).await;
    drop(raw);
    bystander.outlives(&sidecar).await;
    only_the_bystander(&app);
}

#[tokio::test]
async fn many_fields() {
    let (app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let names: Vec<_> = (0..200).map(|at| format!("x-{at}")).collect();
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut head = raw.head("GET", "/many");
    head.extend(names.iter().map(|name| (name.as_str(), "1")));
    raw.headers(1, &head, true).await;
    assert_eq!(raw.response(1).await.status, 431);
    sidecar.record("HTTP/2", |record| record["reason"] == "malformed:head_fields").await;
    let mut raw = Raw::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let fields: String = names.iter().map(|name| format!("{name}: 1\r\n")).collect();
    raw.send(format!("GET /many HTTP/1.1\r\nhost: orders\r\n{fields}\r\n")).await;
    assert_eq!(raw.response().await.unwrap().status, 431);
    sidecar.record("HTTP/1.1", |record| record["reason"] == "malformed:http1_too_large").await;
    sidecar.metric_reaches("countersign_requests_total", &["decision=\"malformed\""], 2.0).await;
    drop(raw);
    bystander.outlives(&sidecar).await;
    only_the_bystander(&app);
}

fn only_the_bystander(app: &App) {
    assert!(app.seen().iter().all(|seen| seen.target == "/bystander"));
}

fn request(raw: &RawHttp2) -> Vec<u8> {
    block(&raw.head("GET", "/bomb"))
}
