//! Asking the decision log: a small language of filters, and what answers them.
//!
//! [`Filter::parse`] reads `decision=deny and src.id~"spiffe://*/ns/web/**"`, whose fields are the record's dotted names.

mod extract;
mod field;
mod filter;
mod lex;
mod mistake;
mod needles;
mod parse;
mod pattern;
mod scan;
mod tally;
#[cfg(test)]
mod tests;

pub use extract::{Extract, Got};
pub use field::Field;
pub use filter::Filter;
pub use mistake::{FilterError, Mistake};
pub use scan::{Hit, Scan};
pub use tally::{Count, Tally};

use std::time::SystemTime;

/// A time as in `2026-07-01T12:00:00Z`, or an age before `now` as in `15m`.
pub fn moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    parse::point(text, now.into()).map(SystemTime::from)
}

/// The name of the field that somebody may have meant by `name`.
pub fn near_field(name: &str) -> Option<&'static str> {
    field::meant(name)
}
