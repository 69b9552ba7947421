//! A request's head has `[timeouts] head` from its first byte to its end, and so has the silence before the first.

use crate::support::client::tls;
use crate::support::raw_http2::{block, flag, frame, kind};
use crate::support::{ALICE, App, Bystander, Peer, Raw, Setup, Sidecar, eventually, within};
use http::StatusCode;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

const LIMIT: Duration = Duration::from_secs(1);
/// The least that the limit may become: marks are as coarse as the sweep's tick, and a loaded machine ticks late.
const LEAST: Duration = Duration::from_millis(600);

#[tokio::test]
async fn http1_that_drips() {
    let (_app, setup, sidecar) = start().await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    drips(stream, Instant::now()).await;
    cut(&sidecar, "inbound", 1.0).await;
    recorded(&sidecar, 1).await;
    bystander.outlives(&sidecar).await;
}

#[tokio::test]
async fn http1_that_drips_its_second_head() {
    let (app, setup, sidecar) = start().await;
    let mut stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    stream.write_all(b"GET /first HTTP/1.1\r\nhost: orders\r\n\r\n").await.unwrap();
    let mut answer = [0; 1];
    within("the first answer", stream.read(&mut answer)).await.unwrap();
    drips(stream, Instant::now()).await;
    cut(&sidecar, "inbound", 1.0).await;
    assert_eq!(app.seen().len(), 1);
}

#[tokio::test]
async fn silence_after_the_handshake() {
    let (_app, setup, sidecar) = start().await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    for (cuts, alpn) in [(1.0, "http/1.1"), (2.0, "h2")] {
        let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &[alpn]).await.unwrap();
        ends(stream, Instant::now()).await;
        cut(&sidecar, "inbound", cuts).await;
    }
    recorded(&sidecar, 2).await;
    bystander.outlives(&sidecar).await;
}

#[tokio::test]
async fn half_an_http2_preface() {
    let (_app, setup, sidecar) = start().await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    let mut stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["h2"]).await.unwrap();
    let begun = Instant::now();
    stream.write_all(b"PRI * HTTP/2").await.unwrap();
    ends(stream, begun).await;
    cut(&sidecar, "inbound", 1.0).await;
    recorded(&sidecar, 1).await;
    bystander.outlives(&sidecar).await;
}

/// HTTP/2: a header block that does not end, in its first frame, inside a frame, and dripping on in further frames; also beside a request that is open.
#[tokio::test]
async fn unfinished_header_blocks() {
    let (app, setup, sidecar) = start().await;
    let bystander = Bystander::start(&sidecar, &setup, ALICE).await;
    for case in ["a frame", "half a frame", "dripping frames"] {
        let mut raw = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        raw.get(1, &format!("/hold/{case}").replace(' ', "-")).await;
        app.got(&format!("/hold/{case}").replace(' ', "-")).await;
        // Nothing may come between the pieces of a block, an acknowledgement of SETTINGS neither.
        assert!(raw.round_trip().await);
        let begun = Instant::now();
        let head = block(&raw.head("GET", "/slow"));
        let whole = frame(kind::HEADERS, flag::NONE, 3, &head);
        raw.send(if case == "half a frame" { &whole[..20] } else { &whole }).await;
        let mut pace = interval(Duration::from_millis(300));
        for _ in 0..if case == "dripping frames" { 3 } else { 0 } {
            pace.tick().await;
            raw.continuation(3, block(&[("x-drip", "x")]), false).await;
        }
        raw.ended().await;
        assert!(begun.elapsed() >= LEAST, "{case}: cut after {:?} of {LIMIT:?}", begun.elapsed());
    }
    cut(&sidecar, "inbound", 3.0).await;
    recorded(&sidecar, 3).await;
    let held = async || (sidecar.records().iter().filter(|record| record["close_reason"] == "head").count() == 3).then_some(());
    eventually("the requests beside them", held).await;
    bystander.outlives(&sidecar).await;
}

#[tokio::test]
async fn the_app_on_the_outbound_listener() {
    let (_app, _setup, sidecar) = start().await;
    // Which protocol it is stays open until the first byte that tells; then the head is awaited.
    for (cuts, beginning) in [(1.0, &b""[..]), (2.0, b"PRI * HTTP/2"), (3.0, b"GET / HTTP/1.1\r\nhost:")] {
        let mut stream = TcpStream::connect(sidecar.outbound()).await.unwrap();
        let begun = Instant::now();
        stream.write_all(beginning).await.unwrap();
        ends(stream, begun).await;
        cut(&sidecar, "outbound", cuts).await;
    }
}

/// What has a whole head is not touched: neither a slow answer nor an idle connection.
#[tokio::test]
async fn complete_heads_are_left_alone() {
    let (app, setup, sidecar) = start().await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let held = [http1.begin(crate::support::get("/hold/1")), http2.begin(crate::support::get("/hold/2"))];
    app.got("/hold/2").await;
    let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    ends(stream, Instant::now()).await;
    app.release();
    for answer in held {
        assert_eq!(within("a held answer", answer).await.unwrap().status(), StatusCode::OK);
    }
    let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    ends(stream, Instant::now()).await;
    assert_eq!(http2.get("/after").await.status, StatusCode::OK);
}

async fn start() -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.head", "'1s'").set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", "hosts = ['peer']\naddress = '127.0.0.1:9'\nid = 'spiffe://test.example/peer'");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// Sends a head byte by byte, never its end, until the connection is cut.
async fn drips<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, begun: Instant) {
    let mut pace = interval(Duration::from_millis(50));
    let mut head = b"GET /slow HTTP/1.1\r\nx-drip: ".iter().chain(std::iter::repeat(&b'x'));
    let dripping = async {
        loop {
            pace.tick().await;
            let mut bytes = [0; 4_096];
            let end = timeout(Duration::from_millis(1), stream.read(&mut bytes)).await;
            let written = stream.write_all(&[*head.next().unwrap()]).await.and(stream.flush().await);
            if written.is_err() || matches!(end, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    within("the cut of a dripping head", dripping).await;
    assert!(begun.elapsed() >= LEAST, "cut after {:?} of {LIMIT:?}", begun.elapsed());
}

/// Waits for the end of a connection that says nothing more.
async fn ends<S: AsyncRead + Unpin>(mut stream: S, begun: Instant) {
    let mut rest = Vec::new();
    let _ = within("the cut of a stalled connection", stream.read_to_end(&mut rest)).await;
    assert!(begun.elapsed() >= LEAST, "cut after {:?} of {LIMIT:?}", begun.elapsed());
}

async fn cut(sidecar: &Sidecar, direction: &str, cuts: f64) {
    let labels = [&format!("direction=\"{direction}\"")[..], "reason=\"head\""];
    assert_eq!(sidecar.metric_reaches("countersign_cuts_total", &labels, cuts).await, cuts);
}

/// Waits for so many records of heads that were not waited for any longer.
async fn recorded(sidecar: &Sidecar, count: usize) {
    let heads = eventually("records of the heads", async || {
        let heads: Vec<_> = sidecar.records().into_iter().filter(|record| record["reason"] == "head").collect();
        (heads.len() >= count).then_some(heads)
    })
    .await;
    assert!(heads.iter().all(|record| record["decision"] == "deny" && record["src"]["id"] == ALICE), "{heads:?}");
}
