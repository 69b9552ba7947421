//! The health port, the read-only metrics port and the control socket.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[health]` and `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `/live` and `/ready`.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metrics: SocketAddr,
    /// The control socket, 0600.
    pub socket: PathBuf,
}
