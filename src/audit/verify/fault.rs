//! What can be wrong with a log.

use crate::audit::stamp::NoRecord;
use std::sync::Arc;

/// Something that no whole log has. None of these goes away by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line is no record, and not the beginning of the next one either.
    #[error("{0}")]
    NoRecord(NoRecord),
    /// A line is longer than any record.
    #[error("it has {length} bytes, and no record is so long")]
    TooLong {
        /// Its length, bytes.
        length: u64,
    },
    /// A file cannot be read to its end.
    #[error("{error}")]
    Unreadable {
        /// What the system, or the decompressor, says.
        error: String,
    },
    /// A record was changed, or the one before it.
    #[error("its chain does not follow from the record before: it was changed, or something before it was taken out")]
    Changed,
    /// Numbers are left out.
    #[error("records {from} to {to} are missing before it, or stand elsewhere")]
    Missing {
        /// The first number that is not there.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A number that was there, or passed over, comes now.
    #[error("record {expected} was expected: it stands in the wrong place, or again")]
    OutOfOrder {
        /// The number that should have come.
        expected: u64,
    },
    /// A boot's first record is no boot record, or a later one is.
    #[error("a boot begins with a boot record, and has no other")]
    NoBoot,
    /// A log begins in the middle, and no `pruned` record says why.
    #[error("records 0 to {before} of this boot are missing, and no `pruned` record names them")]
    NoBeginning {
        /// The number before the first record that is there.
        before: u64,
    },
    /// A file has records of two boots.
    #[error("it is of another boot than the rest of the file")]
    Spliced,
    /// Between ring and writer records were lost.
    #[error("shard {shard} has lost its records {from} to {to} on their way to the log")]
    ShardHole {
        /// The shard.
        shard: u64,
        /// The first `shard_seq` that is not there.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A special record lacks what it is for.
    #[error("{what} is not as a sidecar writes it")]
    Malformed {
        /// The member.
        what: &'static str,
    },
    /// A footer is of another file.
    #[error("the footer's {what} is not that of the records before it")]
    Footer {
        /// The member.
        what: &'static str,
    },
    /// A checkpoint is about another log.
    #[error("the checkpoint is about other records than those before it: they were written anew, or it is from elsewhere")]
    CheckpointElsewhere,
    /// A checkpoint's signature is none.
    #[error("the checkpoint's signature does not verify under its key: the checkpoint was changed, or made up")]
    CheckpointSignature,
    /// A checkpoint is signed by another key than those before.
    #[error("the checkpoint is signed by another key than those of the same boot before it: it was made up")]
    CheckpointKey,
    /// Checkpoints are not linked.
    #[error("the checkpoint does not follow from the one before it: checkpoints are missing, or were made up")]
    CheckpointLink,
    /// The certificate of a boot's key does not verify.
    #[error("the certificate of the boot's key does not verify under the given public key: it is of another key, boot, task or workload")]
    Certificate,
    /// No certificate for a boot's key, and a public key was given.
    #[error("no checkpoint of this boot has a certificate of its key, so the given public key vouches for none of it")]
    NotCertified,
    /// A checkpoint that was kept elsewhere is not in the log.
    #[error("record {seq}, which a checkpoint kept elsewhere vouches for, is not here, or is another: the log was cut off or written anew")]
    CheckpointGone {
        /// The number of the checkpoint.
        seq: u64,
    },
    /// A boot names one before it, of which nothing is there.
    #[error("it names boot {boot} before it, up to record {seq}, of which there is nothing: files were removed")]
    PreviousGone {
        /// The boot before.
        boot: Arc<str>,
        /// Its last record.
        seq: u64,
    },
    /// The boot before has fewer records than it had.
    #[error("boot {boot} had records up to {had} when this one began, and now has them up to {has}: its end was cut off")]
    PreviousCut {
        /// The boot before.
        boot: Arc<str>,
        /// Its last record then.
        had: u64,
        /// Its last record now.
        has: u64,
    },
    /// The boot before is another than it was.
    #[error("boot {boot} ended with another record than this one found when it began: it was written anew, or wrote on beside it")]
    PreviousOther {
        /// The boot before.
        boot: Arc<str>,
    },
    /// Two boots name the same one before them.
    #[error("it names boot {boot} before it, as boot {other} does: one of them was brought in, or both ran at once")]
    Fork {
        /// The boot before.
        boot: Arc<str>,
        /// The other one.
        other: Arc<str>,
    },
    /// Two boots of one task lived at once.
    #[error(
        "boot {other} of the same task was alive at the same time: one of them is not that task's, or the clock stepped back between them"
    )]
    TwoAlive {
        /// The other one.
        other: Arc<str>,
    },
    /// There are more boots than are kept apart.
    #[error("there are more than {most} boots; verify fewer files at once")]
    TooManyBoots {
        /// The most.
        most: usize,
    },
}

impl Fault {
    /// A stable label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoRecord(_) => "no_record",
            Self::TooLong { .. } => "too_long",
            Self::Unreadable { .. } => "unreadable",
            Self::Changed => "changed",
            Self::Missing { .. } => "missing",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::NoBoot => "no_boot",
            Self::NoBeginning { .. } => "no_beginning",
            Self::Spliced => "spliced",
            Self::ShardHole { .. } => "shard_hole",
            Self::Malformed { .. } => "malformed",
            Self::Footer { .. } => "footer",
            Self::CheckpointElsewhere => "checkpoint_elsewhere",
            Self::CheckpointSignature => "checkpoint_signature",
            Self::CheckpointKey => "checkpoint_key",
            Self::CheckpointLink => "checkpoint_link",
            Self::Certificate => "certificate",
            Self::NotCertified => "not_certified",
            Self::CheckpointGone { .. } => "checkpoint_gone",
            Self::PreviousGone { .. } => "previous_gone",
            Self::PreviousCut { .. } => "previous_cut",
            Self::PreviousOther { .. } => "previous_other",
            Self::Fork { .. } => "fork",
            Self::TwoAlive { .. } => "two_alive",
            Self::TooManyBoots { .. } => "too_many_boots",
        }
    }
}
