//! The app behind a sidecar.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The body of an app's response.
pub type AppBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// One request that reached the app.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Path and query as they came.
    pub target: String,
    /// Its header.
    pub headers: HeaderMap,
    /// On HTTP/2 its `:scheme` and `:authority`.
    pub origin: Option<(String, String)>,
}

#[derive(Clone, Copy)]
enum Speaks {
    Http1,
    H2c,
}

/// An HTTP server in the test's process; dropping it ends it.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    gate: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl App {
    /// Answers everything with 200: `/hold…` once [`App::release`] was called, `/echo…` with the request's own body, `/unfinished…` without end,
    /// and the rest with `ok`.
    pub async fn start() -> Self {
        Self::serve(|request| async { usual(request) }).await
    }

    /// Answers with what `handle` gives; `/hold…` is held here as well.
    pub async fn serve<H, F>(handle: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<AppBody>> + Send + 'static,
    {
        Self::speak(Speaks::Http1, handle).await
    }

    /// As [`App::serve`], over HTTP/2 with prior knowledge.
    pub async fn h2c<H, F>(handle: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<AppBody>> + Send + 'static,
    {
        Self::speak(Speaks::H2c, handle).await
    }

    async fn speak<H, F>(speaks: Speaks, handle: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<AppBody>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (gate, handle) = (watch::Sender::new(false), Arc::new(handle));
        let (log, gates) = (Arc::clone(&seen), gate.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, gates, handle) = (Arc::clone(&log), gates.clone(), Arc::clone(&handle));
                let service = service_fn(move |request: Request<Incoming>| {
                    note(&log, &request);
                    let mut gate = gates.subscribe();
                    let handle = Arc::clone(&handle);
                    async move {
                        if request.uri().path().starts_with("/hold") {
                            let _ = gate.wait_for(|open| *open).await;
                        }
                        Ok::<_, Infallible>(handle(request).await)
                    }
                });
                let stream = TokioIo::new(stream);
                match speaks {
                    Speaks::Http1 => drop(tokio::spawn(http1::Builder::new().half_close(true).serve_connection(stream, service))),
                    Speaks::H2c => drop(tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service))),
                }
            }
        });
        Self { address, seen, gate, task }
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for a request to this path and query.
    pub async fn got(&self, target: &str) -> Seen {
        let look = async || self.seen().into_iter().find(|seen| seen.target == target);
        super::eventually(&format!("a request for {target} at the app"), look).await
    }

    /// Answers what is held, and holds nothing from now on.
    pub fn release(&self) {
        self.gate.send_replace(true);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An app that answers each head with given bytes and then closes.
pub struct RawApp {
    /// Where it listens.
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl RawApp {
    /// Answers everything with `answer`.
    pub async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (log, answer) = (Arc::clone(&heads), answer.into());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    log.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, heads, task }
    }

    /// The heads that came so far, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for RawApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A body of this text.
pub fn full(text: impl Into<Bytes>) -> AppBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of which `beginning` comes at once, and nothing more ever.
pub fn unfinished(beginning: &'static str) -> AppBody {
    Unfinished(Some(Bytes::from_static(beginning.as_bytes()))).boxed_unsync()
}

struct Unfinished(Option<Bytes>);

impl Body for Unfinished {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.take().map_or(Poll::Pending, |beginning| Poll::Ready(Some(Ok(Frame::data(beginning)))))
    }
}

fn usual(request: Request<Incoming>) -> Response<AppBody> {
    if request.uri().path().starts_with("/echo") {
        return Response::new(request.into_body().boxed_unsync());
    }
    if request.uri().path().starts_with("/unfinished") {
        return Response::new(unfinished("beginning"));
    }
    Response::new(full("ok"))
}

fn note(log: &Mutex<Vec<Seen>>, request: &Request<Incoming>) {
    let target = request.uri().path_and_query().map_or(String::new(), ToString::to_string);
    let origin = request.uri().scheme_str().zip(request.uri().authority());
    let origin = origin.map(|(scheme, authority)| (scheme.to_owned(), authority.to_string()));
    let seen = Seen { method: request.method().clone(), target, headers: request.headers().clone(), origin };
    log.lock().unwrap().push(seen);
}
