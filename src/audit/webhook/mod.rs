//! Findings, told to a server of the operator's: signed, in order, until it has taken them.
//!
//! The writer hands each finding's line over without waiting. On the control runtime one task keeps it on the disk as an OCSF Detection Finding, and another
//! one sends what is there, oldest first and one at a time. A server that is not there costs the spool's space and nothing else.

mod deliver;
mod sign;
mod spool;
#[cfg(test)]
mod tests;

pub use deliver::Delivery;
pub use sign::{Secret, SecretError};
pub use spool::Spool;

use crate::fetch::Url;
use bytes::Bytes;
use std::path::PathBuf;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Lines that wait for the disk.
const WAITING: usize = 256;

/// `[webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where findings are sent: https, or http to a loopback address.
    pub url: Url,
    /// Holds the secret that they are signed with; read again for each one.
    pub secret_file: PathBuf,
    /// Where they wait.
    pub spool_dir: PathBuf,
}

/// The writer's end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox(Sender<Bytes>);

impl Outbox {
    /// An outbox and where its lines come out.
    pub fn new() -> (Self, Receiver<Bytes>) {
        let (sender, receiver) = channel(WAITING);
        (Self(sender), receiver)
    }

    /// Hands a finding's line over; says whether there was room. Never waits.
    pub(super) fn put(&self, line: &[u8]) -> bool {
        self.0.try_send(Bytes::copy_from_slice(line)).is_ok()
    }
}
