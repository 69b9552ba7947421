//! Where to: routes, the choice of an endpoint, pools of connections, dialling.

pub mod balance;
mod dial;
mod error;
mod lease;
mod mortal;
mod names;
mod pool;
mod route;
mod settings;
mod settle;
mod switch;
mod unread;

pub use dial::{Dialer, OwnListeners};
pub use error::{UpstreamError, is_refused, is_unprocessed};
pub use lease::{Lease, Protocol};
pub use mortal::PeerConnections;
pub use names::{Answer, Name, Names, Report, Resolver, Snapshot, System, Unresolved};
pub use pool::{AppAddress, AppPool, PeerPools, PoolKey};
pub use route::{Endpoint, Route, Routes};
pub use settings::{Address, Settings};
pub use switch::{Stream, Switched};
