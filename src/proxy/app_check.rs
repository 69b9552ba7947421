//! Whether the app is well: one request every few seconds, on a connection of its own, beside the data path.

use super::settings::App;
use crate::runtime::readiness::Readiness;
use crate::runtime::tasks::contained;
use crate::telemetry::metrics::{Process, app_checked};
use crate::upstream::Protocol;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// From one question to the next.
const EVERY: Duration = Duration::from_secs(5);

/// From one question to the next until the app was well for the first time: start-up waits for it.
const AT_START: Duration = Duration::from_secs(1);

/// From the connect call to the end of the answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Bytes of an answer that are read so that the app does not see a broken connection; more is left.
const BODY: usize = 64 << 10;

/// Bytes of an answer's head.
const HEAD: usize = 16 << 10;

/// What `/ready` calls it.
const CONDITION: &str = "app";

/// `[health] app_check`: what is asked, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCheck {
    /// Where the app listens.
    pub app: App,
    /// What it speaks.
    pub protocol: Protocol,
    /// What is asked for.
    pub path: PathAndQuery,
}

/// Why the app is not well. Asking again helps once it is.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("nobody listens: {0}")]
    Connect(#[from] io::Error),
    #[error("no answer within {ANSWER:?}")]
    Late,
    #[error("no usable answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("asking ended in a panic")]
    Panic,
}

/// Asks for as long as the process does not drain. Cheap to clone.
#[derive(Clone)]
pub struct AppCheckWatch {
    check: Arc<AppCheck>,
    readiness: Readiness,
    /// Whether the app was well when it was asked last, and what it said if not.
    last: Arc<Mutex<Option<Result<(), String>>>>,
}

impl AppCheckWatch {
    /// Keeps `/ready` red until the app is well for the first time.
    pub fn new(check: AppCheck, readiness: Readiness) -> Self {
        readiness.pending(CONDITION, format!("{} was not asked for yet", check.path));
        Self { check: Arc::new(check), readiness, last: Arc::default() }
    }

    /// What the app said last; `None`: it was not asked yet.
    pub fn last(&self) -> Option<Result<(), String>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks until `draining` says that the end has begun: an app that ends beside us is not ill.
    pub async fn run(self, draining: impl Fn() -> bool) {
        let mut due = interval(AT_START);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut starting = true;
        loop {
            due.tick().await;
            if draining() {
                return;
            }
            let outcome = timeout(ANSWER, contained("app check", self.check.ask())).await;
            let outcome = outcome.map_or(Err(Unwell::Late), |asked| asked.unwrap_or(Err(Unwell::Panic)));
            if draining() {
                return;
            }
            if outcome.is_ok() && std::mem::take(&mut starting) {
                due = interval(EVERY);
                due.set_missed_tick_behavior(MissedTickBehavior::Delay);
                due.reset();
            }
            self.take(outcome);
        }
    }

    fn take(&self, outcome: Result<(), Unwell>) {
        let outcome = outcome.map_err(|unwell| unwell.to_string());
        app_checked(if outcome.is_ok() { "ok" } else { "failed" });
        Process::handles().app_well.set(f64::from(u8::from(outcome.is_ok())));
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(outcome.clone());
        let path = &self.check.path;
        match outcome {
            Ok(()) => {
                if !matches!(before, Some(Ok(()))) {
                    tracing::info!(%path, "the app is well");
                }
                self.readiness.ready(CONDITION);
            }
            Err(why) => {
                if !matches!(before, Some(Err(before)) if before == why) {
                    tracing::warn!(%path, why, "the app is not well");
                }
                self.readiness.pending(CONDITION, format!("{path}: {why}"));
            }
        }
    }
}

impl AppCheck {
    /// One question; 2xx and 3xx are well.
    async fn ask(&self) -> Result<(), Unwell> {
        let response = match &self.app {
            App::Tcp(address) => self.exchange(TcpStream::connect(*address).await?, &address.to_string()).await?,
            App::Unix(path) => self.exchange(UnixStream::connect(path).await?, "localhost").await?,
        };
        if response.is_success() || response.is_redirection() { Ok(()) } else { Err(Unwell::Status(response)) }
    }

    async fn exchange<S>(&self, stream: S, host: &str) -> Result<StatusCode, Unwell>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(io).await?;
                let mut request = request(self.path.clone().into());
                request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                if let Ok(host) = HeaderValue::from_str(host) {
                    request.headers_mut().insert(HOST, host);
                }
                beside(connection, async { whole(sender.send_request(request).await?).await }).await
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                let (mut sender, connection) = builder.max_header_list_size(HEAD as u32).handshake(io).await?;
                let target = Uri::builder().scheme("http").authority(host).path_and_query(self.path.clone()).build();
                let request = request(target.unwrap_or_default());
                beside(connection, async { whole(sender.send_request(request).await?).await }).await
            }
        }
    }
}

fn request(target: Uri) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("countersign-app-check"));
    request
}

/// The status, once the answer is read to its end or to its bound.
async fn whole(response: Response<Incoming>) -> Result<StatusCode, Unwell> {
    let (parts, body) = response.into_parts();
    let _ = Limited::new(body, BODY).collect().await;
    Ok(parts.status)
}

/// Drives `connection` as long as `exchange` takes; both end here.
async fn beside<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut over = false;
    loop {
        tokio::select! {
            biased;
            outcome = exchange.as_mut() => return outcome,
            _ = connection.as_mut(), if !over => over = true,
        }
    }
}
