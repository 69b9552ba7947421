//! WebSocket by a library that nobody of us wrote, on both sides of a sidecar; and an app that switches protocols by hand.

use super::app::Seen;
use super::client::{Facts, tls};
use super::frames::Tapped;
use super::{eventually, within};
use bytes::Bytes;
use countersign::testing::pki::TestCert;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Asked, Response as Agreed};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

/// A client's WebSocket; dropping it ends its connection.
pub struct WebSocket {
    socket: WebSocketStream<Box<dyn Io>>,
    /// What the server's answer said.
    pub headers: http::HeaderMap,
    /// On HTTP/2: what is known of the connection, which lives as long as this.
    pub connection: Option<(http2::SendRequest<Empty<Bytes>>, Facts)>,
}

impl WebSocket {
    /// Over HTTP/1.1 and TLS; the status where the server refuses.
    pub async fn http1(address: SocketAddr, cert: &TestCert, path: &str) -> Result<Self, StatusCode> {
        let stream = tls(address, Some(cert), &["http/1.1"]).await.unwrap();
        Self::upgrade(Box::new(stream), "orders", path).await
    }

    /// By extended CONNECT over HTTP/2 and TLS.
    pub async fn http2(address: SocketAddr, cert: &TestCert, path: &str) -> Result<Self, StatusCode> {
        let stream = tls(address, Some(cert), &["h2"]).await.unwrap();
        Self::connect(Box::new(stream), &format!("https://orders{path}")).await
    }

    /// One of each kind.
    pub async fn both(address: SocketAddr, cert: &TestCert, path: &str) -> [Result<Self, StatusCode>; 2] {
        [Self::http1(address, cert, path).await, Self::http2(address, cert, path).await]
    }

    /// One of each kind, without TLS: the app before an outbound listener.
    pub async fn app_both(address: SocketAddr, host: &str, path: &str) -> [Result<Self, StatusCode>; 2] {
        let streams = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let [first, second] = streams.map(Box::new);
        [Self::upgrade(first, host, path).await, Self::connect(second, &format!("http://{host}{path}")).await]
    }

    async fn upgrade(stream: Box<dyn Io>, host: &str, path: &str) -> Result<Self, StatusCode> {
        match within("the answer to an upgrade", client_async(format!("ws://{host}{path}"), stream)).await {
            Ok((socket, answer)) => Ok(Self { socket, headers: answer.into_parts().0.headers, connection: None }),
            Err(Error::Http(answer)) => Err(answer.status()),
            Err(error) => panic!("no answer to an upgrade: {error}"),
        }
    }

    async fn connect(stream: Box<dyn Io>, target: &str) -> Result<Self, StatusCode> {
        let facts = Facts::plain();
        let tapped = TokioIo::new(Tapped::new(stream, facts.frames.clone()));
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), tapped).await.unwrap();
        let enabled = async || connection.is_extended_connect_protocol_enabled().then_some(());
        eventually("SETTINGS_ENABLE_CONNECT_PROTOCOL", enabled).await;
        facts.drive(connection);
        let mut request = Request::connect(target).header("sec-websocket-version", "13").body(Empty::new()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let mut answer = within("the answer to an extended CONNECT", send.send_request(request)).await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        let stream = within("the stream", hyper::upgrade::on(&mut answer)).await.unwrap();
        let stream: Box<dyn Io> = Box::new(TokioIo::new(stream));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Ok(Self { socket, headers: answer.into_parts().0.headers, connection: Some((send, facts)) })
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        within("room for a message", self.socket.send(message)).await.unwrap();
    }

    /// The next message; `None` after the closing handshake.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        within("a message or the end", self.socket.next()).await
    }

    /// Sends a text and expects it back.
    pub async fn echo(&mut self, text: &str) {
        self.send(Message::text(text)).await;
        assert_eq!(self.next().await.unwrap().unwrap(), Message::text(text));
    }

    /// Expects an end without a closing handshake.
    pub async fn torn(&mut self) {
        match self.next().await {
            None | Some(Err(_)) => {}
            Some(Ok(message)) => panic!("{message:?} instead of the end"),
        }
    }

    /// Closes it as RFC 6455, section 7 says: the other side does so too, and only then the connection ends.
    pub async fn close(mut self) {
        within("room for a close frame", self.socket.close(None)).await.unwrap();
        while let Some(message) = self.next().await {
            assert!(matches!(message, Ok(Message::Close(_))), "{message:?}");
        }
    }
}

/// How a WebSocket ended at the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By the closing handshake.
    Closed,
    /// Without one.
    Torn,
}

/// A WebSocket server in the test's process that echoes; dropping it stops accepting. It refuses `/refused…` with 400.
pub struct SocketApp {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<Mutex<Vec<End>>>,
    task: JoinHandle<()>,
}

impl SocketApp {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, ended) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<Vec<End>>>::default());
        let (log, ends) = (Arc::clone(&seen), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, ends) = (Arc::clone(&log), Arc::clone(&ends));
                tokio::spawn(async move {
                    if let Some(end) = echo(stream, &log).await {
                        ends.lock().unwrap().push(end);
                    }
                });
            }
        });
        Self { address, seen, ended, task }
    }

    /// The requests that came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this many WebSockets have ended; says how.
    pub async fn ended(&self, count: usize) -> Vec<End> {
        let look = async || Some(self.ended.lock().unwrap().clone()).filter(|ended| ended.len() >= count);
        eventually(&format!("{count} ended WebSockets at the app"), look).await
    }
}

impl Drop for SocketApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `None`: it never was one.
async fn echo(stream: TcpStream, log: &Mutex<Vec<Seen>>) -> Option<End> {
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let judge = |request: &Asked, mut answer: Agreed| {
        let target = request.uri().to_string();
        let refused = target.starts_with("/refused");
        log.lock().unwrap().push(Seen { method: request.method().clone(), target, headers: request.headers().clone(), origin: None });
        if refused {
            let mut refusal = ErrorResponse::new(Some("not here".to_owned()));
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return Err(refusal);
        }
        // What an app may say beside its 101, and what it must not.
        answer.headers_mut().insert("x-app", "yes".parse().unwrap());
        answer.headers_mut().insert("x-countersign-decision", "forged".parse().unwrap());
        Ok(answer)
    };
    let mut socket = accept_hdr_async(stream, judge).await.ok()?;
    while let Some(message) = socket.next().await {
        match message {
            Ok(message) if message.is_text() || message.is_binary() => {
                if socket.send(message).await.is_err() {
                    return Some(End::Torn);
                }
            }
            Ok(_) => {}
            Err(_) => return Some(End::Torn),
        }
    }
    Some(End::Closed)
}

/// An app that hands each connection over to the test once its head was read; dropping it stops accepting.
pub struct HandApp {
    /// Where it listens.
    pub address: SocketAddr,
    calls: AsyncMutex<mpsc::Receiver<Call>>,
    task: JoinHandle<()>,
}

/// One connection to a [`HandApp`].
pub struct Call {
    /// The head that came.
    pub head: String,
    /// The connection after it.
    pub stream: TcpStream,
}

impl HandApp {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, calls) = mpsc::channel(16);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let send = send.clone();
                tokio::spawn(async move {
                    if let Some(head) = read_head(&mut stream).await {
                        let _ = send.send(Call { head, stream }).await;
                    }
                });
            }
        });
        Self { address, calls: AsyncMutex::new(calls), task }
    }

    /// Waits for the next connection.
    pub async fn next(&self) -> Call {
        within("a request at the app", async { self.calls.lock().await.recv().await }).await.unwrap()
    }

    /// Whether a request has come that nobody has asked for yet.
    pub async fn has_more(&self) -> bool {
        !self.calls.lock().await.is_empty()
    }
}

impl Drop for HandApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Call {
    /// Switches to `protocol`.
    pub async fn switch(&mut self, protocol: &str) {
        self.answer(&format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n")).await;
    }

    /// Writes these bytes.
    pub async fn answer(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// A head, byte by byte: what follows it stays in the stream. `None`: the stream ended before.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the rest of a head", stream.read_u8()).await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Reads exactly these bytes.
pub async fn expect(stream: &mut (impl AsyncRead + Unpin), bytes: &str) {
    let mut read = vec![0; bytes.len()];
    within("bytes through the tunnel", stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), bytes);
}

/// Reads to the end; an end that was torn counts as one.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = within("the end of a stream", stream.read_to_end(&mut rest)).await;
    rest
}

/// An upgrade's head.
pub fn upgrade_to(protocol: &str, path: &str) -> String {
    format!("{} {path} HTTP/1.1\r\nhost: orders\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n", Method::GET)
}
