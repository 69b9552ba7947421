//! What the benches share: a load generator, an app that answers at once, a sidecar as a child process, and a client's certificates.
//!
//! Everything runs on one single-threaded runtime.
#![allow(dead_code, unused_imports, reason = "each bench uses its part")]

pub mod app;
pub mod client;
pub mod drive;
pub mod histogram;
pub mod sidecar;
pub mod tally;
pub mod target;
pub mod wallet;

pub use drive::{Check, Load, Pace, Slots, Until};
pub use sidecar::Sidecar;
pub use tally::Tally;
pub use target::{Protocol, Target};
pub use wallet::{Offer, Wallet};

/// Runs `future` on a single-threaded runtime that also takes tasks that are not `Send`.
///
/// # Errors
/// The runtime cannot be made, or what `future` says.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Runs a bench that holds or does not; nothing where this is no benchmark run.
pub fn verdict(name: &str, bench: impl Future<Output = anyhow::Result<bool>>) -> std::process::ExitCode {
    use std::process::ExitCode;
    if !is_asked_for() {
        return ExitCode::SUCCESS;
    }
    match block_on(bench) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether this is a benchmark run; `cargo test --all-targets` starts benches as well, and must not wait for them.
pub fn is_asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// A number from the environment, or `default` where the variable is not set.
///
/// # Errors
/// The variable is set and no number.
pub fn number(name: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| anyhow::anyhow!("{name}={text:?}: write a whole number")),
        Err(_) => Ok(default),
    }
}
