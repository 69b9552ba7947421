//! Metrics and the process log.

pub mod emf;
pub mod log;
pub mod metrics;
