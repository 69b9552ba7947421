//! Why a bundle is refused.

use super::super::moment;
use crate::document::Problems;
use std::time::SystemTime;

/// Why a bundle is refused. Trying again helps once another bundle is there, and where time is the reason, once the clock is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is something else, or was cut or changed so that it cannot be read.
    #[error("is no policy bundle: {0}; make one with `countersign policy sign`")]
    Malformed(String),
    /// It is a plain table where only bundles are accepted.
    #[error("is not signed, and [policy] public_key accepts nothing but signed bundles; make one of it with `countersign policy sign`")]
    Unsigned,
    /// The signature is of another key or of another manifest.
    #[error(
        "the signature of its manifest is not by the key {key}: another key signed it, or it was changed; sign it with that key, or correct [policy] public_key"
    )]
    Signature {
        /// The fingerprint of the pinned key.
        key: String,
    },
    /// The table is not the one that the manifest is about.
    #[error(
        "its table is not the one that was signed: the text has the SHA-256 {found}, and the manifest says {signed}; take the bundle as it was signed"
    )]
    Changed {
        /// Of the text that is there.
        found: String,
        /// Of the text that was signed.
        signed: String,
    },
    /// Its time is over.
    #[error("it was good until {}, which is past; sign the table again", moment::format(*.not_after))]
    Expired {
        /// Until when it was good.
        not_after: SystemTime,
    },
    /// It would be good for longer than a bundle may be.
    #[error("it is good until {}, more than 30 days from now; sign it for 30 days at most, or set this machine's clock", moment::format(*.not_after))]
    TooLong {
        /// Until when it says that it is good.
        not_after: SystemTime,
    },
    /// It is a bundle of something else.
    #[error(
        "it is the bundle of `{found}`, and that of `{expected}` is expected here; put that one there, or write the other name in [policy] {key}"
    )]
    OtherName {
        /// The name in its manifest.
        found: String,
        /// The name that is accepted.
        expected: String,
        /// The key of the configuration that says which name is.
        key: &'static str,
    },
    /// The boundary is the very table that it should cap.
    #[error(
        "it is the bundle of `{name}`, whose table it would cap: a table caps nothing of itself; name another one in [policy] boundary"
    )]
    CapsItself {
        /// The name in both manifests.
        name: String,
    },
    /// A later one was accepted before.
    #[error(
        "it has the sequence {found}, and {floor} is the least that is accepted: somebody repeats an old bundle, or it has to be signed with a higher --sequence"
    )]
    Old {
        /// Its sequence.
        found: u64,
        /// The highest of the last one that was accepted and the least that the configuration asks for.
        floor: u64,
    },
    /// The table inside has another name than the manifest.
    #[error("its table is called `{table}`, and its manifest says `{manifest}`; sign the table again")]
    OtherTable {
        /// The table's `name`.
        table: String,
        /// The manifest's.
        manifest: String,
    },
    /// The table inside cannot be used, or one of its cases does not hold.
    #[error("its table cannot be used: {0}")]
    Table(Problems),
    /// What was accepted before is not known, so nothing tells an old bundle from a new one.
    #[error(
        "which bundles were accepted before is not known: {0}; remove the file, and write the sequence in force in [policy] min_sequence"
    )]
    Forgotten(String),
}

impl BundleError {
    /// The stable label of logs and of `countersign policy verify --format json`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unsigned => "unsigned",
            Self::Signature { .. } => "signature",
            Self::Changed { .. } => "changed",
            Self::Expired { .. } => "expired",
            Self::TooLong { .. } => "too_long",
            Self::OtherName { .. } => "other_name",
            Self::CapsItself { .. } => "caps_itself",
            Self::Old { .. } => "old_sequence",
            Self::OtherTable { .. } => "other_table",
            Self::Table(_) => "table",
            Self::Forgotten(_) => "forgotten",
        }
    }
}
