//! `[[upstream]]`.

use crate::tls::{ExpectedPeer, Offer};
use std::net::SocketAddr;
use std::time::Duration;

/// One upstream: the hosts that lead to it, its endpoints, and who must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Canonical hosts (lower case, no port, no trailing dot).
    pub hosts: Vec<String>,
    /// Its endpoints, at least one.
    pub addresses: Vec<Address>,
    /// Who must be there.
    pub expected: ExpectedPeer,
    /// Which protocols are offered.
    pub protocol: Offer,
    /// Further endpoints tried when no byte was written.
    pub retries: u32,
    /// Overrides `[timeouts] response_head`.
    pub response_head: Option<Duration>,
}

/// One endpoint as configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A literal address.
    Socket(SocketAddr),
    /// A name, lower case, whose addresses are followed as long as the configuration names it; and a port.
    Name(String, u16),
}

impl Settings {
    /// The names among its endpoints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().filter_map(|address| match address {
            Address::Socket(_) => None,
            Address::Name(name, _) => Some(name.as_str()),
        })
    }
}
