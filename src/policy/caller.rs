//! The facts about a connection that its requests are decided on and recorded with.

use super::ClassCache;
use crate::identity::{Channel, PeerIdentity};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

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
    /// The rules that it can meet, kept by `decide`; changing the fields above afterwards is not seen by it.
    pub classes: ClassCache,
    /// What its records say of it, kept by the decision log's writer; changing the fields above afterwards is not seen there either.
    pub rendered: OnceLock<Rendered>,
    /// Set by [`Caller::notice`].
    pub noticed: OnceLock<()>,
}

/// A part of a record, as text.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Fields of a JSON object, each with a comma before it.
    pub json: Box<[u8]>,
    /// Whether a value among them was cut.
    pub cut: bool,
}

impl Caller {
    /// The other end of one connection.
    pub fn new(identity: Option<Arc<PeerIdentity>>, source: SocketAddr, local_port: u16, channel: Option<Channel>) -> Self {
        Self { identity, source, local_port, channel, classes: ClassCache::default(), rendered: OnceLock::new(), noticed: OnceLock::new() }
    }

    /// True for the first who asks: whoever looks at all records looks at what they share once.
    pub fn notice(&self) -> bool {
        self.noticed.get().is_none() && self.noticed.set(()).is_ok()
    }
}
