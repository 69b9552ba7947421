//! Streams that a client opens and takes back, or makes us reset, end its connection before they cost much; a good client beside it does not notice.

use crate::support::bystander::with_two_callers;
use crate::support::raw_http2::{RawHttp2, block, code, flag, frame, kind};
use crate::support::{ALICE, BOB, Bystander, Raw, eventually};

/// Requests in all, and in one write.
const MANY: u32 = 20_000;
const BATCH: u32 = 50;

/// CVE-2023-44487: HEADERS and RST_STREAM, again and again.
#[tokio::test]
async fn by_the_client() {
    attack(|stream| frame(kind::RST_STREAM, flag::NONE, stream, &code::CANCEL.to_be_bytes())).await;
}

/// CVE-2025-8671: each request is followed by a frame for which we have to reset it: a window above 2^31 - 1.
#[tokio::test]
async fn by_a_window_that_overflows() {
    attack(|stream| frame(kind::WINDOW_UPDATE, flag::NONE, stream, &0x7fff_ffff_u32.to_be_bytes())).await;
}

/// Its sibling: a second head that does not end the stream.
#[tokio::test]
async fn by_a_second_head() {
    attack(|stream| frame(kind::HEADERS, flag::END_HEADERS, stream, &block(&[("a", "b")]))).await;
}

/// Its sibling: more bytes than were declared.
#[tokio::test]
async fn by_more_than_was_declared() {
    attack(|stream| frame(kind::DATA, flag::END_STREAM, stream, b"more")).await;
}

/// And where nothing of it is let in: more streams at once than are allowed.
#[tokio::test]
async fn by_more_streams_than_are_allowed() {
    attack(|_| Vec::new()).await;
}

/// A client that takes back what takes too long is a good one.
#[tokio::test]
async fn a_client_whose_requests_time_out_is_none() {
    let (app, setup, sidecar) = with_two_callers().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut stream = 1;
    for round in 0..4 {
        for _ in 0..16 {
            raw.get(stream, &format!("/hold/{round}")).await;
            stream += 2;
        }
        app.got(&format!("/hold/{round}")).await;
        for back in 1..=16 {
            raw.rst(stream - 2 * back, code::CANCEL).await;
        }
    }
    raw.get(stream, "/good").await;
    assert_eq!(raw.response(stream).await.status, 200);
}

/// Opens streams that the app would hold, each followed by `then`, until the connection ends.
async fn attack(then: impl Fn(u32) -> Vec<u8>) {
    let (app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let opened = open(&mut raw, then).await;
    assert!(opened < MANY, "the connection took it all");
    let cut = |record: &serde_json::Value| matches!(record["reason"].as_str(), Some("h2_flood" | "malformed:h2_connection"));
    let record = sidecar.record("the end of the connection", cut).await;
    assert_eq!((record["decision"].as_str(), record["src"]["id"].as_str()), (Some("deny"), Some(ALICE)), "{record}");
    let asked = app.seen().iter().filter(|seen| seen.target.starts_with("/hold")).count();
    assert!(asked <= 4_000, "{asked} requests cost the app something");
    let label = if record["reason"] == "h2_flood" { "decision=\"refused\"" } else { "decision=\"malformed\"" };
    assert!(sidecar.metric("countersign_requests_total", &[label]).await >= 1.0);
    drop(raw);
    bystander.outlives(&sidecar).await;
    eventually("nothing in flight", async || (sidecar.status().await?["in_flight"]["inbound"] == 0).then_some(())).await;
}

async fn open(raw: &mut RawHttp2, then: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut head = raw.head("POST", "/hold/1");
    head.push(("content-length", "3"));
    let head = block(&head);
    for batch in 0..MANY / BATCH {
        let mut bytes = Vec::new();
        for stream in (0..BATCH).map(|at| 2 * (batch * BATCH + at) + 1) {
            bytes.extend(frame(kind::HEADERS, flag::END_HEADERS, stream, &head));
            bytes.extend(then(stream));
        }
        raw.send(bytes).await;
        if !raw.round_trip().await {
            return batch * BATCH;
        }
    }
    MANY
}
