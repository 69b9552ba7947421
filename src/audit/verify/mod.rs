//! Whether a log is whole: its chain, its numbers, its footers, checkpoints and the keys that signed them.
//!
//! A [`Verifier`] takes lines as they come and keeps one small state for each boot, so that logs of any size, and files that somebody made to do harm, cost
//! time and no memory. What it finds is a [`Report`]: faults, each with its place, and what a whole log has as well, such as the end of a process that was
//! killed.

mod boot;
mod fault;
mod judge;
mod report;
mod shards;
mod special;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use report::{BootReport, Certification, Counts, Ending, Finding, Place, Report};

pub use super::boot_key::{Certificate, Holder};
pub use super::chain::Link;
pub use super::stamp::{NoRecord, Stamp};

use super::read::{Input, Piece, ReadError};
use crate::runtime::signer::PublicKey;
use boot::Boot;
use std::collections::HashMap;
use std::sync::Arc;

/// Boots that are kept apart; some 2 KiB each, and 16 KiB at worst.
const MAX_BOOTS: usize = 4_096;
/// Numbers of shards that are remembered over all boots, some 32 bytes each.
const NUMBERS: usize = 1 << 20;
/// Bytes of a boot's id; ours has 32.
const MAX_BOOT_ID: usize = 64;
/// Faults that are kept; further ones are counted.
const MAX_FINDINGS: usize = 100;
/// Half lines are compared with the line that follows up to here.
const MAX_HALF: usize = 64 << 10;

/// How much of a log is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it: what is missing is a fault.
    Whole,
    /// Some files of it: it may begin anywhere.
    Part,
}

/// A checkpoint that was kept where the log's writer could not reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The boot's id.
    pub boot: String,
    /// The checkpoint's number.
    pub seq: u64,
    /// Its link.
    pub chain: Link,
}

impl Kept {
    /// Reads a line, such as one of `countersign audit query 'kind=checkpoint'`; `None` for anything else.
    pub fn read(line: &[u8]) -> Option<Self> {
        let stamp = Stamp::read(line).ok().filter(|stamp| stamp.kind == "checkpoint")?;
        Some(Self { boot: stamp.boot.into_owned(), seq: stamp.seq, chain: stamp.chain })
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much is given.
    pub scope: Scope,
    /// The key that vouches for the keys of boots.
    pub key: Option<PublicKey>,
    /// Only boots whose id begins so.
    pub boot: Option<String>,
    /// Checkpoints that must be there.
    pub kept: Vec<Kept>,
}

/// Verifies a log as it is read.
pub struct Verifier {
    options: Options,
    boots: HashMap<Arc<str>, Boot>,
    file: File,
    /// What is gone and was named: by boot the highest number and its link.
    pruned: HashMap<Arc<str>, (u64, Link)>,
    kept: HashMap<(String, u64), (Link, bool)>,
    report: Report,
    /// What is left of [`NUMBERS`].
    numbers: usize,
    scratch: Vec<u8>,
}

/// The file that is read.
struct File {
    name: Arc<str>,
    boot: Option<Arc<str>>,
    spliced: bool,
    half: Option<Half>,
}

/// A line that is no record; one that a stream refused in the middle is, and comes again in full.
struct Half {
    line: u64,
    bytes: Vec<u8>,
    error: NoRecord,
}

impl Verifier {
    /// Begins.
    pub fn new(options: Options) -> Self {
        let kept = options.kept.iter().map(|kept| ((kept.boot.clone(), kept.seq), (kept.chain, false))).collect();
        Self {
            options,
            boots: HashMap::new(),
            file: File::named("".into()),
            pruned: HashMap::new(),
            kept,
            report: Report::default(),
            numbers: NUMBERS,
            scratch: Vec::new(),
        }
    }

    /// Reads one input to its end.
    ///
    /// # Errors
    /// It cannot be opened. One that cannot be read to its end is a finding.
    pub fn read(&mut self, input: &Input) -> Result<(), ReadError> {
        let mut reader = input.open()?;
        self.file = File::named(input.name().into());
        let mut torn = None;
        loop {
            match reader.next() {
                Ok(Some(Piece::Lines(lines))) => lines.iter().for_each(|(number, line)| self.line(number, line)),
                Ok(Some(Piece::TooLong { number, length })) => self.find(number, None, Fault::TooLong { length }),
                Ok(Some(Piece::Torn { number, .. })) => torn = Some(number),
                Ok(None) => break,
                Err(error) => {
                    let line = if let ReadError::Read { line, .. } = &error { line + 1 } else { 1 };
                    self.find(line, None, Fault::Unreadable { error: error.to_string() });
                    break;
                }
            }
        }
        self.end_file(torn);
        Ok(())
    }

    /// Takes one line, newline excluded.
    pub fn line(&mut self, number: u64, line: &[u8]) {
        self.report.lines += 1;
        let stamp = match Stamp::read(line).and_then(|stamp| if stamp.boot.len() <= MAX_BOOT_ID { Ok(stamp) } else { Err(NoRecord::Other) })
        {
            Ok(stamp) => stamp,
            Err(error) => {
                self.drop_half();
                self.file.half =
                    Some(Half { line: number, bytes: line.get(..line.len().min(MAX_HALF)).unwrap_or_default().to_vec(), error });
                return;
            }
        };
        if let Some(half) = self.file.half.take() {
            if line.starts_with(&half.bytes) && half.bytes.len() < MAX_HALF {
                self.report.written_again += 1;
            } else {
                self.find(half.line, None, Fault::NoRecord(half.error));
            }
        }
        if self.options.boot.as_deref().is_none_or(|wanted| stamp.boot.starts_with(wanted)) {
            self.record(number, line, &stamp);
        }
    }

    fn record(&mut self, number: u64, line: &[u8], stamp: &Stamp<'_>) {
        let Some(id) = self.boot_of(number, stamp) else { return };
        let place = Place { file: Arc::clone(&self.file.name), line: number };
        let mut faults = Vec::new();
        let Some(boot) = self.boots.get_mut(&id) else { return };
        if self.file.boot.as_ref() != Some(&id) {
            boot.begin_file(stamp.seq);
            // A stream may have the logs of many; a file of ours has one.
            if self.file.boot.is_some() && !self.file.spliced && *self.file.name != *STDIN {
                self.file.spliced = true;
                faults.push(Fault::Spliced);
            }
            self.file.boot = Some(Arc::clone(&id));
        }
        let before = boot.last;
        faults.extend(boot.link(stamp, &place, &mut self.scratch));
        if (stamp.kind == "boot") != (stamp.seq == 0) {
            faults.push(Fault::NoBoot);
        }
        if let Some((shard, seq)) = stamp.shard {
            let hole = boot.shards.note(shard, seq, &mut self.numbers);
            faults.extend(hole.map(|hole| Fault::ShardHole { shard: hole.shard, from: hole.from, to: hole.to }));
        }
        if stamp.kind == "checkpoint"
            && let Some((link, seen)) = self.kept.get_mut(&(id.to_string(), stamp.seq))
        {
            *seen = *link == stamp.chain;
        }
        match &*stamp.kind {
            "gap" => self.report.gaps.add(stamp.count),
            "aggregate" => self.report.aggregates.add(stamp.count),
            "boot" | "footer" | "checkpoint" | "pruned" => match boot.special(stamp, line, before, self.options.key.as_ref()) {
                Ok(Some(pruned)) => self.prune(pruned),
                Ok(None) => self.report.pruned += u64::from(stamp.kind == "pruned"),
                Err(fault) => faults.push(fault),
            },
            _ => {}
        }
        for fault in faults {
            self.find(number, Some((&id, stamp.seq)), fault);
        }
    }

    /// The boot of a record, which is begun where there is room for one more.
    fn boot_of(&mut self, number: u64, stamp: &Stamp<'_>) -> Option<Arc<str>> {
        if let Some((id, _)) = self.boots.get_key_value(&*stamp.boot) {
            return Some(Arc::clone(id));
        }
        if self.boots.len() >= MAX_BOOTS {
            self.find(number, None, Fault::TooManyBoots { most: MAX_BOOTS });
            return None;
        }
        let boot = Boot::begin(stamp, Place { file: Arc::clone(&self.file.name), line: number });
        let id = Arc::clone(&boot.id);
        self.boots.insert(Arc::clone(&id), boot);
        Some(id)
    }

    fn prune(&mut self, pruned: special::Holds) {
        self.report.pruned += 1;
        let Some(boot) = pruned.boot else { return };
        if self.pruned.len() < MAX_BOOTS || self.pruned.contains_key(&boot) {
            let known = self.pruned.entry(boot).or_insert((pruned.last, pruned.chain));
            if pruned.last >= known.0 {
                *known = (pruned.last, pruned.chain);
            }
        }
    }

    fn drop_half(&mut self) {
        if let Some(half) = self.file.half.take() {
            self.find(half.line, None, Fault::NoRecord(half.error));
        }
    }

    fn end_file(&mut self, torn: Option<u64>) {
        self.drop_half();
        self.report.files += 1;
        let boot = self.file.boot.as_ref().and_then(|id| self.boots.get(id));
        if let Some(boot) = boot.filter(|boot| torn.is_some() || !boot.ended) {
            let ending = Ending {
                boot: Arc::clone(&boot.id),
                file: Arc::clone(&self.file.name),
                seq: boot.next.saturating_sub(1),
                torn: torn.is_some(),
                went_on: false,
            };
            self.report.end(ending, MAX_FINDINGS);
        } else if torn.is_some() && self.file.boot.is_none() {
            self.report.torn_alone += 1;
        }
    }

    fn find(&mut self, line: u64, record: Option<(&Arc<str>, u64)>, fault: Fault) {
        let place = Place { file: Arc::clone(&self.file.name), line };
        self.report.find(Finding { place, record: record.map(|(boot, seq)| (Arc::clone(boot), seq)), fault }, MAX_FINDINGS);
    }
}

/// What a reader calls its standard input.
const STDIN: &str = "standard input";

impl File {
    fn named(name: Arc<str>) -> Self {
        Self { name, boot: None, spliced: false, half: None }
    }
}
