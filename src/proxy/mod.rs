//! The request's way.

mod settings;

pub use settings::{App, IdentityHeader, Inbound, Outbound, OutboundProtocol};
