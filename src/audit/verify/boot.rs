//! What is known of one boot while its records go by.

use super::fault::Fault;
use super::shards::Shards;
use super::special::{Checkpoint, Holds, Members, NoCheckpoint, Previous, is_certified};
use super::{Certification, Place};
use crate::audit::chain::Link;
use crate::audit::stamp::Stamp;
use crate::runtime::signer::PublicKey;
use std::sync::Arc;

/// The most bytes that are kept of the first record of a log that begins in the middle.
const MAX_FIRST: usize = 4 << 10;

/// One boot's log so far.
pub(super) struct Boot {
    pub(super) id: Arc<str>,
    pub(super) records: u64,
    /// The number and the place of the first record that is there.
    pub(super) first: u64,
    pub(super) begins: Place,
    /// That record, where the log begins in the middle: its chain is verified once it is known what stood before.
    pub(super) unverified: Option<Box<[u8]>>,
    pub(super) first_link: Link,
    /// The number that comes next.
    pub(super) next: u64,
    pub(super) last: Link,
    pub(super) ends: Place,
    /// The last record was a footer.
    pub(super) ended: bool,
    pub(super) shards: Shards,
    /// Records were found to be missing.
    pub(super) incomplete: bool,
    pub(super) previous: Option<Previous>,
    pub(super) task: Option<Arc<str>>,
    /// Seconds since 1970 of the first and the last thing that the writer itself said.
    pub(super) alive: Option<(f64, f64)>,
    pub(super) key: Option<PublicKey>,
    pub(super) certification: Certification,
    signature: Option<String>,
    /// The number of the last record that a checkpoint signs for.
    pub(super) covered: Option<u64>,
    pub(super) checkpoints: u64,
    /// Numbers of the first records of the file that is read, of the one before, and after the last footer.
    file_firsts: [u64; 3],
}

impl Boot {
    /// Begins with `stamp`, which is taken next.
    pub(super) fn begin(stamp: &Stamp<'_>, place: Place) -> Self {
        let partial = stamp.seq > 0;
        let kept = (partial && stamp.hashed.len() <= MAX_FIRST).then(|| stamp.hashed.into());
        Self {
            id: stamp.boot.as_ref().into(),
            records: 0,
            first: stamp.seq,
            begins: place.clone(),
            unverified: kept,
            first_link: stamp.chain,
            next: stamp.seq,
            last: Link::GENESIS,
            ends: place,
            ended: false,
            shards: if partial { Shards::partial() } else { Shards::default() },
            incomplete: false,
            previous: None,
            task: None,
            alive: None,
            key: None,
            certification: Certification::None,
            signature: None,
            covered: None,
            checkpoints: 0,
            file_firsts: [stamp.seq; 3],
        }
    }

    pub(super) fn begin_file(&mut self, seq: u64) {
        let [current, _, after_footer] = self.file_firsts;
        self.file_firsts = [seq, current, after_footer];
    }

    /// Takes the next record, `None` where it stands in its place.
    pub(super) fn link(&mut self, stamp: &Stamp<'_>, place: &Place, scratch: &mut Vec<u8>) -> Option<Fault> {
        self.records += 1;
        let fault = if stamp.seq < self.next {
            return Some(Fault::OutOfOrder { expected: self.next });
        } else if stamp.seq > self.next {
            self.incomplete = true;
            Some(Fault::Missing { from: self.next, to: stamp.seq - 1 })
        } else {
            // Of the first record of a log that begins in the middle, what stood before is not known yet.
            let known = self.records > 1 || stamp.seq == 0;
            (known && self.last.next(stamp.hashed, scratch) != stamp.chain).then_some(Fault::Changed)
        };
        (self.next, self.last, self.ends) = (stamp.seq.saturating_add(1), stamp.chain, place.clone());
        self.ended = stamp.kind == "footer";
        fault
    }

    /// What a record of the writer itself says; `before` is the link of the record before it.
    pub(super) fn special(
        &mut self,
        stamp: &Stamp<'_>,
        line: &[u8],
        before: Link,
        key: Option<&PublicKey>,
    ) -> Result<Option<Holds>, Fault> {
        let members = Members::read(line).ok_or(Fault::Malformed { what: "the record" })?;
        if let Some(time) = members.time() {
            let (first, last) = self.alive.unwrap_or((time, time));
            self.alive = Some((first.min(time), last.max(time)));
        }
        match &*stamp.kind {
            "boot" => {
                self.task = members.task();
                self.previous = Previous::of(&members).map_err(|what| Fault::Malformed { what })?;
            }
            "footer" => self.footer(&members, stamp.seq, before)?,
            "checkpoint" => self.checkpoint(&members, stamp, before, key)?,
            "pruned" => return Holds::of_pruned(&members).map_err(|what| Fault::Malformed { what }),
            _ => {}
        }
        Ok(None)
    }

    fn footer(&mut self, members: &Members, seq: u64, before: Link) -> Result<(), Fault> {
        let firsts = self.file_firsts;
        self.file_firsts[2] = seq.saturating_add(1);
        let footer = Holds::of_footer(members).ok_or(Fault::Malformed { what: "the footer" })?;
        let count = footer.last.checked_sub(footer.first).and_then(|more| more.checked_add(1));
        if footer.last.checked_add(1) != Some(seq) {
            Err(Fault::Footer { what: "last_seq" })
        } else if self.records > 1 && footer.chain != before {
            Err(Fault::Footer { what: "last_chain" })
        } else if !firsts.contains(&footer.first) && footer.first >= self.first {
            Err(Fault::Footer { what: "first_seq" })
        } else if count.is_none() || footer.count != count {
            Err(Fault::Footer { what: "count" })
        } else {
            Ok(())
        }
    }

    fn checkpoint(&mut self, members: &Members, stamp: &Stamp<'_>, before: Link, by: Option<&PublicKey>) -> Result<(), Fault> {
        let read = Checkpoint::read(members, &stamp.boot, stamp.hashed);
        let checkpoint = read.map_err(|error| match error {
            NoCheckpoint::Malformed => Fault::Malformed { what: "the checkpoint" },
            NoCheckpoint::Signature => Fault::CheckpointSignature,
        })?;
        if checkpoint.last.checked_add(1) != Some(stamp.seq) || self.records > 1 && checkpoint.chain != before {
            return Err(Fault::CheckpointElsewhere);
        }
        if self.key.as_ref().is_some_and(|key| *key != checkpoint.key) {
            return Err(Fault::CheckpointKey);
        }
        // One may be named that is not here: before the beginning, or among records of which it is known that they are missing.
        let is_linked = checkpoint.previous == self.signature || self.incomplete || self.signature.is_none() && self.first > 0;
        self.key = Some(checkpoint.key);
        self.signature = Some(checkpoint.signature);
        if !is_linked {
            return Err(Fault::CheckpointLink);
        }
        if self.records == 1 {
            // It says itself what stood before it, and is signed.
            self.unverified = None;
        }
        // And for itself.
        self.covered = Some(stamp.seq);
        self.checkpoints += 1;
        match checkpoint.certificate {
            Some((holder, certificate)) => {
                self.certified(&holder, certificate.signer.as_str(), by.map(|by| is_certified(by, &holder, &certificate)))
            }
            None => Ok(()),
        }
    }

    fn certified(&mut self, holder: &super::Holder, signer: &str, verified: Option<bool>) -> Result<(), Fault> {
        match verified {
            Some(false) => Err(Fault::Certificate),
            // The log says whose task it is of as well.
            Some(true) if self.task.is_some() && self.task.as_deref() != holder.task.as_deref() => Err(Fault::Certificate),
            Some(true) => {
                self.certification = Certification::Verified { signer: signer.into() };
                Ok(())
            }
            None => {
                self.certification = Certification::Claimed { signer: signer.into() };
                Ok(())
            }
        }
    }
}
