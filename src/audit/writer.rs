//! The writer thread: rings → JSON → sink.

use super::{BootFacts, PolicyEvent, Recorder, Settings};

/// The control plane's end of the decision log. Cheap to clone.
#[derive(Clone)]
pub struct Journal {}

impl Journal {
    /// Notes a published table.
    pub fn policy(&self, _event: PolicyEvent) {
        todo!()
    }

    /// Changes the share of plain allows that are recorded.
    pub fn set_sample(&self, _sample: f64) {
        todo!()
    }
}

/// The writer thread's handle.
pub struct Writer {}

impl Writer {
    /// Writes out everything that is in the rings and ends the thread. Call when no shard records any more. Blocks.
    pub fn finish(self) {
        todo!()
    }
}

/// Starts the writer thread; one recorder a shard.
///
/// # Errors
/// The directory of a `file` sink cannot be made or written.
pub fn start(_settings: &Settings, _boot: BootFacts, _shards: usize) -> std::io::Result<(Vec<Recorder>, Journal, Writer)> {
    todo!()
}
