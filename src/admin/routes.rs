//! What each listener answers.

use super::stream::{Body, Streams};
use super::{Command, Drain, LogLevel, Promote, Quarantine, Reload, Status, Tail, Trust, Usage};
use crate::runtime::readiness::Readiness;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use std::fmt::Write;
use std::sync::Arc;

/// Bytes of a command's body.
const MAX_BODY: usize = 4_096;
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const READ_ONLY: &str = "GET, HEAD";

type Answer = Response<Body>;

/// One listener's side of the house.
pub(super) enum Room {
    Health(Readiness),
    Metrics(PrometheusHandle),
    Control(Control),
}

/// What only the control socket reaches.
pub(super) struct Control {
    pub(super) status: Status,
    pub(super) trust: Trust,
    pub(super) usage: Usage,
    pub(super) drain: Drain,
    pub(super) reload: Reload,
    pub(super) promote: Promote,
    pub(super) quarantine: Quarantine,
    pub(super) tail: Tail,
    pub(super) log_level: LogLevel,
}

impl Room {
    /// `uid`: who asks, on the control socket.
    pub(super) async fn answer(&self, request: Request<Incoming>, uid: Option<u32>) -> Answer {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match self {
            Self::Health(_) | Self::Metrics(_) if !reads => not_allowed(READ_ONLY),
            Self::Health(readiness) => health(readiness, request.uri().path()),
            Self::Metrics(recorder) if request.uri().path() == "/metrics" => answer(StatusCode::OK, PROMETHEUS, recorder.render()),
            Self::Metrics(_) => not_found(),
            Self::Control(control) => control.answer(request, uid).await,
        }
    }
}

fn health(readiness: &Readiness, path: &str) -> Answer {
    match path {
        "/live" => answer(StatusCode::OK, TEXT, "live\n"),
        "/ready" => {
            let (missing, notes) = (readiness.missing(), readiness.notes());
            let (status, mut text) = if missing.is_empty() {
                (StatusCode::OK, String::from("ready\n"))
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, String::new())
            };
            for (what, detail) in missing.iter().chain(&notes) {
                // Writing into a String cannot fail.
                let _ = writeln!(text, "{what}: {detail}");
            }
            answer(status, TEXT, text)
        }
        _ => not_found(),
    }
}

impl Control {
    async fn answer(&self, request: Request<Incoming>, uid: Option<u32>) -> Answer {
        let path = request.uri().path().to_owned();
        match (path.as_str(), request.method().as_str()) {
            ("/status", "GET" | "HEAD") => answer(StatusCode::OK, JSON, format!("{:#}\n", (self.status)())),
            ("/trust", "GET" | "HEAD") => self.trust().await,
            ("/usage", "GET" | "HEAD") => self.usage().await,
            ("/audit/tail", "GET") => self.tail(),
            ("/audit/tail", _) => not_allowed("GET"),
            ("/status" | "/trust" | "/usage", _) => not_allowed(READ_ONLY),
            ("/drain", "POST") => {
                tracing::info!("drain was asked for on the control socket");
                (self.drain)();
                answer(StatusCode::ACCEPTED, TEXT, "draining\n")
            }
            ("/reload", "POST") => acted(Arc::clone(&self.reload)).await,
            ("/policy/promote", "POST") => {
                tracing::info!("a promotion was asked for on the control socket");
                acted(Arc::clone(&self.promote)).await
            }
            ("/drain" | "/reload" | "/policy/promote", _) => not_allowed("POST"),
            ("/quarantine", "GET" | "HEAD") => answer(StatusCode::OK, JSON, format!("{:#}\n", (self.quarantine.list)())),
            ("/quarantine", "POST") => commanded(&self.quarantine.add, request, uid).await,
            ("/quarantine", "DELETE") => commanded(&self.quarantine.remove, request, uid).await,
            ("/quarantine", _) => not_allowed("GET, HEAD, POST, DELETE"),
            ("/log-level", "PUT") => self.set_log_level(request).await,
            ("/log-level", _) => not_allowed("PUT"),
            _ => not_found(),
        }
    }

    async fn trust(&self) -> Answer {
        let report = Arc::clone(&self.trust);
        match tokio::task::spawn_blocking(move || report()).await {
            Ok(report) => answer(StatusCode::OK, JSON, format!("{report:#}\n")),
            Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the report ended in a panic; see the process log\n"),
        }
    }

    async fn usage(&self) -> Answer {
        let usage = Arc::clone(&self.usage);
        match tokio::task::spawn_blocking(move || usage()).await {
            Ok(document) => answer(StatusCode::OK, JSON, document),
            Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "this ended in a panic; see the process log\n"),
        }
    }

    /// Goes on until the client ends it.
    fn tail(&self) -> Answer {
        match (self.tail)() {
            Ok(lines) => {
                let mut response = response(StatusCode::OK, NDJSON, Body::lines(lines));
                response.extensions_mut().insert(Streams);
                response
            }
            Err(problem) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, problem),
        }
    }

    async fn set_log_level(&self, request: Request<Incoming>) -> Answer {
        let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
            return answer(StatusCode::BAD_REQUEST, TEXT, "the body did not arrive, or is too long\n");
        };
        let body = body.to_bytes();
        let level = String::from_utf8_lossy(&body);
        match (self.log_level)(level.trim()) {
            Ok(()) => answer(StatusCode::OK, TEXT, format!("{}\n", level.trim())),
            Err(problem) => answer(StatusCode::UNPROCESSABLE_ENTITY, TEXT, problem),
        }
    }
}

/// Reads a command's body, acts on it, and answers with what was done.
async fn commanded(act: &Command, request: Request<Incoming>, uid: Option<u32>) -> Answer {
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return answer(StatusCode::BAD_REQUEST, TEXT, "the body did not arrive, or is too long\n");
    };
    match act(&body.to_bytes(), uid) {
        Ok(said) => answer(StatusCode::OK, TEXT, said),
        Err(problem) => answer(StatusCode::UNPROCESSABLE_ENTITY, TEXT, problem),
    }
}

/// Does what may block, and answers with what it says.
async fn acted(act: Arc<dyn Fn() -> Result<String, String> + Send + Sync>) -> Answer {
    match tokio::task::spawn_blocking(move || act()).await {
        Ok(Ok(said)) => answer(StatusCode::OK, TEXT, said),
        Ok(Err(problem)) => answer(StatusCode::UNPROCESSABLE_ENTITY, TEXT, problem),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "this ended in a panic; see the process log\n"),
    }
}

fn not_found() -> Answer {
    answer(StatusCode::NOT_FOUND, TEXT, "not found\n")
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    response(status, content_type, Body::whole(body.into()))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
