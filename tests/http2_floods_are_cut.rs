//! An HTTP/2 client whose frames bring nothing on is cut, whichever frames it sends; a good client beside it does not notice.

use crate::support::bystander::with_two_callers;
use crate::support::raw_http2::{RawHttp2, code, flag, frame, kind, setting};
use crate::support::{ALICE, BOB, Bystander, Raw, Sidecar, eventually};

/// Far above what a client may send before it brings something on.
const MANY: usize = 40_000;
/// Frames in one write.
const BATCH: usize = 500;

#[tokio::test]
async fn pings() {
    flood(frame(kind::PING, flag::NONE, 0, b"12345678"), "h2_flood").await;
}

#[tokio::test]
async fn settings() {
    let payload = [&setting::INITIAL_WINDOW_SIZE.to_be_bytes()[..], &65_535_u32.to_be_bytes()].concat();
    flood(frame(kind::SETTINGS, flag::NONE, 0, &payload), "h2_flood").await;
}

#[tokio::test]
async fn priorities() {
    flood(frame(kind::PRIORITY, flag::NONE, 1, &[0, 0, 0, 0, 16]), "h2_flood").await;
}

#[tokio::test]
async fn frames_of_an_unknown_type() {
    flood(frame(0xfa, flag::NONE, 0, b""), "h2_flood").await;
}

#[tokio::test]
async fn window_updates() {
    flood(frame(kind::WINDOW_UPDATE, flag::NONE, 0, &1_u32.to_be_bytes()), "h2_flood").await;
}

#[tokio::test]
async fn acknowledgements_of_pings_that_nobody_sent() {
    flood(frame(kind::PING, flag::ACK, 0, b"12345678"), "h2_flood").await;
}

/// The library itself takes only so many.
#[tokio::test]
async fn empty_data() {
    flood(frame(kind::DATA, flag::NONE, 1, b""), "malformed:h2_connection").await;
}

/// The library itself takes only so many.
#[tokio::test]
async fn continuations() {
    let (_app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.frame(kind::HEADERS, flag::NONE, 1, b"").await;
    send(&mut raw, &frame(kind::CONTINUATION, flag::NONE, 1, b"")).await;
    raw.ended().await;
    ends(&sidecar, "malformed:h2_connection").await;
    drop(raw);
    bystander.outlives(&sidecar).await;
}

/// What a good client sends beside its requests: keep-alive PINGs, and a WINDOW_UPDATE or two for each piece of a body.
#[tokio::test]
async fn a_talkative_client_is_none() {
    let (_app, setup, sidecar) = with_two_callers().await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for stream in (1..=401).step_by(2) {
        raw.ping(*b"12345678").await;
        raw.get(stream, "/good").await;
        raw.window_update(0, 100).await;
        raw.window_update(stream, 100).await;
        assert_eq!(raw.response(stream).await.status, 200);
    }
    assert!(raw.round_trip().await);
    assert_eq!(sidecar.metric("countersign_cuts_total", &["reason=\"h2_flood\""]).await, 0.0);
}

/// Sends the same frame again and again, beside an open request and a good client.
async fn flood(frame: Vec<u8>, reason: &str) {
    let (app, setup, sidecar) = with_two_callers().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let head = raw.head("POST", "/hold/1");
    raw.headers(1, &head, false).await;
    app.got("/hold/1").await;
    send(&mut raw, &frame).await;
    // Where there is time to say it, the client is told to calm down.
    if let Some((_, said)) = raw.goaway().await {
        assert_eq!(said, code::ENHANCE_YOUR_CALM);
    }
    raw.ended().await;
    ends(&sidecar, reason).await;
    let open = sidecar.record("the open request", |record| record["http"]["path"] == "/hold/1" && record["phase"] != "open").await;
    if reason == "h2_flood" {
        assert_eq!(open["close_reason"], "h2_flood", "{open}");
        assert_eq!(sidecar.metric("countersign_cuts_total", &["direction=\"inbound\"", "reason=\"h2_flood\""]).await, 1.0);
    }
    drop(raw);
    bystander.outlives(&sidecar).await;
    eventually("nothing in flight", async || (sidecar.status().await?["in_flight"]["inbound"] == 0).then_some(())).await;
}

/// Sends a frame many times, until it is enough or the server has had enough. What the server says meanwhile is read.
async fn send(raw: &mut RawHttp2, frame: &[u8]) {
    let batch = frame.repeat(BATCH);
    for _ in 0..MANY / BATCH {
        raw.send(&batch).await;
        if !raw.round_trip().await {
            return;
        }
    }
    panic!("the connection took it all");
}

async fn ends(sidecar: &Sidecar, reason: &str) {
    let record = sidecar.record(reason, |record| record["reason"] == reason).await;
    assert_eq!((record["decision"].as_str(), record["src"]["id"].as_str()), (Some("deny"), Some(ALICE)), "{record}");
    let decision = if reason == "h2_flood" { "refused" } else { "malformed" };
    assert_eq!(sidecar.metric("countersign_requests_total", &[&format!("decision=\"{decision}\"")]).await, 1.0);
}
