//! What shows only once everything was read: beginnings, ends, and how boots follow each other.

use super::boot::Boot;
use super::{BootReport, Certification, Fault, Finding, MAX_FINDINGS, Place, Report, Scope, Verifier};
use std::collections::HashMap;
use std::sync::Arc;

/// A boot, and from when to when it was alive, seconds since 1970.
type Life<'b> = (&'b Boot, (f64, f64));

impl Verifier {
    /// What was found, now that there is nothing more to read.
    pub fn finish(mut self) -> Report {
        let mut boots: Vec<Boot> = std::mem::take(&mut self.boots).into_values().collect();
        boots.sort_by(|one, other| (&one.begins.file, one.begins.line).cmp(&(&other.begins.file, other.begins.line)));
        for boot in &boots {
            self.beginning(boot);
            self.end_of(boot);
        }
        self.predecessors(&boots);
        self.alive_at_once(&boots);
        let gone: Vec<_> =
            self.kept.iter().filter(|(_, (_, seen))| !seen).map(|((boot, seq), _)| (Arc::from(boot.as_str()), *seq)).collect();
        for (boot, seq) in gone {
            let known = boots.iter().find(|known| known.id == boot);
            let place = known.map_or(Place { file: "the log".into(), line: 0 }, |known| known.ends.clone());
            self.judge(place, Some((boot, seq)), Fault::CheckpointGone { seq });
        }
        for ending in &mut self.report.endings {
            ending.went_on = boots.iter().any(|boot| boot.id == ending.boot && boot.next > ending.seq.saturating_add(1));
        }
        self.report.boots = boots.iter().map(|boot| self.report_of(boot)).collect();
        self.report
    }

    fn report_of(&self, boot: &Boot) -> BootReport {
        let last = boot.next.saturating_sub(1);
        BootReport {
            id: Arc::clone(&boot.id),
            seqs: (boot.first, last),
            records: boot.records,
            ended: boot.ended,
            lost: if boot.ended {
                0
            } else {
                boot.shards.holes().map(|hole| (hole.to - hole.from).saturating_add(1)).fold(0, u64::saturating_add)
            },
            pruned_before: boot.first > 0 && self.is_pruned(boot),
            checkpoints: boot.checkpoints,
            uncovered: boot.covered.map_or(boot.records, |covered| last.saturating_sub(covered)),
            key: boot.key.as_ref().map(|key| key.fingerprint()),
            certification: boot.certification.clone(),
        }
    }

    /// A log begins with its boot record, or where one was pruned; then the record that stays of that verifies the first one that is there.
    fn beginning(&mut self, boot: &Boot) {
        if boot.first == 0 {
            return;
        }
        let record = Some((Arc::clone(&boot.id), boot.first));
        match self.pruned.get(&boot.id) {
            Some((last, link)) if last.checked_add(1) == Some(boot.first) => {
                let follows = |bytes: &[u8]| link.next(bytes, &mut Vec::new()) == boot.first_link;
                if boot.unverified.as_deref().is_some_and(|bytes| !follows(bytes)) {
                    self.judge(boot.begins.clone(), record, Fault::Changed);
                }
            }
            Some(_) if self.is_pruned(boot) => {}
            _ if self.options.scope == Scope::Part => {}
            _ => self.judge(boot.begins.clone(), record, Fault::NoBeginning { before: boot.first - 1 }),
        }
    }

    /// Whether all before the boot's first record was named as pruned.
    fn is_pruned(&self, boot: &Boot) -> bool {
        self.pruned.get(&boot.id).is_some_and(|(last, _)| last.saturating_add(1) >= boot.first)
    }

    /// A boot that ended well has lost nothing on the way; one that was killed has, and says where.
    fn end_of(&mut self, boot: &Boot) {
        let record = Some((Arc::clone(&boot.id), boot.next.saturating_sub(1)));
        // Numbers of shards that lack with records that lack are told of already.
        if boot.ended && !boot.incomplete {
            for hole in boot.shards.holes().take(MAX_FINDINGS).collect::<Vec<_>>() {
                let fault = Fault::ShardHole { shard: hole.shard, from: hole.from, to: hole.to };
                self.judge(boot.ends.clone(), record.clone(), fault);
            }
        }
        if self.options.key.is_some() && !matches!(boot.certification, Certification::Verified { .. }) {
            self.judge(boot.ends.clone(), record, Fault::NotCertified);
        }
    }

    /// Each boot found the one before it as it is now, and no two found the same one.
    fn predecessors(&mut self, boots: &[Boot]) {
        let by_id: HashMap<&str, &Boot> = boots.iter().map(|boot| (&*boot.id, boot)).collect();
        let mut followers: HashMap<&str, &Arc<str>> = HashMap::new();
        for boot in boots {
            let Some(previous) = &boot.previous else { continue };
            let fault = match by_id.get(&*previous.boot) {
                Some(before) => {
                    let has = before.next.saturating_sub(1);
                    if has < previous.seq {
                        Some(Fault::PreviousCut { boot: Arc::clone(&before.id), had: previous.seq, has })
                    } else if has > previous.seq || before.last != previous.chain {
                        Some(Fault::PreviousOther { boot: Arc::clone(&before.id) })
                    } else {
                        None
                    }
                }
                None if self.options.scope == Scope::Part || self.options.boot.is_some() => None,
                None => {
                    let is_pruned = self.pruned.get(&previous.boot).is_some_and(|(last, _)| *last >= previous.seq);
                    (!is_pruned).then(|| Fault::PreviousGone { boot: Arc::clone(&previous.boot), seq: previous.seq })
                }
            };
            let fork = followers.insert(&previous.boot, &boot.id);
            let fork = fork.map(|other| Fault::Fork { boot: Arc::clone(&previous.boot), other: Arc::clone(other) });
            for fault in fault.into_iter().chain(fork) {
                self.judge(boot.begins.clone(), Some((Arc::clone(&boot.id), boot.first)), fault);
            }
        }
    }

    /// Two boots of one task are alive one after the other. Where one found the other's end when it began, the clock has stepped back.
    fn alive_at_once(&mut self, boots: &[Boot]) {
        let mut tasks: HashMap<&str, Vec<Life<'_>>> = HashMap::new();
        for boot in boots {
            if let (Some(task), Some(alive)) = (&boot.task, boot.alive) {
                tasks.entry(task).or_default().push((boot, alive));
            }
        }
        for alive in tasks.values_mut() {
            alive.sort_by(|(_, one), (_, other)| one.0.total_cmp(&other.0));
            for pair in alive.windows(2) {
                let [(one, (_, end)), (other, (begin, _))] = pair else { continue };
                let follows = |one: &Boot, other: &Boot| other.previous.as_ref().is_some_and(|previous| previous.boot == one.id);
                if end > begin && !follows(one, other) && !follows(other, one) {
                    let record = Some((Arc::clone(&other.id), other.first));
                    self.judge(other.begins.clone(), record, Fault::TwoAlive { other: Arc::clone(&one.id) });
                }
            }
        }
    }

    fn judge(&mut self, place: Place, record: Option<(Arc<str>, u64)>, fault: Fault) {
        self.report.find(Finding { place, record, fault }, MAX_FINDINGS);
    }
}
