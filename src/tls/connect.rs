//! The outbound handshake: the peer's identity is verified inside it.

use super::TlsState;
use crate::identity::pattern::PrincipalPattern;
use crate::identity::{Channel, PeerIdentity};
use crate::trust::RefusedPeer;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Who the peer must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExpectedPeer(pub PrincipalPattern);

/// A finished outbound handshake.
pub struct Connected {
    /// The stream, encrypted.
    pub stream: tokio_rustls::client::TlsStream<TcpStream>,
    /// Who is there.
    pub peer: Arc<PeerIdentity>,
    /// What was negotiated.
    pub channel: Channel,
}

/// Why an outbound handshake failed; no application byte was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The chain is fine and the identity is not the expected one.
    #[error("the peer is {}, not the expected {expected}", .refused.claimed_id())]
    IdentityMismatch {
        /// The pattern of the route.
        expected: String,
        /// Who it was.
        refused: Arc<RefusedPeer>,
    },
    /// The verifier refused the peer's certificate.
    #[error("the peer's certificate was refused: {0}")]
    Refused(Arc<RefusedPeer>),
    /// The peer refused ours (an alert during the handshake).
    #[error("the peer refused the handshake: {0:?}")]
    PeerRefusedUs(rustls::AlertDescription),
    /// The socket failed.
    #[error("the connection ended during the handshake: {0}")]
    Io(std::io::Error),
    /// Anything else.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
}

impl ConnectError {
    /// The stable reason: `peer_identity_mismatch`, `peer_certificate_refused`, `peer_refused_us`, `peer_unreachable`, `peer_tls`.
    pub fn reason(&self) -> &'static str {
        todo!()
    }
}

/// Which protocols to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Offer {
    /// `h2`, `http/1.1`: by ALPN.
    #[default]
    Auto,
    /// Only `http/1.1`.
    Http1,
    /// Only `h2`.
    Http2,
}

/// Shakes hands as the client and verifies the peer. `server_name` is the SNI: the route's host, where it is a DNS name. The caller holds the time-out.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    _state: &TlsState,
    _expected: &ExpectedPeer,
    _offer: Offer,
    _server_name: &str,
    _stream: TcpStream,
) -> Result<Connected, ConnectError> {
    todo!()
}
