//! `[policy]`.

use crate::request::reserved::Reserved;
use crate::runtime::signer::PublicKey;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a table is read against: rules about a port that nobody listens on, or a header that nobody sees, would only look like rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The local ports of the inbound listeners.
    pub ports: Vec<u16>,
    /// The header names that are stripped there.
    pub reserved: Reserved,
    /// Whether rules about anything but HTTP requests are refused: what decides by them has no data path yet.
    pub http_only: bool,
}

/// Where the tables come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The service's own table.
    pub source: Source,
    /// A table that caps it.
    pub boundary: Option<Source>,
    /// A table that is decided beside it, counted and not enforced.
    pub candidate: Option<Source>,
    /// Who must have signed all of them; `None`: they are plain tables.
    pub signed: Option<Signed>,
}

impl Settings {
    /// The files among the sources.
    pub fn files(&self) -> Vec<PathBuf> {
        let sources = [Some(&self.source), self.boundary.as_ref(), self.candidate.as_ref()].into_iter().flatten();
        sources.filter_map(Source::path).map(Path::to_path_buf).collect()
    }
}

/// Which bundles are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key that must have signed them.
    pub public_key: PublicKey,
    /// Those of the own table and of the candidate.
    pub own: Accepted,
    /// Those of the boundary.
    pub boundary: Accepted,
}

/// Which bundles of one part are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The name in their manifest; `None`: that of the first that was accepted.
    pub name: Option<String>,
    /// The least sequence.
    pub min_sequence: u64,
}

/// A source of a policy table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, watched.
    File(PathBuf),
    /// An environment variable with the text, plain or base64.
    Env(String),
}

impl Source {
    /// The path, where it is a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Env(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}
