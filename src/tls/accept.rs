//! The inbound handshake.

use super::TlsState;
use super::alert::tls_error;
use super::channel::channel;
use super::verifier::refusal;
use crate::identity::{Channel, PeerIdentity};
use crate::trust::{RefusedPeer, identify};
use rustls::Error;
use rustls::pki_types::CertificateDer;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A finished inbound handshake: `Authenticated` of the design.
pub struct Accepted {
    /// The stream, encrypted.
    pub stream: TlsStream<TcpStream>,
    /// Who is there.
    pub peer: Arc<PeerIdentity>,
    /// What was negotiated.
    pub channel: Channel,
}

impl Accepted {
    /// The chain that the client showed, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.stream.get_ref().1.peer_certificates().unwrap_or_default()
    }
}

/// Why an inbound handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The verifier refused the client's certificate; says whom.
    #[error("the client's certificate was refused: {0}")]
    Refused(Arc<RefusedPeer>),
    /// The client sent no certificate.
    #[error("the client sent no certificate")]
    NoCertificate,
    /// The client ended the connection or the socket failed.
    #[error("the connection ended during the handshake: {0}")]
    Io(std::io::Error),
    /// Anything else that TLS refuses; the client's fault, or nothing in common.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
}

impl HandshakeError {
    /// The stable label: `unauthenticated:<code>` for a refused or missing certificate, `handshake:<code>` for the rest.
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Refused(refused) => format!("unauthenticated:{}", refused.code).into(),
            Self::NoCertificate => "unauthenticated:no_certificate".into(),
            Self::Io(error) if error.kind() == ErrorKind::UnexpectedEof => "handshake:closed".into(),
            Self::Io(_) => "handshake:io".into(),
            Self::Tls(Error::AlertReceived(_)) => "handshake:alert".into(),
            Self::Tls(Error::PeerIncompatible(_)) => "handshake:nothing_in_common".into(),
            Self::Tls(Error::NoApplicationProtocol) => "handshake:no_application_protocol".into(),
            Self::Tls(Error::InvalidCertificate(_)) => "handshake:bad_signature".into(),
            Self::Tls(_) => "handshake:protocol".into(),
        }
    }

    /// The closed metric label: `refused`, `no_certificate`, `io`, `tls`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NoCertificate => "no_certificate",
            Self::Io(_) => "io",
            Self::Tls(_) => "tls",
        }
    }
}

/// Shakes hands as the server. The caller holds the time-out.
///
/// # Errors
/// See [`HandshakeError`].
///
/// # Cancel safety
/// Dropped halfway, the connection is closed.
pub async fn accept(state: &TlsState, stream: TcpStream) -> Result<Accepted, Refused> {
    let acceptor = TlsAcceptor::from(Arc::clone(&state.server));
    let stream = acceptor.accept(stream).into_fallible().await.map_err(|(error, stream)| Refused { error: refused(error), stream })?;
    match who(&stream) {
        Ok((peer, channel)) => Ok(Accepted { stream, peer, channel }),
        Err(error) => Err(Refused { error, stream: stream.into_inner().0 }),
    }
}

/// A handshake that failed, and the connection it failed on.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: HandshakeError,
    stream: TcpStream,
}

impl Refused {
    /// Ends the connection so that the client reads the alert that says why: a socket that is closed with unread bytes is reset, and the
    /// alert is lost with it. Takes at most half a second and 64 KiB.
    pub async fn part(self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        const MOST: u64 = 64 << 10;
        let Self { mut stream, .. } = self;
        let parting = async {
            if stream.shutdown().await.is_ok() {
                let _ = tokio::io::copy(&mut stream.take(MOST), &mut tokio::io::sink()).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, parting).await;
    }
}

fn who(stream: &TlsStream<TcpStream>) -> Result<(Arc<PeerIdentity>, Channel), HandshakeError> {
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first).ok_or(HandshakeError::NoCertificate)?;
    // Verified a moment ago, inside the handshake; this only reads it.
    let peer = Arc::new(identify(leaf).map_err(HandshakeError::Refused)?);
    Ok((peer, channel(connection, connection.server_name())))
}

fn refused(error: std::io::Error) -> HandshakeError {
    match tls_error(&error) {
        Some(Error::NoCertificatesPresented) => HandshakeError::NoCertificate,
        Some(tls) => refusal(tls).map_or_else(|| HandshakeError::Tls(tls.clone()), HandshakeError::Refused),
        None => HandshakeError::Io(error),
    }
}
