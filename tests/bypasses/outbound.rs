//! The same names on the way out: an app, and whoever speaks through it, asserts no identity, path or host to a peer.

use super::Field;
use crate::support::raw::RawAnswer;
use crate::support::{App, Raw, Remote, Setup, Sidecar};

const PAYMENTS: &str = "spiffe://test.example/payments";

/// A sidecar between an app that a client speaks for, and a peer that notes what came.
struct Way {
    remote: Remote,
    sidecar: Sidecar,
    _setup: Setup,
    _app: App,
}

impl Way {
    async fn to(alpn: &str) -> Self {
        let (app, mut setup) = (App::start().await, Setup::new());
        let remote = Remote::start(&setup.cert(PAYMENTS), &[alpn]).await;
        setup.set("outbound.listen", "'127.0.0.1:0'");
        setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
        let sidecar = setup.start(&app).await;
        Self { remote, sidecar, _setup: setup, _app: app }
    }

    /// Over both protocols to peers of both.
    async fn all() -> [Self; 2] {
        [Self::to("http/1.1").await, Self::to("h2").await]
    }

    async fn get_http1(&self, path: &str, fields: &[Field<'_>]) -> RawAnswer {
        let fields: Vec<Field<'_>> = [("host", &b"payments"[..])].into_iter().chain(fields.iter().copied()).collect();
        let mut connection = Raw::app_http1(self.sidecar.outbound()).await;
        connection.send(super::get_http1(path, &fields)).await;
        connection.response().await.unwrap()
    }

    async fn get_h2c(&self, path: &str, fields: &[Field<'_>]) -> RawAnswer {
        let head: [Field<'_>; 4] = [(":method", b"GET"), (":scheme", b"http"), (":path", path.as_bytes()), (":authority", b"payments")];
        let mut connection = Raw::app_h2c(self.sidecar.outbound()).await;
        connection.headers(1, &[&head[..], fields].concat(), true).await;
        connection.response(1).await
    }

    async fn refused(&self, answer: &RawAnswer, reason: &str) {
        assert_eq!((answer.status, answer.header("x-countersign-reason")), (400, reason), "{answer:?}");
        let record = self.sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some(reason)), "{record}");
        assert_eq!(record["dir"], "outbound", "{record}");
        assert!(self.remote.asked().is_empty());
    }

    /// The peer got this path without anything that says `forged`.
    async fn arrived_clean(&self, answer: &RawAnswer, path: &str) {
        assert_eq!(answer.status, 200, "{answer:?}");
        let headers = self.remote.got(path).await.headers;
        assert!(!headers.values().any(|value| value.as_bytes().starts_with(b"forged")), "{headers:?}");
    }
}

#[tokio::test]
async fn cve_2023_27487_and_2024_45806() {
    forged("x-envoy-original-path").await;
}

#[tokio::test]
async fn cve_2026_40575() {
    forged("x-forwarded-uri").await;
}

#[tokio::test]
async fn identities_are_not_asserted() {
    forged("x-forwarded-client-cert").await;
}

async fn forged(name: &str) {
    for way in Way::all().await {
        let other = name.replace('-', "_");
        let fields: [Field<'_>; 3] = [(name, b"forged"), (name, b"forged again"), (&other, b"forged")];
        way.arrived_clean(&way.get_http1("/http1", &fields).await, "/http1").await;
        way.arrived_clean(&way.get_h2c("/h2c", &fields).await, "/h2c").await;
        way.sidecar.metric_reaches("countersign_headers_stripped_total", &["direction=\"outbound\""], 4.0).await;
    }
}

#[tokio::test]
async fn cve_2026_105299() {
    for way in Way::all().await {
        for option in ["x-forwarded-client-cert", "X_Countersign_Hop", "host"] {
            way.refused(&way.get_http1("/nominated", &[("connection", option.as_bytes())]).await, "malformed:connection_nominates").await;
        }
        let answer = way.get_http1("/hop", &[("connection", b"x-other"), ("x-other", b"forged")]).await;
        way.arrived_clean(&answer, "/hop").await;
    }
}

#[tokio::test]
async fn trailer_identity() {
    let names = ["x-forwarded-client-cert", "host", "x_envoy_original_path"];
    for way in Way::all().await {
        let mut connection = Raw::app_http1(way.sidecar.outbound()).await;
        let trailers: String = names.iter().map(|name| format!("{name}: forged\r\n")).collect();
        let head = format!("trailer: {}\r\nte: trailers\r\ntransfer-encoding: chunked\r\n", names.join(", "));
        connection.send(format!("POST /read/http1 HTTP/1.1\r\nhost: payments\r\n{head}\r\n4\r\nbody\r\n0\r\n{trailers}\r\n")).await;
        way.arrived_clean(&connection.response().await.unwrap(), "/read/http1").await;

        let mut connection = Raw::app_h2c(way.sidecar.outbound()).await;
        let head = [(":method", "POST"), (":scheme", "http"), (":path", "/read/h2c"), (":authority", "payments")];
        connection.headers(1, &head, false).await;
        connection.data(1, "body", false).await;
        connection.headers(1, &names.map(|name| (name, "forged")), true).await;
        way.arrived_clean(&connection.response(1).await, "/read/h2c").await;
        let labels = &["direction=\"outbound\""];
        assert_eq!(way.sidecar.metric_reaches("countersign_trailers_dropped_total", labels, 6.0).await, 6.0);
    }
}

#[tokio::test]
async fn scheme_and_absolute_form() {
    let way = Way::to("h2").await;
    let mut connection = Raw::app_h2c(way.sidecar.outbound()).await;
    connection.headers(1, &[(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "payments")], true).await;
    way.refused(&connection.response(1).await, "malformed:scheme").await;
    way.refused(&way.get_http1("https://payments/", &[]).await, "malformed:absolute_scheme").await;
    way.refused(&way.get_http1("http://elsewhere/", &[]).await, "malformed:host_mismatch").await;
    way.refused(&way.get_http1("/a/../b", &[]).await, "malformed:path_dot_segment").await;
    way.arrived_clean(&way.get_http1("http://payments/%61#b", &[]).await, "/a").await;
}
