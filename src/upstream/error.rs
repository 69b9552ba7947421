//! Why no connection could be had.

use crate::tls::ConnectError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why no connection to an endpoint could be had. No application byte was written, so another endpoint may be tried.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// No name of the upstream has an address now; the process log says why. Trying again helps once one has.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The connect call failed. Trying again helps once something listens there.
    #[error("cannot connect: {0}")]
    Connect(Arc<io::Error>),
    /// Nobody answered in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The endpoint is one of our own plain listeners.
    #[error("the endpoint is this sidecar itself")]
    Loop,
    /// The handshake did not finish in time.
    #[error("no handshake within {0:?}")]
    HandshakeTimeout(Duration),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(Arc<ConnectError>),
    /// `protocol = "h2"`, and the peer does not speak it. Trying again does not help.
    #[error("the peer does not speak HTTP/2, as `protocol` of the upstream says it must")]
    NoHttp2,
    /// The other side ended the connection, or let the time pass, before its SETTINGS (RFC 9113, section 3.4).
    #[error("no HTTP/2 SETTINGS came")]
    NoSettings,
    /// The other side takes no streams now. Trying again helps once it does.
    #[error("it takes no HTTP/2 streams")]
    NoStreams,
    /// The peer refused our certificate after its handshake, with this TLS alert.
    #[error("the peer refused our certificate: {0}")]
    RefusedUs(&'static str),
    /// A WebSocket or another upgrade, which needs HTTP/1.1, and `protocol = "h2"`. Trying again does not help.
    #[error("an upgrade needs HTTP/1.1, and `protocol` of the upstream says HTTP/2")]
    NoHttp1,
    /// We have no certificate yet. Trying again helps once there is one.
    #[error("there is no certificate yet")]
    NoCertificate,
    /// HTTP could not be begun on the new connection.
    #[error("HTTP: {0}")]
    Http(Arc<hyper::Error>),
}

/// Whether the other side promises that it did nothing with a request: its stream was refused, or is above the last one that a GOAWAY names
/// (RFC 9113, section 8.7).
pub fn is_unprocessed(error: &hyper::Error) -> bool {
    // Of the streams that a GOAWAY leaves alone none fails with it: those end with the connection.
    is_refused(error) || h2_error(error).is_some_and(|error| error.is_go_away() && error.is_remote())
}

/// Whether the other side refused a stream (REFUSED_STREAM).
pub fn is_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

impl UpstreamError {
    /// The stable reason towards peers.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress(_) => "peer_no_address",
            Self::Connect(_) | Self::Http(_) | Self::NoSettings | Self::NoStreams => "peer_unreachable",
            Self::ConnectTimeout(_) => "peer_connect_timeout",
            Self::Loop => "loop",
            Self::HandshakeTimeout(_) => "peer_handshake_timeout",
            Self::Handshake(error) => error.reason(),
            Self::NoHttp2 => "peer_no_http2",
            Self::RefusedUs(_) => "peer_refused_us",
            Self::NoHttp1 => "peer_no_http1",
            Self::NoCertificate => "no_certificate",
        }
    }
}
