//! Handshakes: published state, accept, connect.

mod accept;
mod alert;
mod channel;
mod connect;
mod module;
mod probe;
mod provider;
mod publishing;
mod settings;
mod state;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod verifier;

pub use accept::{Accepted, HandshakeError, Refused, accept};
pub use alert::{alert_name, peer_alert};
pub use connect::{ConnectError, Connected, ExpectedPeer, Offer, connect};
pub use module::{Module, approve};
pub use probe::{OwnProbe, ProbeError, SelfProbe};
pub use publishing::Publishing;
pub use settings::{Cipher, Group, MinVersion, Settings};
pub use state::{BuildError, TlsPublisher, TlsState};
