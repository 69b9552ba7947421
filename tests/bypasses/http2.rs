//! Pseudo-headers that are missing, repeated or malformed (RFC 9113, section 8.3).

use super::{Field, Fortress, broad, denying};
use crate::support::raw_http2::{Outcome, code};
use crate::support::within;

/// What becomes of these fields, and the connection afterwards serves a good request: only the stream is in error.
async fn reset(fortress: &Fortress, fields: &[Field<'_>]) {
    let mut connection = fortress.http2().await;
    connection.headers(1, fields, true).await;
    assert_eq!(connection.outcome(1).await, Outcome::Reset(code::PROTOCOL_ERROR), "{fields:?}");
    assert!(fortress.app.seen().is_empty(), "{fields:?}");
    connection.get(3, "/app/good").await;
    assert_eq!(connection.response(3).await.status, 200, "{fields:?}");
    assert_eq!(fortress.app.take().line, "GET /app/good HTTP/1.1");
}

const METHOD: Field<'_> = (":method", b"GET");
const SCHEME: Field<'_> = (":scheme", b"https");
const PATH: Field<'_> = (":path", b"/app/x");
const AUTHORITY: Field<'_> = (":authority", b"orders");

#[tokio::test]
async fn cve_2023_27491() {
    let fortress = Fortress::under(&broad()).await;
    reset(&fortress, &[METHOD, SCHEME, PATH, (":path", b"/admin/x"), AUTHORITY]).await;
    reset(&fortress, &[METHOD, SCHEME, (":path", b""), AUTHORITY]).await;
    reset(&fortress, &[METHOD, SCHEME, PATH, (":authority", b"orders x")]).await;
    reset(&fortress, &[METHOD, SCHEME, PATH, (":authority", b" orders")]).await;
    reset(&fortress, &[METHOD, SCHEME, AUTHORITY]).await;
    fortress.library_refused("malformed:h2_stream").await;
}

#[tokio::test]
async fn cve_2026_33186() {
    let fortress = Fortress::under(&broad()).await;
    reset(&fortress, &[METHOD, SCHEME, (":path", b"admin"), AUTHORITY]).await;
    reset(&fortress, &[METHOD, SCHEME, (":path", b"app/x"), AUTHORITY]).await;
    fortress.library_refused("malformed:h2_stream").await;
}

#[tokio::test]
async fn scheme() {
    let fortress = Fortress::under(&broad()).await;
    for scheme in [&b"http"[..], b"ftp", b"wss", b"HTTPS"] {
        let mut connection = fortress.http2().await;
        connection.headers(1, &[METHOD, (":scheme", scheme), PATH, AUTHORITY], true).await;
        fortress.malformed([connection.response(1).await], "scheme").await;
    }
    let mut connection = fortress.http2().await;
    connection.headers(1, &[METHOD, SCHEME, PATH, AUTHORITY], true).await;
    assert_eq!(connection.response(1).await.status, 200);
}

#[tokio::test]
async fn a_blank_in_the_path() {
    let fortress = Fortress::under(&broad()).await;
    for path in [&b"/app/a b"[..], b"/app/a\tb", b"/app/a\0b", b"/app/\x7f"] {
        reset(&fortress, &[METHOD, SCHEME, (":path", path), AUTHORITY]).await;
    }
}

/// RFC 8441: what it becomes on the next leg is what is decided, whatever the method says on this one.
#[tokio::test]
async fn extended_connect() {
    let fortress = Fortress::under(&denying("methods = ['GET']\npaths = ['/ws']")).await;
    let mut connection = fortress.http2().await;
    let fields = |path: &'static [u8]| {
        [
            (":method", &b"CONNECT"[..]),
            (":protocol", b"websocket"),
            SCHEME,
            (":path", path),
            AUTHORITY,
            ("sec-websocket-version", b"13"),
            ("sec-websocket-key", b"bXkgb3duIGZvcmdlZCBrZXk="),
        ]
    };
    connection.headers(1, &fields(b"/ws"), false).await;
    fortress.denied([connection.response(1).await], "no", "/ws").await;
    assert!(fortress.app.seen().is_empty());
    // Beside the denied path it is forwarded, as the GET that was decided.
    connection.headers(3, &fields(b"/app/ws"), false).await;
    let arrived = within("the request at the app", async {
        loop {
            match fortress.app.seen().first() {
                Some(seen) => break seen.line.clone(),
                None => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(arrived.await, "GET /app/ws HTTP/1.1");
}
