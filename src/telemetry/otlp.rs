//! Spans to an OpenTelemetry collector beside us, by OTLP over HTTP.
//!
//! A thread of its own takes them from a bounded queue and sends them in batches: nobody waits for a collector. What finds no room, or is not taken, is
//! counted and lost; the decision log has it all the same.

use crate::telemetry::metrics::Spans as Counted;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Spans that wait for the thread, some 2 KiB each.
const QUEUE: usize = 2_048;
/// The most spans of one request to the collector.
const BATCH: usize = 512;
/// From the first span of a batch to its sending.
const GATHER: Duration = Duration::from_secs(1);
/// From the connect call to the end of the collector's answer.
const EXCHANGE: Duration = Duration::from_secs(5);
/// The most bytes of the collector's answer.
const ANSWER: usize = 64 << 10;
/// The least time between two lines about a failing collector in the process log.
const COMPLAIN: Duration = Duration::from_secs(10);
/// How long the end waits for the last spans.
const FINISH: Duration = Duration::from_secs(3);

/// What goes through the queue.
#[expect(clippy::large_enum_variant, reason = "nearly all are spans")]
enum Message {
    Span(SpanData),
    /// Nothing comes after it.
    End,
}

/// Where spans are left. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    messages: SyncSender<Message>,
    full: metrics::Counter,
}

impl Queue {
    /// Leaves a span; never waits.
    pub fn leave(&self, span: SpanData) {
        if self.messages.try_send(Message::Span(span)).is_err() {
            self.full.increment(1);
        }
    }
}

/// The thread's handle.
pub struct Exporting {
    messages: SyncSender<Message>,
    ended: Receiver<()>,
}

impl Exporting {
    /// Sends what waits, and ends. Call once nothing more is left in the queue. Blocks, at most 3 s.
    pub fn finish(self) {
        let until = Instant::now() + FINISH;
        // A full queue moves on as soon as the collector answers.
        while let Err(TrySendError::Full(_)) = self.messages.try_send(Message::End) {
            if Instant::now() >= until {
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        if self.ended.recv_timeout(until.saturating_duration_since(Instant::now())) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the collector is slow: the last spans are not sent");
        }
    }
}

/// Starts the thread that sends spans of `workload`, a SPIFFE id, to the collector at `address`.
///
/// # Errors
/// The kernel gives no thread, or the exporter cannot be made.
pub fn start(address: SocketAddr, workload: &str, labels: &BTreeMap<String, String>) -> io::Result<(Queue, Exporting)> {
    let exporter = exporter(address, workload, labels).map_err(io::Error::other)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (messages, waiting) = sync_channel(QUEUE);
    let (end, ended) = sync_channel(1);
    let counted = Counted::new();
    let queue = Queue { messages: messages.clone(), full: counted.queue_full.clone() };
    thread::Builder::new().name("otlp".to_owned()).spawn(move || {
        export(&runtime, &exporter, &waiting, &counted);
        let _ = end.send(());
    })?;
    Ok((queue, Exporting { messages, ended }))
}

fn exporter(address: SocketAddr, workload: &str, labels: &BTreeMap<String, String>) -> Result<SpanExporter, ExporterBuildError> {
    let builder = SpanExporter::builder().with_http().with_http_client(Client { address }).with_protocol(Protocol::HttpBinary);
    let mut exporter = builder.with_endpoint(format!("http://{address}/v1/traces")).with_timeout(EXCHANGE).build()?;
    let own = [("service.name", workload), ("service.version", env!("CARGO_PKG_VERSION"))]
        .map(|(name, value)| KeyValue::new(name, value.to_owned()));
    let labels = labels.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    exporter.set_resource(&Resource::builder_empty().with_attributes(labels.chain(own)).build());
    Ok(exporter)
}

fn export(runtime: &Runtime, exporter: &SpanExporter, waiting: &Receiver<Message>, counted: &Counted) {
    let mut said: Option<Instant> = None;
    while let Ok(Message::Span(first)) = waiting.recv() {
        let (batch, ends) = gather(first, waiting);
        let spans = batch.len() as u64;
        match runtime.block_on(exporter.export(batch)) {
            Ok(()) => {
                counted.sent.increment(spans);
                if said.take().is_some() {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                counted.failed.increment(spans);
                if said.is_none_or(|said| said.elapsed() >= COMPLAIN) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, spans, "the collector does not take spans; they are lost");
                }
            }
        }
        if ends {
            return;
        }
    }
}

/// Whatever comes within [`GATHER`], up to [`BATCH`]; and whether it is the last.
fn gather(first: SpanData, waiting: &Receiver<Message>) -> (Vec<SpanData>, bool) {
    let until = Instant::now() + GATHER;
    let mut batch = vec![first];
    while batch.len() < BATCH {
        match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Message::Span(span)) => batch.push(span),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return (batch, true),
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    (batch, false)
}

/// One connection for each batch, at most one a second, without TLS: the collector is on this machine, and nothing of the environment leads elsewhere.
#[derive(Debug)]
struct Client {
    address: SocketAddr,
}

/// What [`HttpClient`] wants back.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'c, 'a>(&'c self, request: Request<Bytes>) -> Answer<'a>
    where
        'c: 'a,
        Self: 'a,
    {
        Box::pin(async move { timeout(EXCHANGE, exchange(self.address, request)).await? })
    }
}

async fn exchange(address: SocketAddr, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let stream = TcpStream::connect(address).await?;
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = request.map(Full::new);
    request.headers_mut().insert(header::HOST, HeaderValue::try_from(address.to_string())?);
    *request.uri_mut() = request.uri().path().parse()?;
    let (head, body) = send.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}
