//! An app that speaks HTTP/2 without TLS is reached as one that speaks HTTP/1.1, whatever the caller speaks, over TCP and over a Unix socket.

use crate::support::app::{AppBody, full};
use crate::support::client::post;
use crate::support::raw_http2::{RawFrame, code, kind, setting};
use crate::support::{ALICE, App, Peer, Raw, RawServer, Setup, Sidecar, within};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::UnixListener;
use tokio::sync::watch;

async fn echo(request: Request<Incoming>) -> Response<AppBody> {
    // The check of the app's health has no peer.
    let from = request.headers().get("x-countersign-peer").cloned().unwrap_or(HeaderValue::from_static(""));
    Response::builder().header("x-from", from).body(request.into_body().boxed_unsync()).unwrap()
}

#[tokio::test]
async fn both_versions_reach_both_versions() {
    for app in [App::serve(echo).await, App::h2c(echo).await] {
        let mut setup = Setup::new();
        let mut protocol = "http1";
        // Which app it is shows in what it sees.
        for attempt in 0..2 {
            setup.set("inbound.app_protocol", &format!("'{protocol}'"));
            let sidecar = setup.start(&app).await;
            let mut peers = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
            let first = peers[0].send(post("/first", "x")).await.unwrap();
            if first.status != StatusCode::OK {
                assert_eq!((first.status, attempt), (StatusCode::BAD_GATEWAY, 0));
                protocol = "h2c";
                continue;
            }
            for peer in &mut peers {
                let body = vec![b'x'; 1 << 20];
                let answer = peer.send(post("/a%2Db?c=d", body.clone())).await.unwrap();
                assert_eq!((answer.status, answer.header("x-from")), (StatusCode::OK, ALICE), "{} to {protocol}", peer.name());
                assert!(answer.body == body, "{} to {protocol}", peer.name());
                let seen = app.got("/a-b?c=d").await;
                let origin = (protocol == "h2c").then(|| ("http".to_owned(), "orders".to_owned()));
                assert_eq!(seen.origin, origin, "{} to {protocol}: its connection has no TLS", peer.name());
                assert_eq!(seen.headers.get("host").is_some(), protocol == "http1");
                assert_eq!(peer.get("/empty").await.body, "", "{} to {protocol}", peer.name());
            }
            break;
        }
    }
}

#[tokio::test]
async fn over_a_unix_socket() {
    for protocol in ["http1", "h2c"] {
        let mut setup = Setup::new();
        let path = setup.path("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
                if protocol == "h2c" {
                    tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
                } else {
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            }
        });
        setup.set("inbound.app", &format!("'unix:{}'", path.display())).set("inbound.app_protocol", &format!("'{protocol}'"));
        // It is asked for its health in its own protocol too: nothing is ready before.
        setup.set("health.app_check", "'/healthz'");
        let sidecar = Sidecar::start(&setup).await;
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
            let answer = peer.send(post("/echo", "text")).await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"text"[..]), "{} to {protocol}", peer.name());
        }
    }
}

/// HTTP/2 cannot leave the host out; and a head without a body comes back as one.
#[tokio::test]
async fn heads_that_differ_between_the_versions() {
    let app = App::h2c(|request| async move {
        let empty = || http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        match request.uri().path() {
            "/head" => Response::builder().header("content-length", "1234").body(empty()).unwrap(),
            "/204" => Response::builder().status(204).body(empty()).unwrap(),
            "/304" => Response::builder().status(304).body(empty()).unwrap(),
            _ => Response::new(full("ok")),
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.set("inbound.app_protocol", "'h2c'");
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut raw = Raw::http1(sidecar.inbound(), &alice).await;
    raw.send("GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    assert_eq!(raw.response().await.unwrap().status, 400);
    raw.send("GET /old HTTP/1.0\r\nhost: orders\r\nconnection: keep-alive\r\n\r\n").await;
    assert_eq!(raw.response().await.unwrap().body, b"ok");
    for (method, path, status) in [("HEAD", "/head", 200), ("GET", "/204", 204), ("GET", "/304", 304)] {
        raw.send(format!("{method} {path} HTTP/1.1\r\nhost: orders\r\n\r\n")).await;
        let answer = raw.response_to(method).await.unwrap();
        let length = if method == "HEAD" { "1234" } else { "" };
        assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (status, length, 0), "{path}: {answer:?}");
    }
    let paths: Vec<_> = app.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(paths, ["/old", "/head", "/204", "/304"]);
}

/// The app says how many streams it takes at once. No request waits behind another, and none is refused: there are more connections.
#[tokio::test]
async fn no_more_streams_than_it_takes() {
    let (open, most) = (watch::Sender::new(0), Arc::<AtomicUsize>::default());
    let peak = Arc::clone(&most);
    let app = RawServer::app(move |mut connection, _| {
        let (open, peak) = (open.clone(), Arc::clone(&peak));
        async move {
            connection.settings(&[(setting::MAX_CONCURRENT_STREAMS, 2)]).await;
            let (mut here, mut everywhere) = (Vec::new(), open.subscribe());
            loop {
                tokio::select! {
                    asked = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS) => {
                        let Some(asked) = asked else { return };
                        here.push(asked.stream);
                        peak.fetch_max(here.len(), Ordering::SeqCst);
                        open.send_modify(|open| *open += 1);
                    }
                    // All five at once, or none of them is answered.
                    () = async { drop(everywhere.wait_for(|open| *open == 5).await) }, if !here.is_empty() => {
                        for stream in here.drain(..) {
                            connection.headers(stream, &[(":status", "204")], true).await;
                        }
                    }
                }
            }
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'").set("runtime.shards", "1");
    let sidecar = Sidecar::start(&setup).await;
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for stream in [1, 3, 5, 7, 9] {
        peer.get(stream, "/at-once").await;
    }
    for stream in [1, 3, 5, 7, 9] {
        assert_eq!(within("an answer", peer.response(stream)).await.status, 204);
    }
    assert_eq!((most.load(Ordering::SeqCst), app.connections()), (2, 3));
}

/// A connection that the app ends, with a word or without one, is replaced before the next request.
#[tokio::test]
async fn an_ended_connection_is_replaced() {
    let ended = watch::Sender::new(0);
    let ends = ended.clone();
    let app = RawServer::app(move |mut connection, number| {
        let ends = ends.clone();
        async move {
            connection.settings(&[]).await;
            let asked = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await.unwrap();
            connection.headers(asked.stream, &[(":status", "204")], true).await;
            if number % 2 == 1 {
                connection.frame(kind::GOAWAY, 0, 0, [asked.stream.to_be_bytes(), code::NO_ERROR.to_be_bytes()].concat()).await;
            } else {
                connection.shutdown().await;
            }
            // The sidecar has seen it once it closes as well.
            connection.ended().await;
            ends.send_replace(number);
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'").set("runtime.shards", "1").set("timeouts.app_pool_idle", "'1m'");
    let sidecar = Sidecar::start(&setup).await;
    let mut peer = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut ended = ended.subscribe();
    for round in 1..=6 {
        let stream = u32::try_from(2 * round - 1).unwrap();
        peer.get(stream, "/").await;
        assert_eq!(peer.response(stream).await.status, 204, "round {round}");
        within("the end of the connection", ended.wait_for(|number| *number == round)).await.unwrap();
    }
    assert_eq!(app.connections(), 6);
}
