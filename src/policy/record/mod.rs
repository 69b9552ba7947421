//! The decision log, read back by those who ask the rules again: one line, what it is about, and the request that it holds.

mod again;
mod line;
mod request;
mod sort;

pub(in crate::policy) use again::{Asked, each_ruling};
pub use line::{Line, RecordError, SCHEMA};
pub use sort::{Apart, Sort};
