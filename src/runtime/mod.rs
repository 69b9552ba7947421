//! What everything runs on: shards, the control runtime, drain, readiness, signals, limits, surroundings, the clock.

pub mod arn;
pub mod clock;
pub mod drain;
pub mod exposure;
pub mod files;
pub mod key_arn;
pub mod limits;
pub mod listener;
pub mod look;
pub mod process;
pub mod readiness;
#[cfg(feature = "aws")]
pub mod s3_object;
pub mod sealer;
pub mod shards;
pub mod signer;
pub mod surroundings;
pub mod tasks;
pub mod watch;

/// `[runtime]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Data-plane threads, at least 1.
    pub shards: usize,
}

/// One shard for each core that this process may use.
impl Default for Settings {
    fn default() -> Self {
        Self { shards: surroundings::cores() }
    }
}
