//! `[limits] buffered_bytes`: thousands of readers and uploads that stand still stay within the budget; a good client is served, and memory comes back.

use crate::support::app::{AppBody, full};
use crate::support::raw_http2::{RawHttp2, code, kind, setting};
use crate::support::streaming::{Streams, generated};
use crate::support::{ALICE, App, BOB, Bystander, Raw, Setup, Sidecar, eventually, policy};
use http::{Request, Response};
use hyper::body::Incoming;

/// More than is read ahead for a client that does not read.
static LARGE: &[u8] = &[b'x'; 512 << 10];

/// And more than the kernel takes for one.
static LARGER: &[u8] = &[b'x'; 8 << 20];

const BUDGET: u64 = 16 << 20;
/// What thousands of requests take beside what they hold: their connections to the app, their records, a build for tests. Without the budget, two thousand
/// readers take twice as much as both together.
const BESIDE: u64 = 160 << 20;
const CONNECTIONS: usize = 20;
const STREAMS: u32 = 100;

/// HTTP/2 clients that ask and never read: their streams have a window of one byte.
#[tokio::test]
async fn two_thousand_readers() {
    let (_app, setup, sidecar) = start().await;
    attack(&setup, &sidecar, async |raw| {
        raw.returns_window = false;
        raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]).await;
        for stream in streams() {
            raw.get(stream, "/large").await;
        }
    })
    .await;
}

/// The same with answers that fit in one piece: the library has them to their end, and they cannot leave.
#[tokio::test]
async fn two_thousand_readers_of_little() {
    let (_app, setup, sidecar) = start().await;
    attack(&setup, &sidecar, async |raw| {
        raw.returns_window = false;
        raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]).await;
        for stream in streams() {
            raw.get(stream, "/little").await;
        }
    })
    .await;
}

/// Uploads that the app does not read. What the kernel takes on the way is not ours; then the windows fill.
#[tokio::test]
async fn uploads_that_nobody_reads() {
    let (_app, setup, sidecar) = start().await;
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let descriptors = sidecar.descriptors();
    let mut uploads = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = Streams::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        for _ in 0..20 {
            uploads.push(tokio::spawn(peer.send("POST", "/hold/upload", generated(64 << 20, true).0)));
        }
    }
    bounded(&sidecar).await;
    bystander.stop().await;
    uploads.iter().for_each(tokio::task::JoinHandle::abort);
    drop(uploads);
    nothing_held(&sidecar, descriptors).await;
}

/// Readers over HTTP/1.1.
#[tokio::test]
async fn readers_over_http1() {
    let (_app, setup, sidecar) = start().await;
    let cert = setup.cert(ALICE);
    let bystander = Bystander::start(&sidecar, &setup, BOB).await;
    let descriptors = sidecar.descriptors();
    let mut readers = Vec::new();
    for _ in 0..200 {
        let mut raw = Raw::http1(sidecar.inbound(), &cert).await;
        raw.send("GET /larger HTTP/1.1\r\nhost: orders\r\n\r\n").await;
        readers.push(raw);
    }
    bounded(&sidecar).await;
    bystander.stop().await;
    drop(readers);
    nothing_held(&sidecar, descriptors).await;
}

/// While memory is short, a connection that holds much gets no more, and is told so.
#[tokio::test]
async fn who_holds_much_is_refused_more() {
    let (_app, setup, sidecar) = start().await;
    let mut readers = Vec::new();
    // Some 16 KiB a stream, whether the library has an answer to its end or not: all together between three quarters of the budget and the whole.
    for _ in 0..9 {
        let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        raw.returns_window = false;
        raw.settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]).await;
        for stream in streams() {
            raw.get(stream, "/piece").await;
        }
        readers.push(raw);
    }
    sidecar.metric_reaches("countersign_buffered_bytes", &[], (BUDGET / 4 * 3) as f64).await;
    let raw = &mut readers[0];
    let stream = 2 * STREAMS + 1;
    raw.get(stream, "/more").await;
    let refused = raw.until(|frame| frame.kind == kind::HEADERS && frame.stream == stream).await.unwrap();
    let field =
        |name: &str| refused.fields.iter().find(|(field, _)| field == name).map(|(_, value)| String::from_utf8(value.clone()).unwrap());
    assert_eq!(field(":status").as_deref(), Some("503"));
    let record = sidecar.record_of(&field("x-countersign-decision").unwrap()).await;
    assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some("buffers_full")), "{record}");
    Bystander::start(&sidecar, &setup, BOB).await.stop().await;
}

async fn start() -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::serve(answer).await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    // Not what this is about, and the machine may be busy.
    setup.set("timeouts.handshake", "'30s'").set("timeouts.connect", "'30s'");
    setup.set("limits.buffered_bytes", "'16MiB'").set("limits.in_flight_per_identity", "0.9");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

async fn answer(request: Request<Incoming>) -> Response<AppBody> {
    match request.uri().path() {
        "/large" => Response::new(full(LARGE)),
        "/larger" => Response::new(full(LARGER)),
        "/piece" => Response::new(full(&LARGE[..16 << 10])),
        "/little" => Response::new(full(&LARGE[..12 << 10])),
        _ => Response::new(full("ok")),
    }
}

fn streams() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|at| 2 * at + 1)
}

/// Opens connections, does `attack` on each, and looks at what they cost.
async fn attack(setup: &Setup, sidecar: &Sidecar, attack: impl AsyncFn(&mut RawHttp2)) {
    let bystander = Bystander::start(sidecar, setup, BOB).await;
    let descriptors = sidecar.descriptors();
    let cert = setup.cert(ALICE);
    let mut attackers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut raw = Raw::http2(sidecar.inbound(), &cert).await;
        attack(&mut raw).await;
        attackers.push(raw);
    }
    bounded(sidecar).await;
    bystander.stop().await;
    for raw in &mut attackers {
        raw.rst(1, code::CANCEL).await;
    }
    drop(attackers);
    nothing_held(sidecar, descriptors).await;
}

/// What holds most is cut until the rest fits.
async fn bounded(sidecar: &Sidecar) {
    sidecar.metric_reaches("countersign_cuts_total", &["reason=\"buffers_full\""], 1.0).await;
    let fits = async || (sidecar.metric("countersign_buffered_bytes", &[]).await <= BUDGET as f64).then_some(());
    eventually("bytes within the budget", fits).await;
    let memory = sidecar.memory();
    assert!(memory.peak < BUDGET + BESIDE, "{memory:?}");
    let cut = |record: &serde_json::Value| record["close_reason"] == "buffers_full" || record["reason"] == "buffers_full";
    sidecar.record("the cut", cut).await;
}

async fn nothing_held(sidecar: &Sidecar, descriptors: usize) {
    eventually("nothing held", async || (sidecar.metric("countersign_buffered_bytes", &[]).await == 0.0).then_some(())).await;
    sidecar.gives_descriptors_back(descriptors).await;
}
