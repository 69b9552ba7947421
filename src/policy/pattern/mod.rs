//! Patterns over paths and hosts: by segment and by label, never by string prefix.

mod host;
mod path;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use host::HostPattern;
pub(super) use path::{PathPattern, segments};
pub(super) use shape::{Affix, Shape, Step};
