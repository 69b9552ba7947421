//! The inbound handshake.

use super::TlsState;
use crate::identity::{Channel, PeerIdentity};
use crate::trust::RefusedPeer;
use std::sync::Arc;
use tokio::net::TcpStream;

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
    pub fn reason(&self) -> std::borrow::Cow<'static, str> {
        todo!()
    }

    /// The closed metric label: `refused`, `no_certificate`, `io`, `tls`.
    pub fn label(&self) -> &'static str {
        todo!()
    }
}

/// Shakes hands as the server. The caller holds the time-out.
///
/// # Errors
/// See [`HandshakeError`].
pub async fn accept(_state: &TlsState, _stream: TcpStream) -> Result<Accepted, HandshakeError> {
    todo!()
}
