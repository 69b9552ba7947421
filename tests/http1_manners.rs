//! What HTTP/1 has beside plain requests and answers: expectations, version 1.0, pipelines, answers that end with the connection, interim answers.

use crate::support::app::{RawApp, full};
use crate::support::raw::End;
use crate::support::raw_http2::{RawFrame, kind};
use crate::support::{ALICE, App, BOB, Peer, Raw, RawServer, Remote, Setup, Sidecar, eventually, policy, within};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};

const PAYMENTS: &str = "spiffe://test.example/payments";

/// We say `100` ourselves, after the decision; whoever is refused never reads it (RFC 9110, section 10.1.1).
#[tokio::test]
async fn expectations() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let (alice, bob) = (setup.cert(ALICE), setup.cert(BOB));
    let head = |expect: &str| format!("POST /echo HTTP/1.1\r\nhost: orders\r\nexpect: {expect}\r\ncontent-length: 4\r\n\r\n");

    let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
    for expect in ["100-continue", "100-Continue"] {
        peer.send(head(expect)).await;
        assert_eq!(peer.response().await.unwrap().status, 100);
        peer.send("text").await;
        let answer = peer.response().await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"text"[..]));
        assert!(!app.seen().last().unwrap().headers.contains_key("expect"));
    }
    // It does not wait for our leave.
    peer.send(head("100-continue") + "text").await;
    let mut answer = peer.response().await.unwrap();
    if answer.status == 100 {
        answer = peer.response().await.unwrap();
    }
    assert_eq!((answer.status, &answer.body[..]), (200, &b"text"[..]));

    let mut denied = Raw::http1(sidecar.inbound(), &bob).await;
    denied.send(head("100-continue")).await;
    assert_eq!(denied.response().await.unwrap().status, 403);
    assert_eq!(denied.rest().await, (Vec::new(), End::Closed), "nothing can follow a body that nobody asked for");

    let before = app.seen().len();
    for expect in ["200-ok", "100-continue, more"] {
        let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
        peer.send(head(expect)).await;
        let answer = peer.response().await.unwrap();
        assert_eq!(answer.status, 417, "{expect}");
        assert_eq!(sidecar.record_of(answer.header("x-countersign-decision")).await["reason"], "malformed:expect");
        let mut peer = Raw::http2(sidecar.inbound(), &alice).await;
        let mut head = peer.head("POST", "/echo");
        head.push(("expect", expect));
        peer.headers(1, &head, true).await;
        assert_eq!(peer.response(1).await.status, 417, "{expect}");
    }
    assert_eq!(app.seen().len(), before);
}

/// Version 1.0 knows neither chunks nor, unless it asks, a second request (RFC 9112, appendix C.2).
#[tokio::test]
async fn version_1_0() {
    let app = App::serve(|request| async move {
        if request.uri().path() == "/length" {
            return Response::new(full("known"));
        }
        let pieces = ["un", "known"].map(|piece| Ok(http_body::Frame::data(piece.into())));
        Response::new(StreamBody::new(tokio_stream::iter(pieces)).boxed_unsync())
    })
    .await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    for host in ["", "host: orders\r\n"] {
        let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
        for _ in 0..2 {
            peer.send(format!("GET /length HTTP/1.0\r\n{host}connection: keep-alive\r\n\r\n")).await;
            let answer = peer.response().await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"known"[..]));
            assert_eq!((answer.header("connection"), answer.header("transfer-encoding")), ("keep-alive", ""));
        }
        for keep_alive in ["", "connection: keep-alive\r\n"] {
            let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
            peer.send(format!("GET /stream HTTP/1.0\r\n{host}{keep_alive}\r\n")).await;
            let answer = peer.response().await.unwrap();
            assert_eq!((answer.status, &answer.body[..], answer.header("transfer-encoding")), (200, &b"unknown"[..], ""), "{keep_alive}");
            assert_eq!(peer.rest().await, (Vec::new(), End::Closed));
        }
    }
}

/// Requests that come before the answers to those before them are decided, recorded and answered one by one, in their order.
#[tokio::test]
async fn pipelines() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/echo/**")]));
    let sidecar = setup.start(&app).await;
    let mut peer = Raw::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let paths = ["/echo/0", "/closed/1", "/echo/2", "/echo/3", "/closed/4", "/echo/5"];
    let request = |path: &str| {
        let body = if path.starts_with("/echo") { path } else { "" };
        format!("POST {path} HTTP/1.1\r\nhost: orders\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let requests: String = paths.into_iter().map(request).collect();
    peer.send(requests).await;
    for path in paths {
        let answer = peer.response().await.unwrap();
        let status = if path.starts_with("/echo") { 200 } else { 403 };
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if status == 200 {
            assert_eq!(answer.body, path.as_bytes());
        }
    }
    eventually("all records", async || {
        let mut records: Vec<_> = sidecar.records().into_iter().filter(|record| record["kind"] == "decision").collect();
        // Denials come before allows that wait; ids count up as requests are decided.
        records.sort_by_key(|record| record["id"].as_str().unwrap().to_owned());
        let decided = records.iter().map(|record| record["http"]["path"].as_str().unwrap());
        decided.eq(paths).then_some(())
    })
    .await;
}

/// An answer that ends with its connection ends for the client too, in its own way; interim answers break nothing (RFC 9110, section 15.2).
#[tokio::test]
async fn ends_and_interim_answers() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let answers = [
        "HTTP/1.1 200 OK\r\n\r\nto the end".to_owned(),
        "HTTP/1.0 200 OK\r\n\r\nto the end".to_owned(),
        format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nto the end"),
        format!("{interim}HTTP/1.1 200 OK\r\n\r\nto the end"),
    ];
    for answer in answers {
        let (app, mut setup) = (RawApp::start(answer.clone()).await, Setup::new());
        setup.in_front_of(app.address);
        let sidecar = Sidecar::start(&setup).await;
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
            for _ in 0..2 {
                let got = peer.get("/").await;
                assert_eq!((got.status, &got.body[..]), (StatusCode::OK, &b"to the end"[..]), "{}: {answer:?}", peer.name());
            }
        }
    }
    let app = RawServer::app(|mut connection, _| async move {
        connection.settings(&[]).await;
        while let Some(asked) = connection.until(|frame: &RawFrame| frame.kind == kind::HEADERS).await {
            for status in ["103", "100"] {
                connection.headers(asked.stream, &[(":status", status)], false).await;
            }
            connection.headers(asked.stream, &[(":status", "200")], false).await;
            connection.data(asked.stream, "to the end", true).await;
        }
    })
    .await;
    let mut setup = Setup::new();
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
    let sidecar = Sidecar::start(&setup).await;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        assert_eq!(peer.get("/").await.body, "to the end", "{}", peer.name());
    }
}

/// Methods are names, not a list; `*` is the target of OPTIONS alone, and no path: a rule about every path does not allow it.
#[tokio::test]
async fn methods_and_long_values() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2", "http/1.1"]).await;
    setup.set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\nid = '{PAYMENTS}'\naddress = '{}'", remote.address));
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
    for method in ["FROB", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~1"] {
        peer.send(format!("{method} /{} HTTP/1.1\r\nhost: orders\r\n\r\n", method.len())).await;
        assert_eq!(peer.response().await.unwrap().status, 200, "{method}");
        assert_eq!(app.seen().last().unwrap().method, method);
    }
    let long = "v".repeat(30 << 10);
    peer.send(format!("GET /long HTTP/1.1\r\nhost: orders\r\nx-long: {long}\r\ncookie: a={long}\r\n\r\n")).await;
    assert_eq!(peer.response().await.unwrap().status, 200);
    let seen = app.got("/long").await;
    assert!(seen.headers["x-long"] == long && seen.headers["cookie"] == format!("a={long}"));
    let mut http2 = Raw::http2(sidecar.inbound(), &alice).await;
    let mut head = http2.head("GET", "/cookies");
    head.extend([("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3; d=4")]);
    http2.headers(1, &head, true).await;
    assert_eq!(http2.response(1).await.status, 200);
    assert_eq!(app.got("/cookies").await.headers["cookie"], "a=1; b=2; c=3; d=4");

    peer.send("OPTIONS * HTTP/1.1\r\nhost: orders\r\n\r\n").await;
    assert_eq!(peer.response().await.unwrap().status, 403);
    let mut ours = Raw::app_http1(sidecar.outbound()).await;
    ours.send("OPTIONS * HTTP/1.1\r\nhost: payments\r\n\r\n").await;
    assert_eq!(within("an answer", ours.response()).await.unwrap().status, 200);
    assert_eq!(remote.got("*").await.host, "payments");

    for broken in [" / HTTP/1.1", "GE T / HTTP/1.1", "G@T / HTTP/1.1", "GET  / HTTP/1.1"] {
        let mut peer = Raw::http1(sidecar.inbound(), &alice).await;
        peer.send(format!("{broken}\r\nhost: orders\r\n\r\n")).await;
        assert_eq!(peer.response().await.unwrap().status, 400, "{broken}");
        assert_eq!(peer.rest().await.1, End::Closed, "{broken}");
    }
}

#[tokio::test]
async fn a_rule_may_allow_the_target_of_options() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&format!("{}methods = ['OPTIONS']\n", policy(&[("server", ALICE, "*")])));
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let (mut http1, mut http2) = (Raw::http1(sidecar.inbound(), &alice).await, Raw::http2(sidecar.inbound(), &alice).await);
    for (number, (target, status)) in (0..).zip([("*", 200), ("/", 403), ("/*", 403)]) {
        http1.send(format!("OPTIONS {target} HTTP/1.1\r\nhost: orders\r\n\r\n")).await;
        assert_eq!(http1.response().await.unwrap().status, status, "{target}");
        let (stream, head) = (2 * number + 1, http2.head("OPTIONS", target));
        http2.headers(stream, &head, true).await;
        assert_eq!(http2.response(stream).await.status, status, "{target}");
    }
    let seen = app.seen();
    assert_eq!(seen.iter().map(|seen| (seen.method.as_str(), seen.target.as_str())).collect::<Vec<_>>(), [("OPTIONS", "*"); 2]);
    let record = sidecar.record("an OPTIONS *", |record| record["http"]["path"] == "*").await;
    assert_eq!((&record["rule"], &record["http"]["template"]), (&"server".into(), &"*".into()), "{record}");
}
