//! `[policy]`.

use std::path::PathBuf;

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
