//! Metrics and the process log.

pub mod log;
pub mod metrics;
