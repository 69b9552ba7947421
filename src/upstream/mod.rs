//! Where to: routes, the choice of an endpoint, pools of connections, dialling.

pub mod balance;
mod dial;
mod error;
mod lease;
mod mortal;
mod pool;
mod route;
mod settings;
mod settle;
mod unread;

pub use dial::{Dialer, OwnListeners};
pub use error::{UpstreamError, is_refused, is_unprocessed};
pub use lease::{Lease, Protocol};
pub use pool::{AppAddress, AppPool, PeerPools, PoolKey};
pub use route::{Route, Routes};
pub use settings::{Address, Settings};
