//! The outbound handshake: the peer's identity is verified inside it.

use super::TlsState;
use super::alert::tls_error;
use super::channel::channel;
use super::verifier::{IDENTITY_MISMATCH, ServerVerifier, refusal};
use crate::identity::pattern::PrincipalPattern;
use crate::identity::{Channel, PeerIdentity};
use crate::trust::{DENIED_ID, DENIED_SERIAL, REVOCATION_UNKNOWN, REVOKED, RefusedPeer};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription as Alert, Error};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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

impl Connected {
    /// The chain that the peer showed, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.stream.get_ref().1.peer_certificates().unwrap_or_default()
    }
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
    /// The peer and we have no version, group or cipher in common, such as a group where one that is post-quantum is required.
    #[error("the peer and we have nothing in common: {0}")]
    NothingInCommon(rustls::Error),
    /// The socket failed.
    #[error("the connection ended during the handshake: {0}")]
    Io(std::io::Error),
    /// Anything else.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
}

impl ConnectError {
    /// The stable reason: `peer_identity_mismatch`, `peer_denied`, `peer_revoked`, `peer_revocation_unknown`, `peer_certificate_refused`,
    /// `peer_refused_us`, `peer_nothing_in_common`, `peer_unreachable`, `peer_tls`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::IdentityMismatch { .. } => "peer_identity_mismatch",
            Self::Refused(refused) => match refused.code {
                DENIED_ID | DENIED_SERIAL => "peer_denied",
                REVOKED => "peer_revoked",
                REVOCATION_UNKNOWN => "peer_revocation_unknown",
                _ => "peer_certificate_refused",
            },
            Self::PeerRefusedUs(_) => "peer_refused_us",
            Self::NothingInCommon(_) => "peer_nothing_in_common",
            Self::Io(_) => "peer_unreachable",
            Self::Tls(_) => "peer_tls",
        }
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

impl Offer {
    fn alpn(self) -> Vec<Vec<u8>> {
        let (h2, http1) = (b"h2".to_vec(), b"http/1.1".to_vec());
        match self {
            Self::Auto => vec![h2, http1],
            Self::Http1 => vec![http1],
            Self::Http2 => vec![h2],
        }
    }
}

/// Shakes hands as the client and verifies the peer. `server_name` is the SNI: the route's host, where it is a DNS name; an address is not sent. The caller holds the time-out.
///
/// # Errors
/// See [`ConnectError`].
///
/// # Cancel safety
/// Dropped halfway, the connection is closed.
pub async fn connect(
    state: &TlsState,
    expected: &ExpectedPeer,
    offer: Offer,
    server_name: &str,
    stream: TcpStream,
) -> Result<Connected, ConnectError> {
    let mut config = state.client.clone();
    let algorithms = config.crypto_provider().signature_verification_algorithms;
    let verifier = Arc::new(ServerVerifier::expecting(Arc::clone(&state.bundles), algorithms, expected.clone()));
    config.dangerous().set_certificate_verifier(Arc::<ServerVerifier>::clone(&verifier));
    config.alpn_protocols = offer.alpn();
    let name = sni(server_name);
    let sent = matches!(name, ServerName::DnsName(_)).then_some(server_name);
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = result.map_err(|error| failed(error, expected))?;
    let (_, connection) = stream.get_ref();
    // A handshake cannot finish without the verifier's word; if it ever did, nobody is there.
    let peer = verifier.verified().ok_or(ConnectError::Tls(Error::NoCertificatesPresented))?;
    let channel = channel(connection, sent);
    Ok(Connected { stream, peer, channel })
}

/// The name to send; what is no DNS name stands as an address, which rustls does not send.
fn sni(host: &str) -> ServerName<'static> {
    let name = ServerName::try_from(host.to_owned()).ok().filter(|name| matches!(name, ServerName::DnsName(_)));
    name.unwrap_or_else(|| ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

fn failed(error: std::io::Error, expected: &ExpectedPeer) -> ConnectError {
    let Some(tls) = tls_error(&error) else { return ConnectError::Io(error) };
    match (refusal(tls), tls) {
        (Some(refused), _) if refused.code == IDENTITY_MISMATCH => {
            ConnectError::IdentityMismatch { expected: expected.0.as_str().to_owned(), refused }
        }
        (Some(refused), _) => ConnectError::Refused(refused),
        // RFC 8446, section 6.2: no acceptable set of security parameters; no version.
        (
            None,
            Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::ProtocolVersion)
            | Error::PeerIncompatible(_),
        ) => ConnectError::NothingInCommon(tls.clone()),
        (None, Error::AlertReceived(alert)) => ConnectError::PeerRefusedUs(*alert),
        (None, other) => ConnectError::Tls(other.clone()),
    }
}
