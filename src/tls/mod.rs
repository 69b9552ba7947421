//! Handshakes: published state, accept, connect.

mod accept;
mod connect;
mod settings;
mod state;

pub use accept::{Accepted, HandshakeError, accept};
pub use connect::{ConnectError, Connected, ExpectedPeer, Offer, connect};
pub use settings::{Cipher, Group, MinVersion, Settings};
pub use state::{TlsPublisher, TlsState};
