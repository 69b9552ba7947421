//! Many requests share an HTTP/2 connection to the app, and a peer's requests one to us. Whoever stops reading in the middle of a body stops nobody else
//! there, and loses nothing itself: however small the pieces are, they wait for their reader.

use crate::support::app::{AppBody, full};
use crate::support::raw_http2::{RawHttp2, flag, frame, kind, setting};
use crate::support::{ALICE, App, BOB, Bystander, Raw, RawServer, Setup, Sidecar, eventually, policy};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use tokio::sync::watch;

/// More than all the windows on the way take of one response.
static LARGE: &[u8] = &[b'x'; 1 << 20];
/// A gRPC message with one field that is a small number.
const MESSAGE: &[u8; 7] = b"\0\0\0\0\x02\x08\x01";
/// Messages of a small response: more than fit in the windows on the way.
const MESSAGES: usize = 30_000;
/// Readers that stop; they fit on one connection to the app.
const READERS: u32 = 20;

/// Their answers fill their own streams, and would fill a window that all streams of the app's connection share.
#[tokio::test]
async fn readers_of_large_answers() {
    let (app, setup, sidecar) = start(answer).await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = readers(&setup, &sidecar, "/large").await;
    eventually("all of them at the app", async || (asked(&app, "/large") == READERS as usize).then_some(())).await;
    bystander.stop().await;
    assert_eq!(all_of(&mut raw, 1).await, LARGE);
}

/// Small frames cost the library more than their bytes, and it ends a connection where too many of them wait: with it would go the calls of all others.
#[tokio::test]
async fn readers_of_small_messages() {
    let (app, setup, sidecar) = start(answer).await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let mut raw = readers(&setup, &sidecar, "/small").await;
    eventually("all of them at the app", async || (asked(&app, "/small") == READERS as usize).then_some(())).await;
    // What waits for them is known, and grows no more.
    let bytes = f64::from(READERS) * 2e6;
    sidecar.metric_reaches("countersign_buffered_bytes", &[], bytes).await;
    bystander.stop().await;
    for stream in [1, 2 * READERS - 1] {
        let all = all_of(&mut raw, stream).await;
        assert!(all.chunks(MESSAGE.len()).all(|message| message == MESSAGE) && all.len() == MESSAGES * MESSAGE.len(), "{}", all.len());
    }
}

/// The other way: messages of a client wait for an app whose window is shut, and nothing is lost.
#[tokio::test]
async fn uploads_of_small_messages() {
    const UPLOADED: usize = 6_000;
    let opens = watch::Sender::new(false);
    let opened = opens.clone();
    let app = RawServer::app(move |mut connection, _| {
        let mut opened = opened.subscribe();
        async move {
            connection.settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]).await;
            // It opens its windows once, for all of it.
            connection.returns_window = false;
            while let Some(asked) = connection.until(|frame| frame.kind == kind::HEADERS).await {
                if !asked.has(flag::END_STREAM) {
                    opened.wait_for(|open| *open).await.unwrap();
                    connection.window_update(0, 1 << 24).await;
                    connection.window_update(asked.stream, 1 << 24).await;
                    let mut bytes = 0;
                    while let Some(data) = connection.until(|frame| frame.kind == kind::DATA).await {
                        bytes += data.payload.len();
                        if data.has(flag::END_STREAM) {
                            break;
                        }
                    }
                    assert_eq!(bytes, UPLOADED * MESSAGE.len());
                }
                connection.headers(asked.stream, &[(":status", "204")], true).await;
            }
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
    let sidecar = Sidecar::start(&setup).await;
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert!(raw.round_trip().await, "the windows are known");
    let fields = raw.head("POST", "/upload");
    raw.headers(1, &fields, false).await;
    let messages = frame(kind::DATA, 0, 1, MESSAGE).repeat(1_000);
    for _ in 0..UPLOADED / 1_000 {
        raw.send(&messages).await;
    }
    assert!(raw.round_trip().await, "the connection outlives its small frames");
    sidecar.metric_reaches("countersign_buffered_bytes", &[], UPLOADED as f64 * 256.0).await;
    opens.send_replace(true);
    raw.frame(kind::DATA, flag::END_STREAM, 1, []).await;
    assert_eq!(raw.response(1).await.status, 204);
    eventually("nothing held", async || (sidecar.metric("countersign_buffered_bytes", &[]).await == 0.0).then_some(())).await;
}

async fn start<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> (App, Setup, Sidecar)
where
    F: Future<Output = Response<AppBody>> + Send + 'static,
{
    let (app, mut setup) = (App::h2c(answer).await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    setup.set("inbound.app_protocol", "'h2c'").set("timeouts.handshake", "'30s'");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

async fn answer(request: Request<Incoming>) -> Response<AppBody> {
    match request.uri().path() {
        "/large" => Response::new(full(LARGE)),
        "/small" => {
            let messages = tokio_stream::iter((0..MESSAGES).map(|_| Ok(http_body::Frame::data(Bytes::from_static(MESSAGE)))));
            Response::new(StreamBody::new(messages).boxed_unsync())
        }
        _ => Response::new(full("ok")),
    }
}

/// How many requests for `path` the app has got.
fn asked(app: &App, path: &str) -> usize {
    app.seen().iter().filter(|seen| seen.target == path).count()
}

/// Streams that ask for `path` and have a window of one byte.
async fn readers(setup: &Setup, sidecar: &Sidecar, path: &str) -> RawHttp2 {
    let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    raw.returns_window = false;
    raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]).await;
    for stream in 0..READERS {
        raw.get(2 * stream + 1, path).await;
    }
    raw
}

/// The whole answer of `stream`, once it has a window.
async fn all_of(raw: &mut RawHttp2, stream: u32) -> Vec<u8> {
    raw.window_update(0, 1 << 24).await;
    raw.window_update(stream, 1 << 24).await;
    raw.response(stream).await.body
}
