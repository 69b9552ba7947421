//! Where a message ends.

use super::{Fortress, WEB, broad, rule};
use crate::support::eventually;
use crate::support::raw::End;
use crate::support::raw_http2::Outcome;
use serde_json::Value;

fn any_method() -> String {
    rule("all", "allow", WEB, "paths = ['/app/**']")
}

/// What follows a message that two readers may end at different places: if it were taken for a request, it would be answered.
const SMUGGLED: &str = "GET /app/smuggled HTTP/1.1\r\nhost: orders\r\n\r\n";

#[tokio::test]
async fn cve_2026_2835_transfer_encoding_on_http_1_0() {
    let fortress = Fortress::under(&any_method()).await;
    for version in ["1.0"] {
        let mut connection = fortress.http1().await;
        connection
            .send(format!("POST /app/x HTTP/{version}\r\nhost: orders\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"))
            .await;
        assert_eq!(connection.response().await.unwrap().status, 400);
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed));
    }
    fortress.library_refused("malformed:http1_parse").await;
}

#[tokio::test]
async fn cve_2026_2833_and_2835_transfer_encoding_beside_content_length() {
    let fortress = Fortress::under(&any_method()).await;
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "Content-Length: 60\r\nContent-Length: 60\r\nTransfer-Encoding: Chunked\r\n",
    ] {
        let mut connection = fortress.http1().await;
        connection.send(format!("POST /app/x HTTP/1.1\r\nhost: orders\r\n{fields}\r\n4\r\nbody\r\n0\r\n\r\n{SMUGGLED}")).await;
        let answer = connection.response().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, "close"), "{fields}");
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed), "{fields}");
        let came = fortress.app.take();
        assert_eq!((came.line.as_str(), came.body.as_slice()), ("POST /app/x HTTP/1.1", &b"body"[..]), "{fields}");
        assert_eq!((came.all("transfer-encoding"), came.has("content-length")), (vec![&b"chunked"[..]], false), "{fields}");
        // A denied one is told apart as well.
        let mut connection = fortress.http1().await;
        connection.send(format!("POST /other HTTP/1.1\r\nhost: orders\r\n{fields}\r\n0\r\n\r\n")).await;
        let record = fortress.refused(&connection.response().await.unwrap(), 403, "implicit_deny").await;
        assert_eq!(record["framing"], "te_cl", "{record}");
    }
    let framings = async || {
        let ours = |record: &&Value| record["http"]["path"] == "/app/x" && record["kind"] == "decision";
        let records: Vec<Value> = fortress.sidecar.records().iter().filter(ours).map(|record| record["framing"].clone()).collect();
        Some(records).filter(|records| records.len() == 3)
    };
    assert_eq!(eventually("three records", framings).await, ["te_cl"; 3]);
    // Not what has one framing.
    let mut connection = fortress.http1().await;
    connection.send("POST /app/one HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(connection.response().await.unwrap().status, 200);
    let record = fortress.sidecar.record("the ordinary one", |record| record["http"]["path"] == "/app/one").await;
    assert!(record["framing"].is_null(), "{record}");
}

#[tokio::test]
async fn te_double() {
    let fortress = Fortress::under(&any_method()).await;
    for fields in [
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity, chunked\r\n",
    ] {
        let mut connection = fortress.http1().await;
        connection.send(format!("POST /app/x HTTP/1.1\r\nhost: orders\r\n{fields}\r\n0\r\n\r\n{SMUGGLED}")).await;
        let answer = connection.response().await.unwrap();
        fortress.refused(&answer, 501, "malformed:transfer_encoding").await;
        assert_eq!(answer.header("connection"), "close", "{fields}");
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed), "{fields}");
    }
    // Where chunked is not the last of them, nobody can tell where the body ends.
    for value in ["gzip", "chunked, gzip", "xchunked", "identity", "\"chunked\""] {
        let mut connection = fortress.http1().await;
        connection.send(format!("POST /app/x HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: {value}\r\n\r\n0\r\n\r\n{SMUGGLED}")).await;
        let status = connection.response().await.unwrap().status;
        assert!([400, 501].contains(&status), "{value}: {status}");
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed), "{value}");
        assert!(fortress.app.seen().is_empty(), "{value}");
    }
}

#[tokio::test]
async fn content_lengths_that_differ() {
    let fortress = Fortress::under(&any_method()).await;
    for fields in [
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: 4, 4\r\n",
        "content-length: +4\r\n",
        "content-length: 0x4\r\n",
        "content-length: -1\r\n",
        "content-length:\r\n",
    ] {
        let mut connection = fortress.http1().await;
        connection.send(format!("POST /app/x HTTP/1.1\r\nhost: orders\r\n{fields}\r\nbody{SMUGGLED}")).await;
        assert_eq!(connection.response().await.unwrap().status, 400, "{fields}");
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed), "{fields}");
        assert!(fortress.app.seen().is_empty(), "{fields}");
    }
    fortress.library_refused("malformed:http1_parse").await;
}

#[tokio::test]
async fn content_lengths_that_agree_are_one() {
    let fortress = Fortress::under(&any_method()).await;
    let mut connection = fortress.http1().await;
    connection.send("POST /app/x HTTP/1.1\r\nhost: orders\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nbody").await;
    assert_eq!(connection.response().await.unwrap().status, 200);
    let came = fortress.app.take();
    assert_eq!((came.all("content-length"), came.body.as_slice()), (vec![&b"4"[..]], &b"body"[..]));
}

#[tokio::test]
async fn heads_that_the_parser_refuses() {
    let fortress = Fortress::under(&any_method()).await;
    for head in [
        "GET /app/x HTTP/1.1\r\nhost: orders\r\nx-a: 1\r\n folded\r\n\r\n",
        "GET /app/x HTTP/1.1\r\nhost: orders\r\nx-a : 1\r\n\r\n",
        "GET /app/x HTTP/1.1\r\nhost: orders\r\nx-a: a\0b\r\n\r\n",
        "GET /app/x HTTP/1.1\r\nhost: orders\r\nx\0a: b\r\n\r\n",
        "GET /app/\0x HTTP/1.1\r\nhost: orders\r\n\r\n",
        "GET /app/\x7fx HTTP/1.1\r\nhost: orders\r\n\r\n",
        "GET /app/\tx HTTP/1.1\r\nhost: orders\r\n\r\n",
        "GET /app/x HTTP/1.1\r\nhost: orders\r\nno colon\r\n\r\n",
        "GET /app/x HTTP/1.1\r\n: empty\r\nhost: orders\r\n\r\n",
        "GET  /app/x HTTP/1.1\r\nhost: orders\r\n\r\n",
        "GET /app/x HTTP/1.2\r\nhost: orders\r\n\r\n",
        "GET /app/x\r\nhost: orders\r\n\r\n",
    ] {
        let mut connection = fortress.http1().await;
        connection.send(format!("{head}{SMUGGLED}")).await;
        assert_eq!(connection.response().await.unwrap().status, 400, "{head:?}");
        assert_eq!(connection.rest().await, (Vec::new(), End::Closed), "{head:?}");
        assert!(fortress.app.seen().is_empty(), "{head:?}");
    }
    fortress.library_refused("malformed:http1_parse").await;
}

#[tokio::test]
async fn line_ends_without_carriage_return_are_whole_ones_on_the_next_leg() {
    let fortress = Fortress::under(&broad()).await;
    let mut connection = fortress.http1().await;
    connection.send("GET /app/x HTTP/1.1\nHost: orders\nX-A: 1\n\n").await;
    assert_eq!(connection.response().await.unwrap().status, 200);
    let came = fortress.app.take();
    assert_eq!((came.line.as_str(), came.all("x-a")), ("GET /app/x HTTP/1.1", vec![&b"1"[..]]));
}

#[tokio::test]
async fn more_fields_than_the_limit() {
    let fortress = Fortress::configured(&broad(), |setup| {
        setup.set("limits.head_fields", "20");
    })
    .await;
    let names: Vec<String> = (0..40).map(|index| format!("x-{index}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), &b"y"[..])).collect();
    assert_eq!(fortress.get_http1("/app/x", &fields[..19]).await.status, 200, "and host makes twenty");
    fortress.app.take();
    assert_eq!(fortress.get_http1("/app/x", &fields[..20]).await.status, 431);
    let Outcome::Answer(answer) = fortress.get_http2("/app/x", &fields[..20]).await else { panic!("no answer") };
    assert_eq!(answer.status, 200);
    fortress.app.take();
    for count in [21, 40] {
        let Outcome::Answer(answer) = fortress.get_http2("/app/x", &fields[..count]).await else { panic!("no answer") };
        fortress.refused(&answer, 431, "malformed:head_fields").await;
    }
    // The same one often counts as often.
    let Outcome::Answer(answer) = fortress.get_http2("/app/x", &[("x-same", &b"y"[..]); 21]).await else { panic!("no answer") };
    fortress.refused(&answer, 431, "malformed:head_fields").await;
}

#[tokio::test]
async fn trailer_identity() {
    const NAMES: [&str; 8] =
        ["x-forwarded-client-cert", "host", "authorization", "content-type", "x_countersign_peer", "transfer-encoding", "x-role", "x_role"];
    let rules = any_method() + &rule("roles", "allow", WEB, "paths = ['/roles']\nheaders = [{ name = 'x-role', present = true }]");
    let fortress = Fortress::under(&rules).await;
    // Over HTTP/2 a field that concerns one connection is malformed by itself.
    let allowed: Vec<&str> = NAMES.into_iter().filter(|name| *name != "transfer-encoding").collect();
    for (index, http2) in [false, true].into_iter().enumerate() {
        let answer = if http2 {
            let mut connection = fortress.http2().await;
            let head = connection.head("POST", "/app/x");
            connection.headers(1, &head, false).await;
            connection.data(1, "body", false).await;
            let trailers: Vec<_> = allowed.iter().map(|name| (*name, "forged")).collect();
            connection.headers(1, &trailers, true).await;
            connection.response(1).await
        } else {
            let mut connection = fortress.http1().await;
            let trailers: String = NAMES.iter().map(|name| format!("{name}: forged\r\n")).collect();
            let head = format!("trailer: {}\r\nte: trailers\r\ntransfer-encoding: chunked\r\n", NAMES.join(", "));
            connection.send(format!("POST /app/x HTTP/1.1\r\nhost: orders\r\n{head}\r\n4\r\nbody\r\n0\r\n{trailers}\r\n")).await;
            connection.response().await.unwrap()
        };
        assert_eq!(answer.status, 200);
        let came = fortress.app.take();
        assert_eq!(came.body, b"body");
        let forged = came.fields.iter().chain(&came.trailers).any(|(_, value)| value == b"forged");
        assert!(!forged, "{came:?}");
        let counted = [NAMES.len(), NAMES.len() + allowed.len()][index];
        let labels = &["direction=\"inbound\""];
        assert_eq!(fortress.sidecar.metric_reaches("countersign_trailers_dropped_total", labels, counted as f64).await, counted as f64);
    }
}
