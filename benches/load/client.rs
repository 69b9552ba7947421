//! One connection to a server, and one request on it. Nothing is ever tried again here.

use super::target::{Body, Protocol, Target};
use super::wallet::Wallet;
use anyhow::Context as _;
use bytes::Bytes;
use countersign::identity::x509::Leaf;
use countersign::runtime::tasks::LocalExecutor;
use http::header::{CONNECTION, HeaderName};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What the app answers: 1 KiB.
pub const BODY: [u8; 1_024] = [b'.'; 1_024];

/// The request field whose number begins the answer, so that an answer to another request is noticed.
pub const NONCE: HeaderName = HeaderName::from_static("x-nonce");

/// What the app answers to a request with this nonce.
pub fn body(nonce: u64) -> Bytes {
    let mut body = Vec::with_capacity(BODY.len());
    body.extend_from_slice(format!("{nonce:020}").as_bytes());
    body.resize(BODY.len(), b'.');
    body.into()
}

/// A handshake as the client saw it.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// When the connect call was made.
    pub begun: SystemTime,
    /// When it was done.
    pub done: SystemTime,
    /// The serial number of the server's certificate.
    pub serial: String,
    /// When the first of the two certificates ends.
    pub ends: SystemTime,
}

/// An open connection.
pub struct Connection {
    /// How it began, with TLS.
    pub handshake: Option<Handshake>,
    sender: Sender,
    told: Cell<bool>,
    cut: Rc<Cell<bool>>,
}

enum Sender {
    /// Taken while a request is under way.
    Http1(RefCell<Option<http1::SendRequest<Body>>>),
    Http2(http2::SendRequest<Body>),
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// The connection had ended, or was ending, before a byte of it was written.
    NotSent,
    /// The server had sent GOAWAY and did not take the stream: the client used a connection that it was told to leave.
    AfterGoaway,
    /// Anything else.
    Failed(anyhow::Error),
}

impl Connection {
    /// Connects and, with TLS, shakes hands.
    ///
    /// # Errors
    /// Whatever goes wrong.
    pub async fn open(target: &Target) -> anyhow::Result<Self> {
        match &target.wallet {
            Some(wallet) => {
                let (stream, handshake) = shake_hands(target, wallet).await?;
                Self::speak(stream, target.protocol, Some(handshake)).await
            }
            None => Self::speak(connect(target).await?, target.protocol, None).await,
        }
    }

    async fn speak<S>(stream: S, protocol: Protocol, handshake: Option<Handshake>) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        let cut = Rc::new(Cell::new(false));
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.context("HTTP/1.1")?;
                drop(tokio::task::spawn_local(until_end(connection, Rc::clone(&cut))));
                Sender::Http1(RefCell::new(Some(sender)))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::Builder::new(LocalExecutor).handshake(io).await.context("HTTP/2")?;
                drop(tokio::task::spawn_local(until_end(connection, Rc::clone(&cut))));
                Sender::Http2(sender)
            }
        };
        Ok(Self { handshake, sender, told: Cell::new(false), cut })
    }

    /// Whether another request may be sent: the server did not say that it ends.
    pub fn is_usable(&self) -> bool {
        let closed = match &self.sender {
            Sender::Http1(sender) => sender.borrow().as_ref().is_some_and(http1::SendRequest::is_closed),
            Sender::Http2(sender) => sender.is_closed(),
        };
        !closed && !self.told.get()
    }

    /// Whether it ended without a word: no `Connection: close`, no GOAWAY, not even the close_notify of TLS.
    pub fn was_cut(&self) -> bool {
        self.cut.get()
    }

    /// Sends one request and waits for the whole answer.
    pub async fn send(&self, request: Request<Body>) -> Outcome {
        let outcome = match &self.sender {
            Sender::Http1(slot) => {
                let Some(mut sender) = slot.take() else { return Outcome::Failed(anyhow::anyhow!("two requests at once on HTTP/1.1")) };
                // A dead connection fails here, and then below without having written a byte.
                let _ = sender.ready().await;
                let outcome = sender.try_send_request(request).await;
                let outcome = self.finish(outcome).await;
                slot.replace(Some(sender));
                outcome
            }
            Sender::Http2(sender) => {
                let mut sender = sender.clone();
                let _ = sender.ready().await;
                let outcome = sender.try_send_request(request).await;
                self.finish(outcome).await
            }
        };
        if !matches!(outcome, Outcome::Answered(_)) {
            self.told.set(true);
        }
        outcome
    }

    async fn finish(&self, outcome: Result<Response<Incoming>, TrySendError<Request<Body>>>) -> Outcome {
        let response = match outcome {
            Ok(response) => response,
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                return if unsent { Outcome::NotSent } else { failed(error.into_error(), "no response") };
            }
        };
        if response.headers().get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close")) {
            self.told.set(true);
        }
        let status = response.status();
        match response.into_body().collect().await {
            Ok(body) => Outcome::Answered(Answer { status, body: body.to_bytes() }),
            Err(error) => failed(error, "a response cut short"),
        }
    }
}

async fn connect(target: &Target) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(target.address).await.context("connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects and shakes hands.
///
/// # Errors
/// Whatever goes wrong.
pub async fn shake_hands(target: &Target, wallet: &Wallet) -> anyhow::Result<(TlsStream<TcpStream>, Handshake)> {
    let begun = SystemTime::now();
    let stream = connect(target).await?;
    let (config, own_end) = wallet.config(target.protocol);
    let name = ServerName::try_from(target.authority.host().trim_matches(['[', ']']).to_owned())?;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.context("handshake")?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).context("the server has no certificate")?;
    let leaf = Leaf::parse(leaf)?;
    let ends = own_end.map_or(leaf.not_after, |own_end| own_end.min(leaf.not_after));
    Ok((stream, Handshake { begun, done: SystemTime::now(), serial: leaf.serial, ends }))
}

/// Drives a connection; its end is otherwise seen by whoever uses it.
async fn until_end(connection: impl Future<Output = Result<(), hyper::Error>>, cut: Rc<Cell<bool>>) {
    cut.set(connection.await.is_err());
}

fn failed(error: hyper::Error, what: &'static str) -> Outcome {
    let error = anyhow::Error::new(error).context(what);
    // h2's own error type is not ours to name; this is a GOAWAY with NO_ERROR that leaves our stream out. h2 writes a request that was queued
    // when the first GOAWAY came after it, and after the answer to the PING that comes with it.
    let text = format!("{error:#}");
    if text.contains("connection error received: not a result of an error") { Outcome::AfterGoaway } else { Outcome::Failed(error) }
}
