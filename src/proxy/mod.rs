//! The request's way. Read top to bottom: [`shard`] takes a connection, [`inbound`] or [`outbound`] leads it, [`serve`] speaks HTTP with it,
//! [`forward`] passes its requests on, [`body`] lets bytes through and [`exchange`] records the end. [`upgrade`] turns a request into a [`tunnel`].

mod activity;
mod admission;
mod app_check;
mod body;
mod buffers;
mod connections;
mod downstream;
mod error;
mod exchange;
mod forward;
// Public for the fuzzer alone, as is `client_cert` below.
#[cfg(feature = "testing")]
pub mod frames;
#[cfg(not(feature = "testing"))]
mod frames;
mod framing;
mod grpc;
mod headers;
mod http2;
mod inbound;
mod io;
mod outbound;
mod respond;
mod serve;
mod settings;
mod shard;
mod streams;
mod tunnel;
mod upgrade;

pub use admission::Admission;
pub use app_check::{AppCheck, AppCheckWatch};
pub use buffers::Buffers;
#[cfg(feature = "testing")]
pub use headers::client_cert;
pub use outbound::{Destinations, destinations};
pub use settings::{App, IdentityHeader, Inbound, Outbound, OutboundProtocol};
pub use shard::{Listener, Plan, Shard};
