//! After each rotation: does our own listener show the certificate that was put in force, and take it from us as a client?

use super::alert::peer_alert;
use super::connect::{ConnectError, ExpectedPeer, Offer, connect};
use super::state::{TlsPublisher, TlsState};
use crate::credentials::Issued;
use crate::identity::pattern::PrincipalPattern;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// What readiness calls it. Only a note: what is wrong with new connections does not end those that work.
const CONDITION: &str = "self_probe";

/// From the start of a probe to the moment when it is said that no answer comes.
const PATIENCE: Duration = Duration::from_secs(5);

/// From a probe that failed to the next one.
const PAUSE: Duration = Duration::from_secs(5);

/// The probe under way, if there is one: what the listener refuses of it is no peer's. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OwnProbe(Arc<Mutex<Option<SocketAddr>>>);

impl OwnProbe {
    /// Whether the connection from `source` is the probe's.
    ///
    /// # Security
    /// It says so only while the probe holds its socket open: nobody else can have the same address and port then.
    pub fn is(&self, source: SocketAddr) -> bool {
        *self.lock() == Some(source)
    }

    fn lock(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a probe does not prove that the new certificate is in force; another one follows.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The listener shows another certificate than the one that was obtained last.
    #[error("our own listener shows the certificate with serial {shown}; {wanted} was obtained")]
    Differs {
        /// The serial that it shows.
        shown: String,
        /// The serial that it should show.
        wanted: String,
    },
    /// The listener does not take our certificate: nor will peers that believe the same roots.
    #[error("our own listener refuses our own certificate: {0}")]
    Refused(&'static str),
    /// What the listener shows does not stand up to our own verification, or the handshake broke.
    #[error("the handshake with our own listener failed: {0}")]
    Handshake(#[from] ConnectError),
    /// There is no connection to the listener, or it ended too early.
    #[error("no handshake with our own listener: {0}")]
    Io(#[from] std::io::Error),
    /// No state was published yet, though there is a certificate.
    #[error("no handshake with our own listener: nothing is in force yet")]
    NothingInForce,
}

impl ProbeError {
    /// The closed metric label: `differs`, `refused`, `failed`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Differs { .. } => "differs",
            Self::Refused(_) | Self::Handshake(ConnectError::Refused(_) | ConnectError::IdentityMismatch { .. }) => "refused",
            Self::Handshake(_) | Self::Io(_) | Self::NothingInForce => "failed",
        }
    }
}

/// The task that hand-shakes with our own inbound listener whenever our certificate was replaced. It tells; it never drops anything.
pub struct SelfProbe {
    listener: SocketAddr,
    issued: watch::Receiver<Option<Arc<Issued>>>,
    published: TlsPublisher,
    own: OwnProbe,
    readiness: Readiness,
    complaint: Option<String>,
}

impl SelfProbe {
    /// Probes the listener bound at `listener` for what arrives in `issued` and is published by `published`.
    pub fn new(
        listener: SocketAddr,
        issued: watch::Receiver<Option<Arc<Issued>>>,
        published: TlsPublisher,
        own: OwnProbe,
        readiness: Readiness,
    ) -> Self {
        Self { listener: reachable(listener), issued, published, own, readiness, complaint: None }
    }

    /// Probes after each rotation until `stop` says so: a listener that is closing answers nobody.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        loop {
            let Some(issued) = self.issued.borrow_and_update().clone() else {
                if self.issued.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let outcome = self.prove(&issued.leaf.serial).await;
            // Replaced meanwhile: the outcome says nothing about the newer one.
            if self.issued.has_changed().unwrap_or(false) {
                continue;
            }
            let proven = outcome.is_ok();
            self.tell(outcome.err());
            let next = self.issued.changed();
            let gone = if proven { next.await.is_err() } else { timeout(PAUSE, next).await.is_ok_and(|changed| changed.is_err()) };
            if gone {
                return;
            }
        }
    }

    /// One probe. An answer that does not come is told of and then waited for all the same: a connection that is given up would be found by the
    /// listener later, as somebody who went away.
    async fn prove(&mut self, wanted: &str) -> Result<(), ProbeError> {
        // The renewal's word comes before the published state: give it the time.
        let _ = timeout(PATIENCE, self.published.reaches(wanted)).await;
        let (listener, published, own) = (self.listener, self.published.clone(), self.own.clone());
        let mut shaking = pin!(handshake(listener, &published, &own));
        let shown = match timeout(PATIENCE, &mut shaking).await {
            Ok(shown) => shown,
            Err(_) => {
                self.complain("unanswered", format!("no handshake with our own listener within {} s", PATIENCE.as_secs()));
                shaking.await
            }
        }?;
        if shown == wanted { Ok(()) } else { Err(ProbeError::Differs { shown, wanted: wanted.to_owned() }) }
    }

    fn tell(&mut self, error: Option<ProbeError>) {
        match error {
            Some(error) => self.complain(error.label(), error.to_string()),
            None => {
                metrics::self_probed("ok");
                self.readiness.unnote(CONDITION);
                if self.complaint.take().is_some() {
                    tracing::info!("our own listener shows the certificate in force again");
                }
            }
        }
    }

    fn complain(&mut self, label: &'static str, problem: String) {
        metrics::self_probed(label);
        self.readiness.note(CONDITION, &problem);
        if self.complaint.as_ref() != Some(&problem) {
            tracing::error!(problem, "the certificate in force could not be proven at our own listener; trying again");
            self.complaint = Some(problem);
        }
    }
}

/// Shakes hands with our own listener as any peer would, asks for nothing, and gives the serial that it shows.
async fn handshake(listener: SocketAddr, published: &TlsPublisher, own: &OwnProbe) -> Result<String, ProbeError> {
    let state = published.current().ok_or(ProbeError::NothingInForce)?;
    let expected = PrincipalPattern::spiffe(state.id.as_str()).map(ExpectedPeer).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(listener).await?;
    let mut marked = Marked::new(own, &stream)?;
    let shown = shown(&state, &expected, stream).await;
    if shown.is_err() {
        marked.linger().await;
    }
    shown
}

async fn shown(state: &TlsState, expected: &ExpectedPeer, stream: TcpStream) -> Result<String, ProbeError> {
    // HTTP/1.1: a connection that ends before its first request is an ordinary one there.
    let mut connected = connect(state, expected, Offer::Http1, "", stream).await?;
    // In TLS 1.3 the server judges our certificate after our side is done: its alert, or its own end, is the answer.
    connected.stream.shutdown().await?;
    match connected.stream.read(&mut [0; 64]).await {
        Ok(0) => Ok(connected.peer.serial.clone()),
        Ok(_) => Err(std::io::Error::other("it answers what nobody asked").into()),
        Err(error) => Err(peer_alert(&error).map_or(ProbeError::Io(error), ProbeError::Refused)),
    }
}

/// Marks a socket's address as the probe's, until dropped; keeps the socket open as long.
struct Marked {
    own: OwnProbe,
    socket: TcpStream,
}

impl Marked {
    fn new(own: &OwnProbe, stream: &TcpStream) -> std::io::Result<Self> {
        let address = stream.local_addr()?;
        let socket = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        let marked = Self { own: own.clone(), socket: TcpStream::from_std(socket)? };
        *marked.own.lock() = Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
        Ok(marked)
    }

    /// Lets the listener be done with a connection that failed, so that it still knows whose it was.
    async fn linger(&mut self) {
        const AT_MOST: Duration = Duration::from_secs(1);
        // A handshake that ran out of time is closed a moment before it is told of.
        const AFTER_THE_END: Duration = Duration::from_millis(100);
        let _ = timeout(AT_MOST, tokio::io::copy(&mut self.socket, &mut tokio::io::sink())).await;
        sleep(AFTER_THE_END).await;
    }
}

impl Drop for Marked {
    /// Runs before the socket is closed.
    fn drop(&mut self) {
        *self.own.lock() = None;
    }
}

/// Where a listener is reached from here: one that is bound to every address, `[::]` too, over IPv4's loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = if listener.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listener.ip() };
    SocketAddr::new(ip, listener.port())
}
