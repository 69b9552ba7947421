//! The inbound handshake.

use super::TlsState;
use super::alert::tls_error;
use super::channel::channel;
use super::verifier::refusal;
use crate::identity::{Channel, PeerIdentity};
use crate::trust::{RefusedPeer, identify};
use rustls::Error;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A finished inbound handshake: `Authenticated` of the design.
pub struct Accepted {
    /// The stream, encrypted.
    pub stream: tokio_rustls::server::TlsStream<TcpStream>,
    /// Who is there.
    pub peer: Arc<PeerIdentity>,
    /// What was negotiated.
    pub channel: Channel,
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
pub async fn accept(state: &TlsState, stream: TcpStream) -> Result<Accepted, HandshakeError> {
    let acceptor = TlsAcceptor::from(Arc::clone(&state.server));
    let stream = acceptor.accept(stream).await.map_err(refused)?;
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first).ok_or(HandshakeError::NoCertificate)?;
    // Verified a moment ago, inside the handshake; this only reads it.
    let peer = Arc::new(identify(leaf).map_err(HandshakeError::Refused)?);
    let channel = channel(connection, connection.server_name());
    Ok(Accepted { stream, peer, channel })
}

fn refused(error: std::io::Error) -> HandshakeError {
    match tls_error(&error) {
        Some(Error::NoCertificatesPresented) => HandshakeError::NoCertificate,
        Some(tls) => refusal(tls).map_or_else(|| HandshakeError::Tls(tls.clone()), HandshakeError::Refused),
        None => HandshakeError::Io(error),
    }
}
