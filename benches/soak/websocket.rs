//! WebSockets by a library that is not ours, over HTTP/1.1 and by extended CONNECT over HTTP/2 (RFC 8441).

use crate::streams::{Below, EVERY, End, within};
use crate::tap::Tap;
use anyhow::Context as _;
use bytes::Bytes;
use countersign::runtime::tasks::LocalExecutor;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// From one look at the server's settings to the next.
const LOOK: Duration = Duration::from_millis(1);

/// An HTTP/2 connection on which WebSockets are streams.
pub struct Connection(SendRequest<Empty<Bytes>>);

/// Upgrades an HTTP/1.1 connection.
///
/// # Errors
/// The answer is another, or none.
pub async fn upgrade(stream: Below) -> anyhow::Result<WebSocketStream<Below>> {
    let opening = tokio_tungstenite::client_async("ws://localhost/streams/socket", stream);
    Ok(within("the answer to an upgrade", opening).await?.context("a WebSocket")?.0)
}

impl Connection {
    /// Begins HTTP/2, and waits until the server says that it takes extended CONNECT.
    ///
    /// # Errors
    /// The connection ends, or the server does not say so.
    pub async fn open(stream: Tap<Below>) -> anyhow::Result<Self> {
        let (sender, connection) = http2::handshake(LocalExecutor, TokioIo::new(stream)).await.context("HTTP/2")?;
        let enabled = async {
            while !connection.is_extended_connect_protocol_enabled() {
                tokio::time::sleep(LOOK).await;
            }
        };
        within("SETTINGS_ENABLE_CONNECT_PROTOCOL", enabled).await?;
        // Its end is seen by the WebSockets.
        drop(tokio::task::spawn_local(connection));
        Ok(Self(sender))
    }

    /// Opens a WebSocket.
    ///
    /// # Errors
    /// The answer is another, or none.
    pub async fn connect(&self) -> anyhow::Result<WebSocketStream<TokioIo<Upgraded>>> {
        let request = Request::connect("https://localhost/streams/socket").header("sec-websocket-version", "13");
        let request = request.extension(Protocol::from_static("websocket")).body(Empty::new())?;
        let answer = within("the answer to an extended CONNECT", self.0.clone().send_request(request)).await?;
        let mut answer = answer.context("an extended CONNECT")?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "status {}", answer.status());
        let stream = within("the stream", hyper::upgrade::on(&mut answer)).await?.context("a stream")?;
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await)
    }
}

/// Sends messages and expects each one back, until `end` or until the connection is ended.
///
/// # Errors
/// A wrong answer, or none.
pub async fn talk<S>(mut socket: WebSocketStream<S>, end: Instant, echoes: &Cell<u64>) -> anyhow::Result<(SystemTime, End)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ended = |how: String| Ok((SystemTime::now(), End::Ended(how)));
    for number in 0.. {
        if Instant::now() >= end {
            break;
        }
        let sent = Message::text(format!("message {number}"));
        if let Err(error) = within("room for a message", socket.send(sent.clone())).await? {
            return ended(error.to_string());
        }
        match within("an answer", socket.next()).await? {
            Some(Ok(answer)) => anyhow::ensure!(answer == sent, "{answer} instead of {sent}"),
            Some(Err(error)) => return ended(error.to_string()),
            None => return ended("no more messages".into()),
        }
        echoes.set(echoes.get() + 1);
        tokio::time::sleep(EVERY).await;
    }
    if let Err(error) = within("room for a close frame", socket.close(None)).await? {
        return ended(error.to_string());
    }
    while let Some(message) = within("the other side's close frame", socket.next()).await? {
        match message {
            Ok(message) => anyhow::ensure!(matches!(message, Message::Close(_)), "{message:?} instead of a close frame"),
            Err(error) => return ended(error.to_string()),
        }
    }
    Ok((SystemTime::now(), End::Finished))
}
