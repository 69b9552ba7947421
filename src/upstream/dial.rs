//! New connections: to the app in the clear, to peers with the identity verified inside the handshake.

use super::lease::{Idle, Protocol, Shared};
use super::mortal::{Alert, Mortal};
use super::switch::drive;
use super::{PoolKey, UpstreamError};
use crate::runtime::clock::Clock;
use crate::runtime::limits::Timeouts;
use crate::runtime::listener::limit_unsent;
use crate::runtime::tasks::{LocalExecutor, spawn_local};
use crate::tls::{Connected, Offer, TlsState};
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// What a peer may send before our client has read it, on one stream and on all of an HTTP/2 connection, and what of a request waits for the peer's
/// window; bytes. As much as we take from our own clients: the library's defaults would hold 5 MiB a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const SEND_BUFFER: usize = 64 << 10;

/// How much earlier than the peer's graceful end we stop using a connection, so that the two never meet.
const RETIRE_EARLIER: Duration = Duration::from_secs(2);

/// Our own plain listeners that forward: dialling one of them would be a loop.
#[derive(Debug, Clone, Default)]
pub struct OwnListeners {
    /// The port of the outbound listener, where there is one.
    pub ports: Vec<u16>,
}

impl OwnListeners {
    /// Whether `stream` leads to one of them: both ends have the same address, and the port is ours.
    fn answer(&self, stream: &TcpStream) -> bool {
        let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return false };
        let here = peer.ip().to_canonical() == local.ip().to_canonical() || peer.ip().is_loopback();
        here && self.ports.contains(&peer.port())
    }
}

/// What dialling needs to know.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// Our own plain listeners.
    pub own: Arc<OwnListeners>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The age at which a connection is no longer reused; zero: any.
    pub max_age: Duration,
    /// Bytes of a response head, at least 8 KiB.
    pub head_bytes: usize,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests, one after the other.
    Requests,
    /// One request that asks to switch protocols.
    Switch,
}

/// A connection to a peer, ready for requests.
pub(super) enum Dialled<B> {
    Http1(Idle<B>),
    Http2(Rc<Shared<B>>),
}

impl Dialer {
    /// Dials the app over TCP.
    pub(super) async fn app_tcp<B>(&self, address: SocketAddr, purpose: Purpose, timeouts: &Timeouts) -> Result<Idle<B>, UpstreamError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let stream = self.tcp(address, timeouts.connect).await?;
        self.http1(stream, "app connection", purpose, Alert::default(), None).await
    }

    /// Dials the app over a Unix socket.
    pub(super) async fn app_unix<B>(&self, path: &Path, purpose: Purpose, timeouts: &Timeouts) -> Result<Idle<B>, UpstreamError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let connected = timeout(timeouts.connect, UnixStream::connect(path)).await;
        let stream = connected.map_err(|_| UpstreamError::ConnectTimeout(timeouts.connect))?;
        let stream = stream.map_err(|error| UpstreamError::Connect(Arc::new(error)))?;
        self.http1(stream, "app connection", purpose, Alert::default(), None).await
    }

    /// Dials a peer and verifies who it is.
    pub(super) async fn peer<B>(
        &self,
        tls: &TlsState,
        key: &PoolKey,
        host: &str,
        purpose: Purpose,
        timeouts: &Timeouts,
    ) -> Result<Dialled<B>, UpstreamError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    {
        let stream = self.tcp(key.endpoint, timeouts.connect).await?;
        let handshake = crate::tls::connect(tls, &key.expected, key.offer, host, stream);
        let shaken = timeout(timeouts.handshake, handshake).await.map_err(|_| UpstreamError::HandshakeTimeout(timeouts.handshake))?;
        let Connected { stream, peer, channel } = shaken.map_err(|error| UpstreamError::Handshake(Arc::new(error)))?;
        let ends = peer.not_after.min(tls.not_after);
        let alert = Alert::default();
        let stream = Mortal::new(stream, Arc::clone(&self.clock), ends, Rc::clone(&alert));
        if channel.alpn == "h2" {
            self.http2(stream, alert, ends, timeouts).await.map(Dialled::Http2)
        } else if key.offer == Offer::Http2 {
            Err(UpstreamError::NoHttp2)
        } else {
            let mut idle = self.http1(stream, "peer connection", purpose, alert, Some(ends)).await?;
            idle.retire = idle.retire.min(self.retire(ends, timeouts));
            Ok(Dialled::Http1(idle))
        }
    }

    async fn tcp(&self, address: SocketAddr, limit: Duration) -> Result<TcpStream, UpstreamError> {
        let connected = timeout(limit, TcpStream::connect(address)).await.map_err(|_| UpstreamError::ConnectTimeout(limit))?;
        let stream = connected.map_err(|error| UpstreamError::Connect(Arc::new(error)))?;
        if self.own.answer(&stream) {
            return Err(UpstreamError::Loop);
        }
        stream.set_nodelay(true).map_err(|error| UpstreamError::Connect(Arc::new(error)))?;
        limit_unsent(&stream);
        Ok(stream)
    }

    async fn http1<S, B>(
        &self,
        stream: S,
        name: &'static str,
        purpose: Purpose,
        alert: Alert,
        ends: Option<SystemTime>,
    ) -> Result<Idle<B>, UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.head_bytes.max(8 << 10));
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| UpstreamError::Http(Arc::new(error)))?;
        // The end of a connection is told to whoever has a request on it; here there is nobody to tell.
        let (task, switched) = match purpose {
            Purpose::Requests => (spawn_local(name, connection), None),
            Purpose::Switch => {
                let (to, switched) = oneshot::channel();
                (spawn_local(name, drive(connection, ends, to)), Some(switched))
            }
        };
        let mut idle = Idle::new(sender, task.abort_handle(), alert, self.oldest());
        idle.switched = switched;
        Ok(idle)
    }

    async fn http2<S, B>(&self, stream: S, alert: Alert, ends: SystemTime, timeouts: &Timeouts) -> Result<Rc<Shared<B>>, UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .max_header_list_size(u32::try_from(self.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| UpstreamError::Http(Arc::new(error)))?;
        drop(spawn_local("peer connection", connection));
        Ok(Shared::new(sender, alert, self.oldest().min(self.retire(ends, timeouts))))
    }

    fn oldest(&self) -> Instant {
        let now = Instant::now();
        // The peer's own age limit is most likely ours, give or take a tenth: be well before it.
        let age = if self.max_age.is_zero() { Duration::from_secs(86_400) } else { self.max_age.mul_f64(0.8) };
        now + age
    }

    /// When to stop using a connection that the peer begins to end at its `drain_grace` before `ends`.
    fn retire(&self, ends: SystemTime, timeouts: &Timeouts) -> Instant {
        let left = ends.duration_since(self.clock.now()).unwrap_or_default();
        let grace = timeouts.drain_grace.min(left / 10);
        Instant::now() + left.saturating_sub(grace).saturating_sub(RETIRE_EARLIER.min(left / 10))
    }
}

impl<B> Dialled<B> {
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
        }
    }
}
