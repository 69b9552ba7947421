//! Why an allowed request failed, and the one place that turns it into a status.

use crate::upstream::UpstreamError;
use http::StatusCode;

/// Why an allowed request failed. Nothing is tried again behind the client's back.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The app could not be reached; no byte was sent.
    #[error("the app cannot be reached: {0}")]
    App(UpstreamError),
    /// The peer could not be reached or is not who it must be; no byte of the request was sent.
    #[error("the peer cannot be reached: {0}")]
    Peer(UpstreamError),
    /// The peer refused our certificate after its handshake (TLS 1.3 lets a client write before it knows).
    #[error("the peer refused our certificate: {0}")]
    PeerRefusedUs(&'static str),
    /// The other side ended the connection, or answered something that is not HTTP.
    #[error("no usable response: {source}")]
    Response {
        /// What the log calls it.
        reason: &'static str,
        /// What HTTP says.
        source: hyper::Error,
    },
    /// The exchange was ended: a time-out, a limit, a new policy.
    #[error("ended: {0}")]
    Ended(&'static str),
    /// The app speaks HTTP/2, and the HTTP/1.0 request names no host, which HTTP/2 cannot leave out.
    #[error("no host to send to an HTTP/2 app")]
    NoAuthority,
    /// The answer was a 101 that nobody asked for, or to something that nobody asked for.
    #[error("a response with a status that nobody asked for")]
    UnaskedStatus,
    /// A WebSocket that HTTP/2 asked for: the other side answered 2xx without switching protocols, or without proof that it read the key.
    #[error("the other side did not switch protocols as it must")]
    NotSwitched,
}

impl Failure {
    /// The stable label of metrics, records and `x-countersign-reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::App(UpstreamError::Loop) | Self::Peer(UpstreamError::Loop) => "loop",
            Self::App(UpstreamError::NoHttp1) => "app_no_http1",
            Self::App(_) => "app_unreachable",
            Self::Peer(error) => error.reason(),
            Self::PeerRefusedUs(_) => "peer_refused_us",
            Self::Response { reason, .. } => reason,
            Self::Ended(reason) => reason,
            Self::NoAuthority => "host_missing",
            Self::UnaskedStatus => "unasked_status",
            Self::NotSwitched => "not_switched",
        }
    }

    /// What the client is told.
    pub fn status(&self) -> StatusCode {
        match self.reason() {
            "loop" => StatusCode::LOOP_DETECTED,
            "response_head_timeout" | "deadline_exceeded" | "stream_idle" | "upload_stalled" => StatusCode::GATEWAY_TIMEOUT,
            "body_idle" => StatusCode::REQUEST_TIMEOUT,
            "max_body" => StatusCode::PAYLOAD_TOO_LARGE,
            "policy_changed" | "quarantined" => StatusCode::FORBIDDEN,
            "client_closed" | "host_missing" => StatusCode::BAD_REQUEST,
            "no_certificate" | "peer_no_address" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}
