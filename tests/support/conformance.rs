//! Tables of HTTP/2 cases against a running sidecar: what a client sends, and what must become of it.
//!
//! Every case has a connection of its own. Whatever it sends must not reach the backend where its path begins with `/bad`, and where the connection
//! goes on, the next request on it is answered. What was refused before it was a request is in the decision log, once.

use super::app::{App, full};
use super::raw::RawHttp1;
use super::raw_http2::code::PROTOCOL_ERROR;
use super::raw_http2::{Outcome, RawHttp2, block, flag, frame, kind};
use super::{ALICE, PATIENCE, Raw, Remote, Setup, Sidecar, eventually};
use bytes::Bytes;
use countersign::testing::pki::TestCert;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Collected};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

/// Flags of HEADERS that are a whole request.
pub const WHOLE: u8 = flag::END_HEADERS | flag::END_STREAM;

/// The stream of the request after a case's own.
const NEXT: u32 = 0x1001;

/// What must become of what a case sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A GOAWAY with this code, then the connection's end (RFC 9113, section 5.4.1).
    Connection(u32),
    /// The connection's end; a GOAWAY is optional (RFC 9113, section 3.4).
    Closed,
    /// A RST_STREAM on stream 1 with PROTOCOL_ERROR before there is a request (RFC 9113, section 8.1.1); the connection goes on.
    Malformed,
    /// A RST_STREAM on this stream with this code; the connection goes on (RFC 9113, section 5.4.2).
    Stream(u32, u32),
    /// A response on this stream with this status; the connection goes on.
    Status(u32, u16),
    /// Nothing; the connection goes on.
    Ignored,
}

/// One case.
pub struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    expect: Expect,
    preface: bool,
}

/// A case that sends these frames after preface and SETTINGS. The name begins with the section of RFC 9113, or says which RFC.
pub fn case(name: &'static str, frames: impl IntoIterator<Item = Vec<u8>>, expect: Expect) -> Case {
    Case { name, bytes: frames.into_iter().flatten().collect(), expect, preface: true }
}

/// A case that sends these bytes first.
pub fn at_once(name: &'static str, bytes: impl Into<Vec<u8>>, expect: Expect) -> Case {
    Case { name, bytes: bytes.into(), expect, preface: false }
}

/// Which listener a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The inbound one, over mutual TLS.
    Inbound,
    /// The outbound one, in the clear.
    Outbound,
}

/// A field of a request.
pub type Field = (Vec<u8>, Vec<u8>);

impl Target {
    /// The pseudo-headers of a request, then these fields.
    pub fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(self, method: &str, path: &str, more: &[(N, V)]) -> Vec<Field> {
        let scheme = if self == Self::Inbound { "https" } else { "http" };
        let pseudo = [(":method", method), (":scheme", scheme), (":path", path), (":authority", "orders")];
        let pseudo = pseudo.into_iter().map(|(name, value)| (name.into(), value.into()));
        pseudo.chain(more.iter().map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()))).collect()
    }

    /// HEADERS of a whole `GET`.
    pub fn get(self, stream: u32, path: &str) -> Vec<u8> {
        self.get_with(stream, path, &[("x-case", "1")])
    }

    /// HEADERS of a whole `GET` with more fields.
    pub fn get_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(self, stream: u32, path: &str, more: &[(N, V)]) -> Vec<u8> {
        headers(stream, &self.fields("GET", path, more), flag::END_STREAM)
    }

    /// HEADERS of a `POST` whose body follows.
    pub fn post(self, stream: u32, path: &str) -> Vec<u8> {
        self.post_with(stream, path, &[("x-case", "1")])
    }

    /// HEADERS of a `POST` with more fields, whose body follows.
    pub fn post_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(self, stream: u32, path: &str, more: &[(N, V)]) -> Vec<u8> {
        headers(stream, &self.fields("POST", path, more), flag::NONE)
    }

    /// The header block of a `GET`.
    pub fn block(self, path: &str) -> Vec<u8> {
        block(&self.fields("GET", path, &[("x-case", "1")]))
    }
}

/// HEADERS with a whole block.
pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(stream: u32, fields: &[(N, V)], flags: u8) -> Vec<u8> {
    frame(kind::HEADERS, flags | flag::END_HEADERS, stream, &block(fields))
}

/// A sidecar with a backend on each side.
pub struct Conformance {
    app: App,
    remote: Remote,
    /// The sidecar.
    pub sidecar: Sidecar,
    cert: TestCert,
    /// The sidecar's directory lasts as long as this.
    _setup: Setup,
}

impl Conformance {
    /// Starts it.
    pub async fn start() -> Self {
        let (app, mut setup) = (App::start().await, Setup::new());
        let peer = "spiffe://test.example/peer";
        let remote = Remote::start(&setup.cert(peer), &["http/1.1"]).await;
        setup.set("outbound.listen", "'127.0.0.1:0'").set("limits.h2_streams", "8");
        setup.table("upstream", &format!("hosts = ['orders']\naddress = '{}'\nid = '{peer}'", remote.address));
        let sidecar = setup.start(&app).await;
        Self { app, remote, sidecar, cert: setup.cert(ALICE), _setup: setup }
    }

    /// A connection on which nothing is sent yet.
    pub async fn connect(&self, target: Target) -> RawHttp2 {
        match target {
            Target::Inbound => Raw::http2_silent(self.sidecar.inbound(), &self.cert).await,
            Target::Outbound => Raw::app_h2c_silent(self.sidecar.outbound()).await,
        }
    }

    /// A connection that speaks HTTP/1.1.
    pub async fn connect_http1(&self, target: Target) -> RawHttp1 {
        match target {
            Target::Inbound => Raw::http1(self.sidecar.inbound(), &self.cert).await,
            Target::Outbound => Raw::app_http1(self.sidecar.outbound()).await,
        }
    }

    /// Waits for a request to this path and query at the backend; gives its header.
    pub async fn got(&self, target: Target, path: &str) -> HeaderMap {
        match target {
            Target::Inbound => self.app.got(path).await.headers,
            Target::Outbound => self.remote.got(path).await.headers,
        }
    }

    /// The paths that reached a backend.
    pub fn seen(&self) -> Vec<String> {
        [Target::Inbound, Target::Outbound].map(|target| self.seen_by(target)).concat()
    }

    /// The paths that reached the backend of this listener, in their order.
    pub fn seen_by(&self, target: Target) -> Vec<String> {
        match target {
            Target::Inbound => self.app.seen().into_iter().map(|seen| seen.target).collect(),
            Target::Outbound => self.remote.asked().into_iter().map(|asked| asked.target).collect(),
        }
    }

    /// Holds all cases of a table against both listeners; panics with all that do not hold.
    pub async fn holds(&self, table: impl Fn(Target) -> Vec<Case>) {
        let mut wrong = Vec::new();
        let (mut connections, mut streams) = (0, 0);
        for target in [Target::Inbound, Target::Outbound] {
            for case in table(target) {
                connections += u64::from(matches!(case.expect, Expect::Connection(_) | Expect::Closed));
                streams += u64::from(case.expect == Expect::Malformed);
                // Shorter than any wait inside: the rest of the table is looked at as well.
                let checked = timeout(PATIENCE / 3, self.check(target, &case)).await;
                if let Err(found) = checked.unwrap_or_else(|_| Err("nothing came".to_owned())) {
                    wrong.push(format!("{target:?} {}: {:?} expected, {found}", case.name, case.expect));
                }
            }
        }
        let passed: Vec<_> = self.seen().into_iter().filter(|path| path.starts_with("/bad")).collect();
        assert!(wrong.is_empty() && passed.is_empty(), "{}\nreached a backend: {passed:?}", wrong.join("\n"));
        self.recorded("malformed:h2_connection", connections).await;
        self.recorded("malformed:h2_stream", streams).await;
    }

    /// Waits for so many denials with this reason, one by one or in counts, and sees that there are no more.
    async fn recorded(&self, reason: &str, expected: u64) {
        let of = |record: Value| if record["kind"] == "aggregate" { record["count"].as_u64().unwrap() } else { 1 };
        let count = || self.sidecar.records().into_iter().filter(|record| record["reason"] == reason).map(of).sum::<u64>();
        let reached = timeout(PATIENCE / 3, eventually(reason, async || Some(count()).filter(|count| *count >= expected))).await;
        assert_eq!(reached.unwrap_or_else(|_| count()), expected, "records of {reason}");
    }

    async fn check(&self, target: Target, case: &Case) -> Result<(), String> {
        let mut connection = self.connect(target).await;
        if case.preface {
            connection.preface().await;
        }
        connection.send(&case.bytes).await;
        match case.expect {
            Expect::Connection(_) | Expect::Closed => {
                // A client that asks on finds out as well.
                connection.ping(*b"are-you?").await;
                connection.ended().await;
                let found = connection.goaway().await.map(|(_, code)| code);
                let expected = if let Expect::Connection(code) = case.expect { Some(code) } else { found };
                return equal(found, expected);
            }
            Expect::Stream(..) | Expect::Malformed => {
                let (stream, code) = if let Expect::Stream(stream, code) = case.expect { (stream, code) } else { (1, PROTOCOL_ERROR) };
                let found = connection.until(|frame| frame.stream == stream).await;
                let found = found.map(|frame| (frame.kind, frame.payload.clone()));
                equal(found, Some((kind::RST_STREAM, code.to_be_bytes().to_vec())))?;
            }
            Expect::Status(stream, status) => {
                let found = connection.outcome(stream).await;
                match &found {
                    Outcome::Answer(answer) => equal(answer.status, status)?,
                    other => return Err(format!("{other:?} found")),
                }
            }
            Expect::Ignored => {}
        }
        connection.send(target.get(NEXT, "/next")).await;
        match connection.outcome(NEXT).await {
            Outcome::Answer(answer) => equal(answer.status, 200)?,
            other => return Err(format!("{other:?} for the next request")),
        }
        match connection.aside(|frame| matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM)) {
            Some(frame) => Err(format!("{frame:?} as well")),
            None => Ok(()),
        }
    }
}

/// The bodies that an app has read, by path; `None`: one that broke off.
#[derive(Clone, Default)]
pub struct Bodies(Arc<Mutex<BTreeMap<String, Option<Bytes>>>>);

impl Bodies {
    /// An app that reads every body to its end before it answers.
    pub async fn app() -> (App, Self) {
        let bodies = Self::default();
        let reading = bodies.clone();
        let app = App::serve(move |request| {
            let (path, reading) = (request.uri().path().to_owned(), reading.clone());
            async move {
                let body = request.into_body().collect().await.ok().map(Collected::to_bytes);
                reading.0.lock().unwrap().insert(path, body);
                Response::new(full("read"))
            }
        });
        (app.await, bodies)
    }

    /// The paths whose bodies were read to their end so far.
    pub fn whole(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(_, body)| body.is_some()).map(|(path, _)| path.clone()).collect()
    }

    /// Waits for the end of the body of the request for this path.
    pub async fn of(&self, path: &str) -> Option<Bytes> {
        eventually(&format!("the end of the body of {path}"), async || self.0.lock().unwrap().get(path).cloned()).await
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} found")) }
}
