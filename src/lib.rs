//! Countersign.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod admin;
pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod document;
pub mod identity;
pub mod policy;
pub mod proxy;
pub mod request;
pub mod runtime;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod trust;
pub mod upstream;
