//! Fixtures for tests and benches.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod clock;
pub mod fleet;
pub mod fuzz;
pub mod hooks;
pub mod pki;
