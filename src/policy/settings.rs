//! `[policy]`.

use crate::request::reserved::Reserved;
use std::path::PathBuf;

/// What a table is read against: rules about a port that nobody listens on, or a header that nobody sees, would only look like rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The local ports of the inbound listeners.
    pub ports: Vec<u16>,
    /// The header names that are stripped there.
    pub reserved: Reserved,
}

/// Where the table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The table's source.
    pub source: Source,
}

/// A source of a policy table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, watched.
    File(PathBuf),
    /// An environment variable with the TOML, plain or base64.
    Env(String),
}
