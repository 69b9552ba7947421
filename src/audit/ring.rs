//! From a shard to the writer: one ring for allows, one reserved for denials.

use super::{Decision, DecisionId, RefusedHandshake};

/// One shard's end of the decision log. Lives on the shard's thread (`Rc`), takes no lock and never blocks the thread.
pub struct Recorder {}

/// The log takes no more records and `on_full = "block"`: 503 `audit_unavailable`. Trying again helps once the writer catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision log takes no more records")]
pub struct Unavailable;

impl Recorder {
    /// A new decision id.
    pub fn id(&self) -> DecisionId {
        todo!()
    }

    /// Waits for room for one allow under `on_full = "block"`, at most 50 ms; returns at once otherwise.
    ///
    /// # Errors
    /// [`Unavailable`] when there was none in time.
    pub async fn reserve(&self) -> Result<(), Unavailable> {
        todo!()
    }

    /// Records an allow; sampling and a full ring are counted, never silent.
    pub fn allow(&self, _decision: Decision) {
        todo!()
    }

    /// Records a denial; when this returns it is in the ring or inside an aggregate's count.
    pub fn deny(&self, _decision: Decision) {
        todo!()
    }

    /// Records a refused handshake, with the same promise as a denial.
    pub fn handshake(&self, _refused: RefusedHandshake) {
        todo!()
    }
}
