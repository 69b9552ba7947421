//! A trace goes through two sidecars: the app gets the `traceparent` that was sent, both logs name the trace, and what is not valid goes nowhere.

use crate::support::client::{Peer, at};
use crate::support::grpc::{GrpcApp, GrpcClient, Note, Pair};
use crate::support::{ALICE, App, BOB, Setup, Sidecar, get};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// Of vendors: blanks, an empty member, and a value that a program of ours would not write.
const STATE: &str = "rojo=00f067aa0ba902b7, ,congo=t61rcWkgMzE,1a@b= x;y:z ";

fn parent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

fn traced<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().insert("traceparent", parent().parse().unwrap());
    request.headers_mut().insert("tracestate", STATE.trim().parse().unwrap());
    request
}

fn assert_names(record: &Value) {
    assert_eq!((record["trace_id"].as_str(), record["span_id"].as_str()), (Some(TRACE), Some(SPAN)), "{record}");
}

fn assert_untraced(record: &Value) {
    assert!(record.get("trace_id").is_none() && record.get("span_id").is_none(), "{record}");
}

async fn record(sidecar: &Sidecar, path: &str) -> Value {
    sidecar.record(path, |record| record["http"]["path"] == path).await
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

#[tokio::test]
async fn of_http_both_ways() {
    let (app, mut far) = (App::start().await, Setup::new());
    far.in_front_of(app.address);
    let pair = Pair::start(far, Setup::new()).await;
    for mut client in Peer::app_both(pair.near.outbound()).await {
        let path = format!("/traced/{}", client.name());
        assert_eq!(client.send(traced(at("orders", &path))).await.unwrap().status, StatusCode::OK);
        let headers = app.got(&path).await.headers;
        assert_eq!(all(&headers, "traceparent"), [parent().as_bytes()]);
        assert_eq!(all(&headers, "tracestate"), [STATE.trim().as_bytes()]);
        for sidecar in [&pair.near, &pair.far] {
            assert_names(&record(sidecar, &path).await);
        }
        let path = format!("/plain/{}", client.name());
        client.send(at("orders", &path)).await.unwrap();
        assert!(all(&app.got(&path).await.headers, "traceparent").is_empty(), "nobody begins a trace");
        for sidecar in [&pair.near, &pair.far] {
            assert_untraced(&record(sidecar, &path).await);
        }
    }
}

#[tokio::test]
async fn of_grpc() {
    let (app, mut far) = (GrpcApp::start().await, Setup::new());
    far.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
    let pair = Pair::start(far, Setup::new()).await;
    let mut client = GrpcClient::app(pair.near.outbound());
    let mut request = tonic::Request::new(Note::number(1));
    request.metadata_mut().insert("traceparent", parent().parse().unwrap());
    client.unary("/test.Notes/Echo", request).await.unwrap();
    assert_eq!(app.facts.metadata()[0].get("traceparent").unwrap(), parent().as_str());
    for sidecar in [&pair.near, &pair.far] {
        assert_names(&record(sidecar, "/test.Notes/Echo").await);
    }
}

#[tokio::test]
async fn of_a_denied_request_into_the_log_alone() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(BOB)).await {
        let path = format!("/denied/{}", peer.name());
        assert_eq!(peer.send(traced(get(&path))).await.unwrap().status, StatusCode::FORBIDDEN);
        assert_names(&record(&sidecar, &path).await);
    }
}

#[tokio::test]
async fn of_an_invalid_field_nowhere() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let (good, zeros) = (parent(), format!("00-{}-{SPAN}-01", "0".repeat(32)));
    let (long, upper) = (format!("{good}-more"), good.to_uppercase());
    let hostile: [&[&[u8]]; 7] = [
        &[zeros.as_bytes()],
        &[long.as_bytes()],
        &[upper.as_bytes()],
        &[b""],
        &[b"\"}\t{\"decision\":\"allow\"}\xff\x80"],
        // Two: an app takes one or the other.
        &[good.as_bytes(), good.as_bytes()],
        &[good.as_bytes(), b"nonsense"],
    ];
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        for (number, values) in hostile.iter().enumerate() {
            let path = format!("/{}/{number}", peer.name());
            let mut request = get(&path);
            request.headers_mut().insert("tracestate", HeaderValue::from_static("congo=t61rcWkgMzE"));
            for value in *values {
                request.headers_mut().append("traceparent", HeaderValue::from_bytes(value).unwrap());
            }
            assert_eq!(peer.send(request).await.unwrap().status, StatusCode::OK, "{path}");
            let headers = app.got(&path).await.headers;
            assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{path}: {headers:?}");
            assert_untraced(&record(&sidecar, &path).await);
        }
        // A version of the future is read as far as it is known, and passed on as it came.
        let path = format!("/{}/future", peer.name());
        let future = format!("cc-{TRACE}-{SPAN}-01-what comes");
        let mut request = get(&path);
        request.headers_mut().insert("traceparent", future.parse().unwrap());
        peer.send(request).await.unwrap();
        assert_eq!(all(&app.got(&path).await.headers, "traceparent"), [future.as_bytes()]);
        assert_names(&record(&sidecar, &path).await);
    }
}
