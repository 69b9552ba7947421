//! Fixtures: a sidecar in a process of its own, an app behind it, clients in front of it.
//!
//! A test begins with [`Setup::new`], changes what it is about, and starts an [`App`] and a [`Sidecar`]. Whatever it waits for, it waits for with
//! [`eventually`] or with a helper that does: nothing sleeps and hopes.
#![allow(dead_code, reason = "not every property uses every fixture")]

pub mod app;
#[cfg(feature = "aws")]
pub mod aws;
pub mod bundles;
pub mod bystander;
pub mod client;
pub mod conformance;
pub mod curl;
pub mod disk;
pub mod dns;
pub mod expiry;
#[cfg(feature = "aws")]
pub mod faults;
pub mod frames;
pub mod grpc;
pub mod lists;
pub mod metadata;
pub mod raw;
pub mod raw_http2;
pub mod raw_server;
pub mod recording;
pub mod remote;
pub mod service;
pub mod setup;
pub mod sidecar;
pub mod streaming;
pub mod strict;
pub mod tokens;
pub mod websocket;

pub use app::App;
pub use bystander::Bystander;
pub use client::{Peer, get};
pub use dns::Dns;
pub use raw::Raw;
pub use raw_server::RawServer;
pub use remote::Remote;
pub use setup::{ALICE, BOB, ORDERS, Setup, policy};
pub use sidecar::Sidecar;

use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take on a loaded machine before a test gives it up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see; panics with `what` when there is nothing for [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Awaits `future` for at most [`PATIENCE`]; panics with `what` when it takes longer.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for: {what}"))
}
