//! Where a body ends: RFC 9112, sections 6.1, 6.3, 7.1 and 8. An app never takes a body for whole that is not, and never sees what follows as a request.

use crate::support::conformance::{Bodies, Conformance, Target};
use crate::support::raw::RawHttp1;
use crate::support::{ALICE, App, Raw, Setup, Sidecar};

/// What must not become a request where the body before it is refused.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: orders\r\n\r\n";

/// Framing that nobody can be sure of is refused before the request is forwarded, and nothing that follows is read.
#[tokio::test]
async fn framing_that_is_refused() {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        for (fields, status) in [
            // 6.2, 6.3: no number, or too large a one.
            ("content-length: +4", 400),
            ("content-length: -4", 400),
            ("content-length: 0x4", 400),
            ("content-length: 4 4", 400),
            ("content-length: 4;", 400),
            ("content-length: four", 400),
            ("content-length:", 400),
            ("content-length: 18446744073709551616", 400),
            ("content-length: 4, 5", 400),
            ("content-length: 4\r\ncontent-length: 5", 400),
            // 6.1, 6.3: codings that are not chunked alone.
            ("transfer-encoding: gzip", 400),
            ("transfer-encoding: identity", 400),
            ("transfer-encoding: chunked, identity", 400),
            ("transfer-encoding: xchunked", 400),
            ("transfer-encoding: chunked;q=1", 400),
            ("transfer-encoding:", 400),
            ("transfer-encoding: gzip, chunked", 501),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", 501),
        ] {
            let mut connection = conformance.connect_http1(target).await;
            connection.send(format!("POST /bad HTTP/1.1\r\nhost: orders\r\n{fields}\r\n\r\n0\r\n\r\n{NEXT}")).await;
            let answer = connection.response().await.unwrap_or_else(|| panic!("{target:?} {fields}: no answer"));
            assert_eq!(answer.status, status, "{target:?} {fields}");
            assert_eq!(connection.rest().await.0, b"", "{target:?} {fields}");
        }
    }
    assert_eq!(conformance.seen(), [""; 0]);
}

/// Chunks as they may be written (section 7.1); what follows is the next request.
#[tokio::test]
async fn chunks_that_are_read() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.connect().await;
    for (case, chunks, body) in [
        ("none", "0\r\n\r\n", ""),
        ("several", "4\r\nbody\r\n1\r\n!\r\n0\r\n\r\n", "body!"),
        ("hexadecimal in either case", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("leading zeros", "0004\r\nbody\r\n0000\r\n\r\n", "body"),
        ("extensions", "4;name=value\r\nbody\r\n0;last\r\n\r\n", "body"),
        ("a quoted extension", "4;name=\"a b\"\r\nbody\r\n0\r\n\r\n", "body"),
        ("trailers", "4\r\nbody\r\n0\r\nx-trailer: 1\r\n\r\n", "body"),
        ("what looks like a request", "18\r\nGET /bad HTTP/1.1\r\n\r\n\r\n.\r\n0\r\n\r\n", "GET /bad HTTP/1.1\r\n\r\n\r\n."),
    ] {
        let path = format!("/{}", case.replace(' ', "-"));
        connection.send(format!("POST {path} HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: Chunked\r\n\r\n{chunks}")).await;
        assert_eq!(connection.response().await.map(|answer| answer.status), Some(200), "{case}");
        assert_eq!(fixture.bodies.of(&path).await.as_deref(), Some(body.as_bytes()), "{case}");
    }
}

/// Chunks that are none: the body is not whole for the app, and the connection ends.
#[tokio::test]
async fn chunks_that_are_none() {
    let fixture = Fixture::start().await;
    for (case, chunks) in [
        ("no number", "x\r\nbody\r\n0\r\n\r\n"),
        ("no size", "\r\nbody\r\n0\r\n\r\n"),
        ("a sign", "+4\r\nbody\r\n0\r\n\r\n"),
        ("a negative size", "-4\r\nbody\r\n0\r\n\r\n"),
        ("a prefix", "0x4\r\nbody\r\n0\r\n\r\n"),
        ("an overflow", "10000000000000004\r\nbody\r\n0\r\n\r\n"),
        ("more than its size", "4\r\nbodybody\r\n0\r\n\r\n"),
        ("less than its size", "5\r\nbody\r\n0\r\n\r\n"),
        ("a line feed alone", "4\nbody\r\n0\r\n\r\n"),
        ("a line feed alone in an extension", "4;a\nb\r\nbody\r\n0\r\n\r\n"),
        ("a carriage return alone", "4\rbody\r\n0\r\n\r\n"),
        ("a trailer that is none", "4\r\nbody\r\n0\r\nno colon\r\n\r\n"),
    ] {
        let mut connection = fixture.connect().await;
        let path = format!("/{}", case.replace(' ', "-"));
        connection.send(format!("POST {path} HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{NEXT}")).await;
        let answer = connection.response().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status >= 400), "{case}: {answer:?}");
        assert_eq!(connection.rest().await.0, b"", "{case}");
    }
    fixture.nothing_is_whole().await;
}

/// A message that breaks off is incomplete (section 8), also where the client waits for an answer.
#[tokio::test]
async fn bodies_that_break_off() {
    let fixture = Fixture::start().await;
    for (path, framing, piece) in [
        ("/length", "content-length: 10", "body"),
        ("/chunk", "transfer-encoding: chunked", "a\r\nbody"),
        ("/last-chunk", "transfer-encoding: chunked", "4\r\nbody\r\n"),
        ("/last-line", "transfer-encoding: chunked", "4\r\nbody\r\n0\r\n"),
        ("/trailer", "transfer-encoding: chunked", "4\r\nbody\r\n0\r\nx-trailer: 1\r\n"),
    ] {
        let mut connection = fixture.connect().await;
        connection.send(format!("POST {path} HTTP/1.1\r\nhost: orders\r\n{framing}\r\n\r\n{piece}")).await;
        fixture.app.got(path).await;
        connection.shutdown().await;
        let answer = connection.response().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status >= 400), "{path}: {answer:?}");
        assert_eq!(fixture.bodies.of(path).await, None, "{path}");
    }
    fixture.nothing_is_whole().await;
}

/// A sidecar before an app that reads every body.
struct Fixture {
    app: App,
    bodies: Bodies,
    setup: Setup,
    sidecar: Sidecar,
}

impl Fixture {
    async fn start() -> Self {
        let ((app, bodies), mut setup) = (Bodies::app().await, Setup::new());
        let sidecar = setup.start(&app).await;
        Self { app, bodies, setup, sidecar }
    }

    async fn connect(&self) -> RawHttp1 {
        Raw::http1(self.sidecar.inbound(), &self.setup.cert(ALICE)).await
    }

    /// No body was whole so far, and nothing behind one became a request.
    async fn nothing_is_whole(&self) {
        let mut connection = self.connect().await;
        connection.send("GET /last HTTP/1.1\r\nhost: orders\r\n\r\n").await;
        assert_eq!(connection.response().await.map(|answer| answer.status), Some(200));
        assert_eq!(self.bodies.whole(), ["/last"]);
        assert!(!self.app.seen().iter().any(|seen| seen.target == "/smuggled"));
    }
}
