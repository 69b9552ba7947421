//! The facts about a connection that its requests are decided on and recorded with.

use crate::identity::{Channel, PeerIdentity};
use std::net::SocketAddr;
use std::sync::Arc;

/// One connection's other end. Made once per connection; shared by its requests and their records.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is; `None` on the outbound listener, where the local app speaks without a certificate.
    pub identity: Option<Arc<PeerIdentity>>,
    /// The TCP peer.
    pub source: SocketAddr,
    /// The local port of the listener.
    pub local_port: u16,
    /// The TLS channel; `None` where the listener is plain.
    pub channel: Option<Channel>,
}
