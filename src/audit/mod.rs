//! The decision log: one record for every decision and every refused handshake.

mod record;
mod ring;
mod settings;
mod writer;

pub use record::{BootFacts, Claimed, Decision, DecisionId, Direction, Outcome, PolicyEvent, RefusedHandshake, Target};
pub use ring::{Recorder, Unavailable};
pub use settings::{OnFull, Settings, Sink};
pub use writer::{Journal, Writer, start};
