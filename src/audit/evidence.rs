//! What evidence is made of, for whoever verifies it.

pub use super::boot_key::{Certificate, Holder};
pub use super::chain::Link;
pub use super::stamp::{NoRecord, Stamp};
