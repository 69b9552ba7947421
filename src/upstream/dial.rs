//! New connections: to the app in the clear, to peers with the identity verified inside the handshake.

use super::lease::{Idle, Protocol, Shared};
use super::mortal::{Mortal, PeerConnections, Vitals};
use super::pool::AppAddress;
use super::settle::{Settling, UNSETTLED, settled};
use super::switch::drive;
use super::unread::Unread;
use super::{PoolKey, UpstreamError};
use crate::runtime::clock::Clock;
use crate::runtime::limits::Timeouts;
use crate::runtime::listener::limit_unsent;
use crate::runtime::tasks::spawn_local;
use crate::tls::{Connected, Offer, TlsState};
use crate::trust::{LivePeers, Usage};
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// What an HTTP/2 response may hold here before our client has read it: the window of its stream (RFC 9113, section 5.2); bytes. The app is as near as
/// the loopback; a peer may be some 1 ms away, and one stream shall still be fast.
const APP_STREAM_WINDOW: u32 = 64 << 10;
/// See [`APP_STREAM_WINDOW`].
const PEER_STREAM_WINDOW: u32 = 256 << 10;

/// The window of all streams of an HTTP/2 connection together; bytes. Larger than those of its streams, which alone shall bound what comes: many clients
/// share the connection, and one that stops reading must not stop the others. The library ends a connection whose small frames, too, wait for their
/// readers and together cost more than half of this: 5 bytes each, as the smallest gRPC messages, on a hundred streams of an app cost less.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// What of a request waits for the other side's window; bytes.
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
#[derive(Clone)]
pub struct Dialer {
    /// The shard's connections to peers.
    pub connections: Rc<PeerConnections>,
    /// The peers of all shards.
    pub live: Arc<LivePeers>,
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

/// Who is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    App,
    Peer,
}

impl Side {
    /// What the tasks that drive its connections are called.
    fn task(self) -> &'static str {
        match self {
            Self::App => "app connection",
            Self::Peer => "peer connection",
        }
    }

    fn stream_window(self) -> u32 {
        match self {
            Self::App => APP_STREAM_WINDOW,
            Self::Peer => PEER_STREAM_WINDOW,
        }
    }
}

/// A connection to a peer, ready for requests.
pub(super) enum Dialled<B> {
    Http1(Idle<B>),
    Http2(Rc<Shared<B>>),
}

impl Dialer {
    /// Dials the app, which speaks `protocol`.
    pub(super) async fn app<B>(
        &self,
        address: &AppAddress,
        protocol: Protocol,
        purpose: Purpose,
        timeouts: &Timeouts,
    ) -> Result<Dialled<B>, UpstreamError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    {
        match address {
            AppAddress::Tcp(address) => self.speak(self.tcp(*address, timeouts.connect).await?, protocol, purpose, timeouts).await,
            AppAddress::Unix(path) => {
                let connected = timeout(timeouts.connect, UnixStream::connect(path)).await;
                let stream = connected.map_err(|_| UpstreamError::ConnectTimeout(timeouts.connect))?;
                let stream = stream.map_err(|error| UpstreamError::Connect(Arc::new(error)))?;
                self.speak(stream, protocol, purpose, timeouts).await
            }
        }
    }

    async fn speak<S, B>(&self, stream: S, protocol: Protocol, purpose: Purpose, timeouts: &Timeouts) -> Result<Dialled<B>, UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    {
        let vitals = Rc::default();
        match protocol {
            Protocol::Http1 => self.http1(stream, Side::App, purpose, vitals).await.map(Dialled::Http1),
            Protocol::Http2 => self.http2(stream, Side::App, vitals, self.oldest(), timeouts.handshake).await.map(Dialled::Http2),
        }
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
        let connected = shaken.map_err(|error| UpstreamError::Handshake(Arc::new(error)))?;
        let live = self.live.admit(Usage::Server, &connected.peer, connected.chain(), tls.bundles().generation);
        let Connected { stream, peer, channel } = connected;
        let ends = peer.not_after.min(tls.not_after);
        let vitals = Vitals::of(channel.group);
        let stream = Mortal::new(stream, &self.connections, ends, live, &vitals);
        if channel.alpn == "h2" {
            let retire = self.oldest().min(self.retire(ends, timeouts));
            self.http2(stream, Side::Peer, vitals, retire, timeouts.handshake).await.map(Dialled::Http2)
        } else if key.offer == Offer::Http2 {
            Err(UpstreamError::NoHttp2)
        } else {
            let mut idle = self.http1(stream, Side::Peer, purpose, vitals).await?;
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

    async fn http1<S, B>(&self, stream: S, side: Side, purpose: Purpose, vitals: Rc<Vitals>) -> Result<Idle<B>, UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.head_bytes.max(8 << 10));
        let failed = |error| UpstreamError::Http(Arc::new(error));
        // The end of a connection is told to whoever has a request on it; here there is nobody to tell.
        let (mut sender, task, switched) = match purpose {
            Purpose::Requests => {
                let (sender, connection) = builder.handshake(TokioIo::new(Unread::new(stream))).await.map_err(failed)?;
                (sender, spawn_local(side.task(), connection).abort_handle(), None)
            }
            Purpose::Switch => {
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
                let (to, switched) = oneshot::channel();
                (sender, spawn_local(side.task(), drive(connection, to)).abort_handle(), Some(switched))
            }
        };
        // When its task first runs. Whether it ended meanwhile is seen by the request.
        let _ = sender.ready().await;
        let mut idle = Idle::new(sender, task, vitals, self.oldest());
        idle.switched = switched;
        Ok(idle)
    }

    /// Begins HTTP/2; done when the other side has said, within `limit`, how many streams it takes.
    async fn http2<S, B>(
        &self,
        stream: S,
        side: Side,
        vitals: Rc<Vitals>,
        retire: Instant,
        limit: Duration,
    ) -> Result<Rc<Shared<B>>, UpstreamError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    {
        let settling = Settling::default();
        let mut builder = http2::Builder::new(settling.clone());
        builder
            .max_header_list_size(u32::try_from(self.head_bytes).unwrap_or(u32::MAX))
            .initial_max_send_streams(UNSETTLED)
            .initial_stream_window_size(side.stream_window())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        let (sender, mut connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| UpstreamError::Http(Arc::new(error)))?;
        match timeout(limit, settled(&settling, &mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(vitals.alert().map_or(error, UpstreamError::RefusedUs)),
            Err(_) => return Err(UpstreamError::NoSettings),
        }
        if connection.current_max_send_streams() == 0 {
            return Err(UpstreamError::NoStreams);
        }
        let connection = Rc::new(RefCell::new(connection));
        let watched = Rc::downgrade(&connection);
        let allowed = move || watched.upgrade().map_or(0, |connection| connection.borrow().current_max_send_streams());
        drop(spawn_local(side.task(), std::future::poll_fn(move |cx| Pin::new(&mut *connection.borrow_mut()).poll(cx))));
        Ok(Shared::new(sender, Box::new(allowed), vitals, retire, side.stream_window()))
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
