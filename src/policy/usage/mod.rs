//! How often each rule, and each member of its lists, decided: counted exactly, whatever of it is logged.
//!
//! A shard counts in its own [`Tally`]: the thread of a request adds one to a cell, and compares nothing but numbers. The shard's sweep hands its cells to
//! what all shards [`Gathered`]; the control runtime takes that from time to time, finds out which member of which list it was, and enters it in the
//! [`Book`], whose [`State`] is kept in a file. [`Fleet`] unites the files of many replicas, and [`unused`] asks them about a table.
//!
//! Each table counts the rule that decided in it: the own table, the boundary and the candidate each for themselves. Of several members of a list that
//! match, the first one as written counts, as it is the first pattern that a record names: what has no hit of an allow can go, all of it at once, without
//! changing the outcome of any request that was seen. A rule in shadow counts where it is what a record names as `would_rule`.

mod book;
mod fleet;
mod gathered;
mod members;
mod state;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod unused;

pub use book::Book;
pub use fleet::{Fleet, Replica};
pub use gathered::Gathered;
pub use members::Dimension;
pub use state::State;
pub use store::{UsageError, document, file, read, read_from, resume, save};
pub use tally::Tally;
pub use unused::{Known, List, Member, Report, Unused, unused};

pub(super) use tally::Asked;

use std::time::{Duration, SystemTime};

/// Whole seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The moment of so many seconds since 1970; of more than fit, the last one that can be written (the year 9999).
pub fn moment(seconds: u64) -> SystemTime {
    const LAST: u64 = 253_402_300_799;
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST))
}
