//! A shard's connections to the app and to peers.

use super::balance::Load;
use super::dial::{Dialled, Purpose};
use super::lease::{Idle, Lease, Protocol, Shared};
use super::mortal::PeerConnections;
use super::{Dialer, UpstreamError};
use crate::runtime::limits::Timeouts;
use crate::tls::{ExpectedPeer, Offer, TlsState};
use http_body::Body;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Idle HTTP/1.1 connections kept to one endpoint by one shard.
const IDLE: usize = 256;

/// For how long an endpoint that could not be reached is the last choice: long enough that not every request finds out anew, short enough to be back
/// soon after it listens again.
const UNREACHABLE: Duration = Duration::from_secs(5);

/// What a connection to a peer is kept by: nothing crosses from one identity, credential or endpoint to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// Where.
    pub endpoint: SocketAddr,
    /// Who must be there.
    pub expected: Arc<ExpectedPeer>,
    /// Our own credential and trust.
    pub generation: u64,
    /// Which protocols are offered.
    pub offer: Offer,
}

/// The connections of one key.
pub(super) struct Pool<B> {
    idle: RefCell<Vec<Idle<B>>>,
    shared: RefCell<Vec<Rc<Shared<B>>>>,
    speaks: Cell<Option<Protocol>>,
    dialling: tokio::sync::Semaphore,
    /// When the last dial failed, and why.
    failed: RefCell<Option<(Instant, UpstreamError)>>,
    in_use: Cell<usize>,
}

impl<B> Pool<B> {
    /// `speaks`: what is known of the other side.
    fn new(speaks: Option<Protocol>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
            speaks: Cell::new(speaks),
            dialling: tokio::sync::Semaphore::new(1),
            failed: RefCell::default(),
            in_use: Cell::new(0),
        })
    }

    pub(super) fn enter(&self) {
        self.in_use.set(self.in_use.get() + 1);
    }

    pub(super) fn leave(&self) {
        self.in_use.set(self.in_use.get().saturating_sub(1));
    }

    pub(super) fn put(&self, idle: Idle<B>) {
        let mut kept = self.idle.borrow_mut();
        if kept.len() < IDLE {
            kept.push(idle);
        }
    }

    /// The connection that was used last: the others may then grow old and go.
    fn take(self: &Rc<Self>, now: Instant, longest: Duration) -> Option<Lease<B>> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|connection| connection.streams.get() > 0 || connection.usable(now, longest));
        let roomy = shared.iter().filter(|connection| connection.usable(now, longest) && connection.is_roomy());
        if let Some(connection) = roomy.min_by_key(|connection| connection.streams.get()) {
            return Some(Lease::http2(connection, self, true));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.pop() {
            if connection.usable(now, longest) {
                return Some(Lease::http1(connection, self, true));
            }
        }
        None
    }

    /// A connection: pooled, or what `dial` gives. Concurrent requests share one HTTP/2 dial, and its failure.
    async fn lease<F>(self: &Rc<Self>, longest: Duration, dial: impl FnOnce() -> F) -> Result<Lease<B>, UpstreamError>
    where
        F: Future<Output = Result<Dialled<B>, UpstreamError>>,
    {
        let now = Instant::now();
        match self.take(now, longest) {
            Some(lease) => Ok(lease),
            // Boxed: a dial is large, and most requests find a pooled connection.
            None => Box::pin(self.dialled(now, longest, dial)).await,
        }
    }

    async fn dialled<F>(self: &Rc<Self>, asked: Instant, longest: Duration, dial: impl FnOnce() -> F) -> Result<Lease<B>, UpstreamError>
    where
        F: Future<Output = Result<Dialled<B>, UpstreamError>>,
    {
        let mut turn = None;
        if self.speaks.get() != Some(Protocol::Http1) {
            turn = self.dialling.acquire().await.ok();
            if let Some(lease) = self.take(Instant::now(), longest) {
                return Ok(lease);
            }
            // Those who waited for a dial share its failure: each would otherwise dial on its own, one after the other.
            if let Some(error) = self.failed_since(asked) {
                return Err(error);
            }
            if self.speaks.get() == Some(Protocol::Http1) {
                turn = None;
            }
        }
        let dialled = dial().await.inspect_err(|error| drop(self.failed.replace(Some((Instant::now(), error.clone())))))?;
        self.failed.take();
        self.speaks.set(Some(dialled.protocol()));
        let lease = match dialled {
            Dialled::Http1(idle) => Lease::http1(idle, self, false),
            Dialled::Http2(shared) => {
                self.shared.borrow_mut().push(Rc::clone(&shared));
                Lease::http2(&shared, self, false)
            }
        };
        drop(turn);
        Ok(lease)
    }

    fn expire(&self, now: Instant, longest: Duration) {
        self.idle.borrow_mut().retain(|connection| connection.usable(now, longest));
        self.shared.borrow_mut().retain(|connection| connection.streams.get() > 0 || connection.usable(now, longest));
    }

    fn failed_since(&self, asked: Instant) -> Option<UpstreamError> {
        self.failed.borrow().as_ref().filter(|(at, _)| *at >= asked).map(|(_, error)| error.clone())
    }

    /// Whether the last dial found nobody, a moment ago.
    fn is_unreachable(&self) -> bool {
        let failed = self.failed.borrow();
        let Some((at, error)) = failed.as_ref() else { return false };
        matches!(error, UpstreamError::Connect(_) | UpstreamError::ConnectTimeout(_)) && at.elapsed() < UNREACHABLE
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_empty() && self.in_use.get() == 0
    }
}

/// Where the app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppAddress {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix socket.
    Unix(PathBuf),
}

/// A shard's connections to the app.
pub struct AppPool<B> {
    address: AppAddress,
    protocol: Protocol,
    dialer: Dialer,
    pool: Rc<Pool<B>>,
}

impl<B> AppPool<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    /// A pool for an app that listens at `address` and speaks `protocol`: HTTP/2 with prior knowledge, without TLS.
    pub fn new(address: AppAddress, protocol: Protocol, dialer: Dialer) -> Self {
        Self { address, protocol, dialer, pool: Pool::new(Some(protocol)) }
    }

    /// A connection of its own for a request that asks to switch protocols; it does not come into the pool.
    ///
    /// # Errors
    /// Nothing could be dialled.
    pub async fn lease_to_switch(&self, timeouts: &Timeouts) -> Result<Lease<B>, UpstreamError> {
        if self.protocol == Protocol::Http2 {
            return Err(UpstreamError::NoHttp1);
        }
        own(&self.pool, self.dialer.app(&self.address, self.protocol, Purpose::Switch, timeouts).await?)
    }

    /// A connection: pooled, or dialled now.
    ///
    /// # Errors
    /// Nothing could be dialled.
    pub async fn lease(&self, timeouts: &Timeouts) -> Result<Lease<B>, UpstreamError> {
        self.pool.lease(timeouts.app_pool_idle, || self.dialer.app(&self.address, self.protocol, Purpose::Requests, timeouts)).await
    }

    /// Whether there is nothing to expire.
    pub fn is_empty(&self) -> bool {
        self.pool.is_empty()
    }

    /// Drops connections that idled too long.
    pub fn expire(&self, timeouts: &Timeouts) {
        self.pool.expire(Instant::now(), timeouts.app_pool_idle);
    }
}

/// A shard's connections to peers.
pub struct PeerPools<B> {
    dialer: Dialer,
    pools: RefCell<HashMap<PoolKey, Rc<Pool<B>>>>,
}

impl<B> PeerPools<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    /// Empty pools.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer, pools: RefCell::default() }
    }

    /// A connection to `key`: pooled, or dialled with `tls`, whose generation is the key's.
    ///
    /// # Errors
    /// Nothing could be dialled.
    pub async fn lease(&self, key: &PoolKey, host: &str, tls: &TlsState, timeouts: &Timeouts) -> Result<Lease<B>, UpstreamError> {
        self.pool(key).lease(timeouts.pool_idle, || self.dialer.peer(tls, key, host, Purpose::Requests, timeouts)).await
    }

    /// A connection of its own to `key`, which offers HTTP/1.1 alone, for a request that asks to switch protocols; it does not come into the pool.
    ///
    /// # Errors
    /// Nothing could be dialled.
    pub async fn lease_to_switch(&self, key: &PoolKey, host: &str, tls: &TlsState, timeouts: &Timeouts) -> Result<Lease<B>, UpstreamError> {
        let pool = self.pool(key);
        own(&pool, self.dialer.peer(tls, key, host, Purpose::Switch, timeouts).await?)
    }

    /// What speaks against dialling or using `key` now, for balancing.
    pub fn load(&self, key: &PoolKey) -> Load {
        let pools = self.pools.borrow();
        let pool = pools.get(key);
        Load { unreachable: pool.is_some_and(|pool| pool.is_unreachable()), in_use: pool.map_or(0, |pool| pool.in_use.get()) }
    }

    /// Whether there is nothing to expire.
    pub fn is_empty(&self) -> bool {
        self.pools.borrow().is_empty() && self.dialer.connections.is_empty()
    }

    /// The open connections of all pools.
    pub fn connections(&self) -> &PeerConnections {
        &self.dialer.connections
    }

    /// Drops what idled too long and what belongs to an older credential.
    pub fn expire(&self, generation: u64, timeouts: &Timeouts) {
        let now = Instant::now();
        self.pools.borrow_mut().retain(|key, pool| {
            if key.generation < generation {
                pool.idle.borrow_mut().clear();
                pool.shared.borrow_mut().clear();
            }
            pool.expire(now, timeouts.pool_idle);
            // Somebody who dials holds the pool, and what is dialled comes into it.
            !pool.is_empty() || pool.is_unreachable() || Rc::strong_count(pool) > 1
        });
    }

    fn pool(&self, key: &PoolKey) -> Rc<Pool<B>> {
        if let Some(pool) = self.pools.borrow().get(key) {
            return Rc::clone(pool);
        }
        let pool = Pool::new(None);
        self.pools.borrow_mut().insert(key.clone(), Rc::clone(&pool));
        pool
    }
}

/// A connection that nobody else gets.
fn own<B>(pool: &Rc<Pool<B>>, dialled: Dialled<B>) -> Result<Lease<B>, UpstreamError> {
    match dialled {
        Dialled::Http1(idle) => Ok(Lease::http1(idle, pool, false)),
        Dialled::Http2(_) => Err(UpstreamError::NoHttp1),
    }
}
