//! A request that a peer has declined before it did anything with it goes elsewhere as often as `retries` says, and no other request does
//! (RFC 9113, section 8.7).

use crate::support::raw_http2::{RawFrame, RawHttp2, code, kind};
use crate::support::streaming::{Streams, fed};
use crate::support::{Peer, RawServer, Setup, Sidecar, within};
use bytes::Bytes;
use countersign::testing::pki::TestCert;
use http::{Request, StatusCode};
use http_body_util::Full;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const PAYMENTS: &str = "spiffe://test.example/payments";

/// What a peer does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Refuses its stream.
    Refuse,
    /// Says that it takes no more, and that it did not look at this one.
    GoAway,
    /// Says that it takes no more, and goes without a word about this one, which it may have looked at.
    GoAwayAndClose,
    /// Resets its stream.
    Reset,
    /// Answers.
    Answer,
}

/// A peer that does one thing after the other, and the last one from then on.
async fn peer(cert: &TestCert, does: Vec<Does>) -> (RawServer, Arc<Mutex<Vec<Vec<u8>>>>) {
    let (turn, asked) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Vec<u8>>>>::default());
    let log = Arc::clone(&asked);
    let server = RawServer::peer(cert, move |mut connection, _| {
        let (turn, does, log) = (Arc::clone(&turn), does.clone(), Arc::clone(&log));
        async move {
            connection.settings(&[]).await;
            while let Some(request) = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await {
                let path = request.fields.iter().find(|(name, _)| name == ":path").unwrap().1.clone();
                log.lock().unwrap().push(path);
                let does = does[turn.fetch_add(1, Ordering::SeqCst).min(does.len() - 1)];
                act(&mut connection, request.stream, does).await;
                if does == Does::GoAwayAndClose {
                    return;
                }
            }
        }
    })
    .await;
    (server, asked)
}

async fn act(connection: &mut RawHttp2, stream: u32, does: Does) {
    match does {
        Does::Refuse => connection.rst(stream, code::REFUSED_STREAM).await,
        Does::Reset => connection.rst(stream, code::INTERNAL_ERROR).await,
        Does::GoAway => connection.frame(kind::GOAWAY, 0, 0, [[0; 4], code::NO_ERROR.to_be_bytes()].concat()).await,
        Does::GoAwayAndClose => {
            connection.frame(kind::GOAWAY, 0, 0, [stream.to_be_bytes(), code::NO_ERROR.to_be_bytes()].concat()).await;
        }
        Does::Answer => {
            connection.headers(stream, &[(":status", "200")], false).await;
            connection.data(stream, "answered", true).await;
        }
    }
}

async fn sidecar(setup: &mut Setup, retries: u32, addresses: &[SocketAddr]) -> Sidecar {
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    let addresses: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    let upstream = format!("hosts = ['payments']\nid = '{PAYMENTS}'\nretries = {retries}\naddress = [{}]", addresses.join(", "));
    setup.table("upstream", &upstream);
    Sidecar::start(setup).await
}

#[tokio::test]
async fn as_often_as_retries_says() {
    use Does::{Answer, GoAway, GoAwayAndClose, Refuse, Reset};
    // What the peer does, how many retries there are, what comes of it, and how often it is asked.
    let cases = [
        (vec![Refuse, Answer], 1, 200, 2),
        (vec![GoAway, Answer], 1, 200, 2),
        (vec![Refuse, GoAway, Refuse, Answer], 3, 200, 4),
        (vec![Refuse, Refuse, Answer], 1, 502, 2),
        (vec![Refuse, Answer], 0, 502, 1),
        (vec![GoAway, Answer], 0, 502, 1),
        (vec![Reset, Answer], 3, 502, 1),
        (vec![GoAwayAndClose, Answer], 3, 502, 1),
    ];
    for (does, retries, status, times) in cases {
        let mut setup = Setup::new();
        let (server, asked) = peer(&setup.cert(PAYMENTS), does.clone()).await;
        let sidecar = sidecar(&mut setup, retries, &[server.address]).await;
        let mut app = Peer::app_http1(sidecar.outbound()).await;
        let answer = app.ask("payments", "/ask").await;
        assert_eq!(answer.status.as_u16(), status, "{does:?}, {retries} retries");
        assert_eq!(asked.lock().unwrap().len(), times, "{does:?}, {retries} retries");
        let counted = sidecar.metric("countersign_retries_total", &["direction=\"outbound\""]).await;
        assert_eq!(counted, (times - 1) as f64, "{does:?}, {retries} retries");
    }
}

#[tokio::test]
async fn another_endpoint_first() {
    let mut setup = Setup::new();
    let cert = setup.cert(PAYMENTS);
    let (refusing, refused) = peer(&cert, vec![Does::Refuse]).await;
    let (answering, answered) = peer(&cert, vec![Does::Answer]).await;
    let sidecar = sidecar(&mut setup, 1, &[refusing.address, answering.address]).await;
    let mut app = Peer::app_h2c(sidecar.outbound()).await;
    for round in 0..10 {
        assert_eq!(app.ask("payments", &format!("/{round}")).await.body, "answered");
    }
    assert_eq!(answered.lock().unwrap().len(), 10);
    assert!(refused.lock().unwrap().len() <= 10, "never twice");
}

/// Only what nobody has read can be sent again.
#[tokio::test]
async fn a_body_that_was_sent_is_not_sent_again() {
    let mut setup = Setup::new();
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    // It has read the body before it says that it did nothing with the request.
    let server = RawServer::peer(&setup.cert(PAYMENTS), move |mut connection, _| {
        let count = Arc::clone(&count);
        async move {
            connection.settings(&[]).await;
            while let Some(data) = connection.until(|frame: &RawFrame| frame.kind == kind::DATA && !frame.payload.is_empty()).await {
                assert_eq!(data.payload, b"pay 10");
                count.fetch_add(1, Ordering::SeqCst);
                connection.rst(data.stream, code::REFUSED_STREAM).await;
            }
        }
    })
    .await;
    let sidecar = sidecar(&mut setup, 5, &[server.address]).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    let request = Request::post("http://payments/sent").body(Full::new(Bytes::from_static(b"pay 10"))).unwrap();
    let answer = app.send(request).await.unwrap();
    assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (StatusCode::BAD_GATEWAY, 1), "{answer:?}");
    assert_eq!(sidecar.metric("countersign_retries_total", &[]).await, 0.0);
}

/// A body of which nothing has come yet is sent with the second attempt.
#[tokio::test]
async fn a_body_that_is_still_to_come() {
    let mut setup = Setup::new();
    let cert = setup.cert(PAYMENTS);
    let attempts = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&attempts);
    let server = RawServer::peer(&cert, move |mut connection, _| {
        let count = Arc::clone(&count);
        async move {
            connection.settings(&[]).await;
            while let Some(request) = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    connection.rst(request.stream, code::REFUSED_STREAM).await;
                    continue;
                }
                let data = connection.until(|frame: &RawFrame| frame.kind == kind::DATA && !frame.payload.is_empty()).await.unwrap();
                connection.headers(request.stream, &[(":status", "200")], false).await;
                connection.data(request.stream, data.payload, true).await;
            }
        }
    })
    .await;
    let sidecar = sidecar(&mut setup, 1, &[server.address]).await;
    let mut app = Streams::app_h2c(sidecar.outbound()).await;
    let (body, feed) = fed(None);
    let answer = tokio::spawn(app.ask("POST", "http://payments/late", body));
    crate::support::eventually("a second attempt", async || (attempts.load(Ordering::SeqCst) == 2).then_some(())).await;
    feed.send(Ok(Bytes::from_static(b"at last"))).await.unwrap();
    drop(feed);
    let answer = within("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = within("its body", http_body_util::BodyExt::collect(answer.into_body())).await.unwrap().to_bytes();
    assert_eq!(body, "at last");
}
