//! What was found.

use super::Fault;
use std::sync::Arc;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// The line; a file begins with line 1.
    pub line: u64,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it shows.
    pub place: Place,
    /// The boot and the number of the record, where the line is one.
    pub record: Option<(Arc<str>, u64)>,
    /// What it is.
    pub fault: Fault,
}

/// A file that does not end with a footer: its process was killed or still runs, a fault of the disk ended it, or its end was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The boot.
    pub boot: Arc<str>,
    /// The file.
    pub file: Arc<str>,
    /// The number of the last whole record.
    pub seq: u64,
    /// It ends in half a line.
    pub torn: bool,
    /// The boot goes on in another file, and nothing is missing in between.
    pub went_on: bool,
}

/// How many records count others, and how many those count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// What they stand for.
    pub counted: u64,
}

impl Counts {
    pub(super) fn add(&mut self, count: Option<u64>) {
        self.records += 1;
        self.counted = self.counted.saturating_add(count.unwrap_or_default());
    }
}

/// Who vouches for a boot's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certification {
    /// Nobody.
    None,
    /// The key with this fingerprint, as the log says; no public key was given to verify that.
    Claimed {
        /// Its fingerprint.
        signer: Box<str>,
    },
    /// The given public key.
    Verified {
        /// Its fingerprint.
        signer: Box<str>,
    },
}

/// What there is of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootReport {
    /// Its id.
    pub id: Arc<str>,
    /// The numbers of its first and its last record here.
    pub seqs: (u64, u64),
    /// Its records.
    pub records: u64,
    /// Its last record is a footer: nothing was cut off after it that the writer wrote.
    pub ended: bool,
    /// Records of shards that were on their way when it was killed, as far as that can be seen.
    pub lost: u64,
    /// What stood before its first record was pruned.
    pub pruned_before: bool,
    /// Its checkpoints that verify.
    pub checkpoints: u64,
    /// Records after the last of them, for which nothing is signed.
    pub uncovered: u64,
    /// The fingerprint of the key that signed them.
    pub key: Option<String>,
    /// Who vouches for that key.
    pub certification: Certification,
}

/// What was found in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The first faults.
    pub findings: Vec<Finding>,
    /// All of them.
    pub faults: u64,
    /// What there is of each boot, by the place of its first record.
    pub boots: Vec<BootReport>,
    /// The first files without a footer at their end.
    pub endings: Vec<Ending>,
    /// All of them.
    pub unended: u64,
    /// Files that have half a line and nothing else.
    pub torn_alone: u64,
    /// Half lines that a stream refused, and that follow in full.
    pub written_again: u64,
    /// Files.
    pub files: u64,
    /// Lines.
    pub lines: u64,
    /// Records of allows that left none of their own.
    pub gaps: Counts,
    /// Records of denials that were folded.
    pub aggregates: Counts,
    /// Records of files that were removed for `max_bytes`.
    pub pruned: u64,
}

impl Report {
    pub(super) fn find(&mut self, finding: Finding, most: usize) {
        self.faults += 1;
        if self.findings.len() < most {
            self.findings.push(finding);
        }
    }

    pub(super) fn end(&mut self, ending: Ending, most: usize) {
        self.unended += 1;
        if self.endings.len() < most {
            self.endings.push(ending);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        self.faults == 0
    }
}
