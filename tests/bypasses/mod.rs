//! Ways past a proxy that other proxies had: none of them is one past this. A test is named after the report of the bypass.
//!
//! Unless a test says otherwise, [`WEB`] may `GET /public/**` and `GET /app/**`, nobody may do anything under `/admin/**`; where a deny must hold by
//! itself, [`WEB`] may also `GET /**`.

mod framing;
mod headers;
mod hosts;
mod http2;
mod identities;
mod outbound;
mod paths;
mod tables;
mod tokens;

use crate::support::raw::{RawAnswer, RawHttp1};
use crate::support::raw_http2::{Outcome, RawHttp2};
use crate::support::recording::{Recorded, RecordingApp};
use crate::support::{Raw, Setup, Sidecar};
use countersign::testing::pki::TestCert;
use serde_json::Value;

/// The caller.
const WEB: &str = "spiffe://test.example/ns/web/sa/frontend";

/// A header field, or a pseudo-header.
type Field<'f> = (&'f str, &'f [u8]);

/// A sidecar in front of an app that notes every byte.
struct Fortress {
    app: RecordingApp,
    sidecar: Sidecar,
    setup: Setup,
    web: TestCert,
}

/// The table that most tests use.
fn usual() -> String {
    rule("read", "allow", WEB, "methods = ['GET']\npaths = ['/public/**', '/app/**']")
        + &everybody("no-admin", "deny", "paths = ['/admin/**']")
}

/// A table that allows [`WEB`] to `GET` anything, except what this rule denies.
fn denying(what: &str) -> String {
    everybody("no", "deny", what) + &broad()
}

/// The broad allow.
fn broad() -> String {
    rule("broad", "allow", WEB, "methods = ['GET']\npaths = ['/**']")
}

fn rule(id: &str, effect: &str, who: &str, what: &str) -> String {
    format!("[[rule]]\nid = '{id}'\neffect = '{effect}'\nfrom = {{ spiffe = ['{who}'] }}\nwhy = 'test'\n{what}\n")
}

fn everybody(id: &str, effect: &str, what: &str) -> String {
    rule(id, effect, WEB, what).replace(&format!("spiffe = ['{WEB}']"), "any_authenticated = true")
}

impl Fortress {
    async fn under(rules: &str) -> Self {
        Self::configured(rules, |_| ()).await
    }

    async fn configured(rules: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let (app, mut setup) = (RecordingApp::start().await, Setup::new());
        setup.in_front_of(app.address).write_policy(&format!("schema = 1\nname = 'test'\n{rules}"));
        change(&mut setup);
        let (sidecar, web) = (Sidecar::start(&setup).await, setup.cert(WEB));
        Self { app, sidecar, setup, web }
    }

    async fn http1(&self) -> RawHttp1 {
        Raw::http1(self.sidecar.inbound(), &self.web).await
    }

    async fn http2(&self) -> RawHttp2 {
        Raw::http2(self.sidecar.inbound(), &self.web).await
    }

    /// The answer to `GET path` with these fields on a fresh connection of each version. A `host` takes the place of `orders`.
    async fn get(&self, path: &str, fields: &[Field<'_>]) -> [RawAnswer; 2] {
        let over_http1 = self.get_http1(path, fields).await;
        let Outcome::Answer(over_http2) = self.get_http2(path, fields).await else { panic!("no answer over HTTP/2 to {path}") };
        [over_http1, over_http2]
    }

    async fn get_http1(&self, path: &str, fields: &[Field<'_>]) -> RawAnswer {
        let mut connection = self.http1().await;
        connection.send(get_http1(path, fields)).await;
        connection.response().await.unwrap()
    }

    async fn get_http2(&self, path: &str, fields: &[Field<'_>]) -> Outcome {
        let (host, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "host");
        let authority = host.first().map_or(&b"orders"[..], |(_, value)| *value);
        let mut head: Vec<Field<'_>> =
            vec![(":method", b"GET"), (":scheme", b"https"), (":path", path.as_bytes()), (":authority", authority)];
        head.extend(others);
        let mut connection = self.http2().await;
        connection.headers(1, &head, true).await;
        connection.outcome(1).await
    }

    /// What reached the app of `GET path` with these fields, over each version; the answer is 200.
    async fn arrives(&self, path: &str, fields: &[Field<'_>]) -> [Recorded; 2] {
        assert_eq!(self.get_http1(path, fields).await.status, 200, "{path} {fields:?}");
        let over_http1 = self.app.take();
        let Outcome::Answer(answer) = self.get_http2(path, fields).await else { panic!("no answer over HTTP/2 to {path}") };
        assert_eq!(answer.status, 200, "{path} {fields:?}");
        [over_http1, self.app.take()]
    }

    /// Nothing reached the app, the answer has this status, and the record of its decision says why. Gives the record.
    async fn refused(&self, answer: &RawAnswer, status: u16, reason: &str) -> Value {
        assert_eq!(answer.status, status, "{answer:?}");
        let record = self.sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some(reason)), "{record}");
        assert_eq!((record["src"]["id"].as_str(), record["dir"].as_str()), (Some(WEB), Some("inbound")), "{record}");
        assert_eq!(record["http"]["status"], status, "{record}");
        assert!(self.app.seen().is_empty(), "{:?}", self.app.seen());
        record
    }

    /// As [`Fortress::refused`], of a request that is refused before any rule is asked.
    async fn malformed(&self, answers: impl IntoIterator<Item = RawAnswer>, code: &str) {
        for answer in answers {
            let record = self.refused(&answer, 400, &format!("malformed:{code}")).await;
            assert!(record["rule"].is_null() && record["http"]["path"].is_null(), "{record}");
        }
    }

    /// As [`Fortress::refused`], of a request that a deny rule refuses, with the path that it was decided on.
    async fn denied(&self, answers: impl IntoIterator<Item = RawAnswer>, rule: &str, path: &str) {
        for answer in answers {
            let record = self.refused(&answer, 403, "explicit_deny").await;
            assert_eq!((record["rule"].as_str(), record["http"]["path"].as_str()), (Some(rule), Some(path)), "{record}");
        }
    }

    /// As [`Fortress::refused`], of a request that no rule allows.
    async fn unmatched(&self, answers: impl IntoIterator<Item = RawAnswer>, path: &str) {
        for answer in answers {
            let record = self.refused(&answer, 403, "implicit_deny").await;
            assert!(record["rule"].is_null(), "{record}");
            assert_eq!(record["http"]["path"], path, "{record}");
        }
    }

    /// A record with this reason about [`WEB`], of what the HTTP library refused by itself.
    async fn library_refused(&self, reason: &str) {
        let ours = |record: &Value| record["reason"] == reason && record["src"]["id"] == WEB && record["decision"] == "deny";
        self.sidecar.record(reason, ours).await;
        assert!(self.app.seen().is_empty(), "{:?}", self.app.seen());
    }
}

fn get_http1(path: &str, fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = format!("GET {path} HTTP/1.1\r\n").into_bytes();
    let host: &[Field<'_>] = if fields.iter().any(|(name, _)| *name == "host") { &[] } else { &[("host", b"orders")] };
    for (name, value) in host.iter().chain(fields) {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}
