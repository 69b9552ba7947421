//! `[policy]`.

use super::bundle::Remote;
use crate::fetch::Url;
use crate::request::reserved::Reserved;
#[cfg(feature = "aws")]
use crate::runtime::s3_object::S3Object;
use crate::runtime::signer::PublicKey;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// From one question to a source elsewhere to the next.
    pub refresh: Duration,
}

impl Settings {
    /// The files among the sources.
    pub fn files(&self) -> Vec<PathBuf> {
        self.sources().filter_map(Source::path).map(Path::to_path_buf).collect()
    }

    /// The sources that are elsewhere.
    pub fn remotes(&self) -> Vec<Remote> {
        let remote = |source: &Source| match source {
            Source::Remote(remote) => Some(remote.clone()),
            Source::File(_) | Source::Env(_) => None,
        };
        self.sources().filter_map(remote).collect()
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        [Some(&self.source), self.boundary.as_ref(), self.candidate.as_ref()].into_iter().flatten()
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
    /// Elsewhere; gives signed bundles alone.
    Remote(Remote),
}

impl Source {
    /// Reads a path, `env:NAME` or a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            _ if text.is_empty() => Err("is empty"),
            Some(("env", name)) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("env", _)) => Err("names no environment variable"),
            Some(("https", _)) => Url::parse(text).map(|url| Self::Remote(Remote::Https(url))),
            Some(("http", _)) => {
                Err("is http: who asks there tells everybody on the way which table it has, and can be kept from the next one unseen")
            }
            #[cfg(feature = "aws")]
            Some(("s3", _)) => S3Object::parse(text).map(|object| Self::Remote(Remote::S3(object))),
            #[cfg(not(feature = "aws"))]
            Some(("s3", _)) => Err("is in S3, which is left out of this build, one without the feature `aws`"),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }

    /// The path, where it is a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Env(_) | Self::Remote(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}
