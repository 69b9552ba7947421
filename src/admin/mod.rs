//! The health port, the read-only metrics port and the control socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            health: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9900)),
            metrics: SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)),
            socket: PathBuf::from("/run/countersign/control.sock"),
        }
    }
}
