//! `[audit]` and `[workload] labels`.

#[cfg(feature = "aws")]
use crate::runtime::key_arn::KeyArn;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How decisions are logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where records go.
    pub sink: Sink,
    /// What they look like.
    pub format: Format,
    /// The most bytes that the files of a `file` sink may take together.
    pub max_bytes: u64,
    /// Whether closed files of a `file` sink are compressed.
    pub compress: bool,
    /// What happens to allows when their ring is full.
    pub on_full: OnFull,
    /// The share of plain allows that are recorded, 0.0 to 1.0. Reloadable.
    pub sample: f64,
    /// Whose signature certifies the key of each boot; `None`: nobody's.
    pub signing: Option<Signing>,
    /// What end users are called.
    pub users: Users,
    /// Go into every record.
    pub labels: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sink: Sink::Stdout,
            format: Format::Countersign,
            max_bytes: 1 << 30,
            compress: true,
            on_full: OnFull::Aggregate,
            sample: 1.0,
            signing: None,
            users: Users::Plain,
            labels: BTreeMap::new(),
        }
    }
}

/// A key that outlives boots, and signs for theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// In a file: PKCS#8 in PEM.
    File(PathBuf),
    /// In KMS.
    #[cfg(feature = "aws")]
    Kms(KeyArn),
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sink {
    /// Standard output.
    #[default]
    Stdout,
    /// Rotated files in a directory.
    File(PathBuf),
    /// Nowhere; said loudly at start.
    None,
}

impl Sink {
    /// Where it keeps its files, if it has any.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::File(directory) => Some(directory),
            Self::Stdout | Self::None => None,
        }
    }
}

/// What happens to allows when their ring is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFull {
    /// Counted in a gap record.
    #[default]
    Aggregate,
    /// The request waits up to 50 ms, then gets 503 `audit_unavailable`.
    Block,
    /// Like `aggregate`, but thinned out before the ring is full.
    Sample,
}

/// What records call the end user of a verified token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Users {
    /// As the token does.
    #[default]
    Plain,
    /// By a hash under a key that is made at start and forgotten at the end.
    HashedForThisBoot,
    /// By a hash under the key in this file: 64 hexadecimal digits, for its owner alone.
    HashedUnder(PathBuf),
}

/// What records look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Our own.
    #[default]
    Countersign,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf,
}
