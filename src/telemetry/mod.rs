//! Metrics, spans, and the process log.

pub mod emf;
pub mod log;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;

use std::net::SocketAddr;

/// `[trace]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracing {
    /// Where the collector listens that gets the spans, by OTLP over HTTP, on this machine; `None`: no spans are made.
    pub otlp: Option<SocketAddr>,
}
