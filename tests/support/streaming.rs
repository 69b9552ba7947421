//! Bodies that are made while they are sent, and clients that take their time.

use super::client;
use super::{PATIENCE, eventually};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use bytes::Bytes;
use countersign::testing::pki::TestCert;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Any body that a client or an app sends.
pub type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

const CHUNK: usize = 64 << 10;

/// What has been made, or read, of a body so far.
#[derive(Clone)]
pub struct Tally {
    bytes: Arc<AtomicU64>,
    digest: Arc<Mutex<Digest>>,
}

impl Tally {
    fn new() -> Self {
        Self { bytes: Arc::default(), digest: Arc::new(Mutex::new(Digest::new(&SHA256))) }
    }

    fn add(&self, data: &[u8]) {
        self.digest.lock().unwrap().update(data);
        self.bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// The checksum so far.
    pub fn checksum(&self) -> Vec<u8> {
        self.digest.lock().unwrap().clone().finish().as_ref().to_vec()
    }

    /// Waits until more than `least` bytes came and then none for half a second: whoever takes them has stopped, or this machine is so slow that
    /// fewer are under way than could be.
    pub async fn stalls_past(&self, least: u64) -> u64 {
        stalled(|| Some(self.bytes()).filter(|bytes| *bytes > least)).await
    }
}

/// Waits until some of each has come and then nothing of any for half a second.
pub async fn all_stall(tallies: &[Tally]) -> u64 {
    stalled(|| tallies.iter().map(Tally::bytes).try_fold(0, |sum, bytes| (bytes > 0).then_some(sum + bytes))).await
}

/// `bytes` gives nothing as long as it is too early to stall.
async fn stalled(bytes: impl Fn() -> Option<u64>) -> u64 {
    let seen = Cell::new((None, Instant::now()));
    eventually("a stalled body", async || {
        let (now, (last, since)) = (bytes(), seen.get());
        if now != last {
            seen.set((now, Instant::now()));
        }
        now.filter(|_| now == last && since.elapsed() >= Duration::from_millis(500))
    })
    .await
}

/// A body of `bytes` bytes that no two of its chunks share; `declared`: with a content-length.
pub fn generated(bytes: u64, declared: bool) -> (AnyBody, Tally) {
    let tally = Tally::new();
    let block = (0..CHUNK).map(|at| (at * 31 % 251) as u8).collect();
    (Generated { left: bytes, block, tally: tally.clone(), declared }.boxed_unsync(), tally)
}

struct Generated {
    left: u64,
    block: Vec<u8>,
    tally: Tally,
    declared: bool,
}

impl Body for Generated {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = self.block.clone();
        chunk[..8].copy_from_slice(&self.left.to_be_bytes());
        chunk.truncate(usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK));
        self.left -= chunk.len() as u64;
        self.tally.add(&chunk);
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.declared { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

/// A body that a test feeds piece by piece; dropping the sender ends it, an error breaks it off. `declared`: its content-length.
pub fn fed(declared: Option<u64>) -> (AnyBody, mpsc::Sender<io::Result<Bytes>>) {
    let (send, pieces) = mpsc::channel(1);
    (Fed { pieces, declared }.boxed_unsync(), send)
}

struct Fed {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    declared: Option<u64>,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body without a byte.
pub fn empty() -> AnyBody {
    generated(0, true).0
}

/// An HTTP connection to an inbound listener whose requests may have any body; dropping it closes it.
pub enum Streams {
    /// HTTP/1.1.
    Http1(http1::SendRequest<AnyBody>),
    /// HTTP/2.
    Http2(http2::SendRequest<AnyBody>),
}

impl Streams {
    /// Connects with HTTP/1.1.
    pub async fn http1(address: SocketAddr, cert: &TestCert) -> Self {
        let stream = client::tls(address, Some(cert), &["http/1.1"]).await.unwrap();
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(send)
    }

    /// Connects with HTTP/2.
    pub async fn http2(address: SocketAddr, cert: &TestCert) -> Self {
        let stream = client::tls(address, Some(cert), &["h2"]).await.unwrap();
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(send)
    }

    /// One connection of each kind.
    pub async fn both(address: SocketAddr, cert: &TestCert) -> [Self; 2] {
        [Self::http1(address, cert).await, Self::http2(address, cert).await]
    }

    /// `http1` or `http2`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http1(_) => "http1",
            Self::Http2(_) => "http2",
        }
    }

    /// Whether the connection is still there.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Http1(send) => !send.is_closed(),
            Self::Http2(send) => !send.is_closed(),
        }
    }

    /// Connects to an outbound listener with HTTP/2 and prior knowledge.
    pub async fn app_h2c(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(send)
    }

    /// Sends a request for this address over HTTP/2, as [`Streams::send`] does for a path.
    pub fn ask(
        &mut self,
        method: &str,
        uri: &str,
        body: AnyBody,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        let Self::Http2(send) = self else { panic!("only over HTTP/2") };
        send.send_request(Request::builder().method(method).uri(uri).body(body).unwrap())
    }

    /// Sends a request with this method, path and body; gives the response's head. The future does not borrow the connection.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        body: AnyBody,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        let request = Request::builder().method(method);
        let sent: Pin<Box<dyn Future<Output = _> + Send>> = match self {
            Self::Http1(send) => Box::pin(send.send_request(request.uri(path).header("host", "orders").body(body).unwrap())),
            Self::Http2(send) => Box::pin(send.send_request(request.uri(format!("https://orders{path}")).body(body).unwrap())),
        };
        sent
    }
}

/// Reads at least `bytes` of a body, and as little more as comes with them.
pub async fn take(body: &mut Incoming, tally: &Tally, bytes: u64) -> hyper::Result<()> {
    let until = tally.bytes() + bytes;
    while tally.bytes() < until {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap_or_else(|_| panic!("no byte for {PATIENCE:?}"));
        match frame {
            Some(frame) => {
                if let Some(data) = frame?.data_ref() {
                    tally.add(data);
                }
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Reads all of these bodies at once to their ends; gives the bytes of each. How they share a connection is not in question: it panics when none of
/// them gets a byte for [`PATIENCE`].
pub async fn take_all(bodies: impl IntoIterator<Item = Incoming>) -> Vec<u64> {
    let total = Arc::new(AtomicU64::new(0));
    let mut reads = JoinSet::new();
    for mut body in bodies {
        let total = Arc::clone(&total);
        reads.spawn(async move {
            let mut read = 0;
            while let Some(frame) = body.frame().await {
                let bytes = frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
                total.fetch_add(bytes, Ordering::SeqCst);
                read += bytes;
            }
            read
        });
    }
    let mut whole = Vec::new();
    loop {
        let before = total.load(Ordering::SeqCst);
        match tokio::time::timeout(PATIENCE, reads.join_next()).await {
            Ok(Some(read)) => whole.push(read.unwrap()),
            Ok(None) => return whole,
            Err(_) => assert!(total.load(Ordering::SeqCst) > before, "no byte for {PATIENCE:?}"),
        }
    }
}

/// Counts what is read.
pub fn reading() -> Tally {
    Tally::new()
}
