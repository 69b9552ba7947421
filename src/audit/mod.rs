//! The decision log: one record for every decision and every refused handshake.
//!
//! A shard's [`Recorder`] pushes what happened, unformatted, into rings; one writer thread collects them, renders a line of JSON for each and gives
//! the lines to a sink. Denials have rings of their own and are folded into exact counts where those are full: a flood evicts nothing.
//! A sink that refuses keeps its lines waiting in the writer, so the rings fill and `on_full` acts; nothing that was rendered is dropped while the
//! process lives.
//!
//! [`read`] reads the lines back, and [`query`] asks them questions.

mod boot_key;
mod certify;
mod chain;
pub mod detect;
mod entry;
pub mod evidence;
mod file;
mod fold;
mod halt;
mod id;
mod json;
mod keep;
mod lines;
pub mod ocsf;
mod pairs;
mod press;
pub mod query;
pub mod read;
mod record;
mod render;
mod ring;
mod sampling;
mod settings;
mod sink;
mod spans;
mod stamp;
#[cfg(test)]
mod tests;
mod time;
mod trim;
mod users;
mod watch;
pub mod webhook;
mod writer;

pub use id::DecisionIdError;
pub use keep::{KeptTable, KeptTables};
pub use record::{
    BootFacts, Claimed, Decision, DecisionId, Direction, Outcome, Phase, PolicyEvent, RefusedHandshake, Target, Trouble, TrustEvent,
};
pub use ring::{Recorder, Unavailable};
pub use settings::{Format, OnFull, Settings, Signing, Sink, Users};
pub use writer::{Journal, Tap, Writer, start, start_tapped};
