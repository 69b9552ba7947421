//! The writer thread's work: collect, render, write.

use super::boot_key::BootKey;
use super::detect::Detectors;
use super::entry::{Cause, Entry, Event, Gap, Span, What};
use super::id::Ids;
use super::lines::Lines;
use super::pairs::Pairs;
use super::ring::{Lane, Shared};
use super::sink::Output;
use crate::telemetry::metrics::AuditWriter;
use rtrb::Consumer;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

mod upkeep;

/// Records taken from each kind of ring before the lines go to the sink, shared by the shards: bounds the buffer to about 2 MiB.
const ROUND: usize = 1_024;
/// Records that each ring may give a round, however many shards there are.
const LEAST: usize = 16;
/// Fewer records than these in a round and the writer naps longer before the next, more than [`MANY`] and it naps less: one write for several.
const FEW: usize = 64;
const MANY: usize = 4 * FEW;
/// The writer's shortest nap between two rounds.
const NAP: Duration = Duration::from_millis(1);
/// An idle writer wakes 50 times a second, which no tool shows, and a flood must pass 100,000 denials/s on a shard to fill its ring meanwhile.
const LONG_NAP: Duration = Duration::from_millis(20);
/// From a refused write to the next try; doubles.
const RETRY: Duration = Duration::from_millis(100);
const LONG_RETRY: Duration = Duration::from_secs(1);
/// The least time between two lines about a failing sink in the process log.
const COMPLAIN: Duration = Duration::from_secs(10);
/// How long a failing sink is tried at the end.
const GIVE_UP: Duration = Duration::from_secs(2);

/// The writer thread's state: collect, render, write.
pub(super) struct Press {
    lanes: Vec<Lane>,
    quota: usize,
    ids: Ids,
    key: BootKey,
    lines: Lines,
    output: Output,
    pairs: Pairs,
    detectors: Option<Detectors>,
    shared: Arc<Shared>,
    metrics: AuditWriter,
    trouble: Option<Trouble>,
    /// The oldest file was named by a record and goes once the disk has that.
    pruning: bool,
}

/// What the writer works with.
pub(super) struct Parts {
    pub(super) lanes: Vec<Lane>,
    pub(super) ids: Ids,
    pub(super) key: BootKey,
    pub(super) lines: Lines,
    pub(super) output: Output,
    pub(super) pairs: Pairs,
    pub(super) detectors: Option<Detectors>,
    pub(super) shared: Arc<Shared>,
}

impl Press {
    pub(super) fn new(parts: Parts) -> Self {
        let quota = (ROUND / parts.lanes.len().max(1)).max(LEAST);
        let Parts { lanes, ids, key, lines, output, pairs, detectors, shared } = parts;
        Self { lanes, quota, ids, key, lines, output, pairs, detectors, shared, metrics: AuditWriter::new(), trouble: None, pruning: false }
    }

    pub(super) fn run(mut self) {
        let mut nap = NAP;
        let mut stopping_since: Option<Instant> = None;
        loop {
            super::halt::wait();
            // Read before the rings: what was pushed before the stop is then collected.
            let stopping = self.shared.stop.load(Ordering::Acquire);
            if stopping {
                stopping_since.get_or_insert_with(Instant::now);
            }
            if !self.write_out() {
                if stopping_since.is_some_and(|since| since.elapsed() >= GIVE_UP) {
                    break;
                }
                thread::park_timeout(self.trouble.as_ref().map_or(RETRY, |trouble| trouble.wait));
                continue;
            }
            let collected = self.collect();
            if !self.write_out() {
                continue;
            }
            self.keep_house(Instant::now(), collected.critical);
            if stopping && collected.records == 0 {
                break;
            }
            nap = match collected.records {
                ..FEW => (nap * 2).min(LONG_NAP),
                FEW..=MANY => nap,
                _ => (nap / 2).max(NAP),
            };
            if !stopping && !collected.more {
                thread::park_timeout(nap);
            }
        }
        self.end();
    }

    /// Renders what waits, denials first, a bounded number from each shard in turn.
    fn collect(&mut self) -> Collected {
        let mut collected = Collected::default();
        let events = std::mem::take(&mut *self.shared.events.lock().unwrap_or_else(PoisonError::into_inner));
        self.begin_looking();
        for (at, event) in events {
            collected.records += 1;
            if let (Some(detectors), Event::Policy(table)) = (&mut self.detectors, &event) {
                detectors.table(table);
            }
            self.lines.line(|renderer, out, seq| renderer.event(out, seq, at, &event));
        }
        for line in std::mem::take(&mut *self.shared.asides.lock().unwrap_or_else(PoisonError::into_inner)) {
            collected.records += 1;
            self.lines.aside(&line);
        }
        let Self { lanes, lines, pairs, detectors, quota, shared, .. } = self;
        for (lane, shard) in lanes.iter_mut().zip(0..) {
            // Half of what is written at once: a flood of denials leaves room for allows.
            let take = |entry: &Entry| {
                lines.entry(shard, entry);
                shared.spans.note(entry);
                if let Some(detectors) = detectors {
                    detectors.entry(entry, false);
                }
                !lines.has_share(2)
            };
            collected.add(drain(&mut lane.denials, *quota, take), *quota);
        }
        collected.critical = collected.records > 0;
        for (lane, shard) in lanes.iter_mut().zip(0..) {
            let take = |entry: &Entry| {
                lines.entry(shard, entry);
                shared.spans.note(entry);
                let first = matches!(&entry.what, What::Decision(decision) if pairs.note(decision));
                if let Some(detectors) = detectors {
                    detectors.entry(entry, first);
                }
                !lines.has_share(1)
            };
            collected.add(drain(&mut lane.allows, *quota, take), *quota);
        }
        self.write_findings();
        collected
    }

    /// Tells the detectors the time, what they look for, and what went wrong elsewhere.
    fn begin_looking(&mut self) {
        let Some(detectors) = &mut self.detectors else { return };
        detectors.begin(Instant::now(), self.shared.detect.load_full());
        let troubles = std::mem::take(&mut *self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner));
        troubles.into_iter().for_each(|trouble| detectors.trouble(trouble));
    }

    fn write_findings(&mut self) {
        let Self { detectors: Some(detectors), lines, .. } = self else { return };
        let made: Vec<Event> = detectors.take().collect();
        for event in made {
            lines.line(|renderer, out, seq| renderer.event(out, seq, SystemTime::now(), &event));
            if let (Event::Finding(_), Some(line)) = (&event, lines.last()) {
                detectors.tell(line);
            }
        }
    }

    /// Gives the sink what it has not got; says whether it has everything now. What it refuses stays for the next try.
    fn write_out(&mut self) -> bool {
        if self.lines.unwritten().is_empty() {
            self.lines.clear();
            return true;
        }
        match self.output.write(self.lines.unwritten()) {
            Ok(()) => {
                self.lines.clear();
                if let Some(trouble) = self.trouble.take() {
                    self.shared.sink_fails.store(false, Ordering::Relaxed);
                    tracing::warn!(errors = trouble.errors, "the decision log is written again");
                }
                true
            }
            Err(refused) => {
                self.lines.advance(refused.written);
                self.faulted(&refused.error);
                false
            }
        }
    }

    /// After a fault no file is open: the next one begins with what waits.
    fn faulted(&mut self, error: &io::Error) {
        if self.output.files().is_some() {
            self.lines.begin_file();
        }
        self.refused(error);
    }

    fn refused(&mut self, error: &io::Error) {
        self.metrics.sink_errors.increment(1);
        self.shared.sink_fails.store(true, Ordering::Relaxed);
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::error!(%error, "the decision log cannot be written; records wait, then audit.on_full acts");
            Trouble { errors: 0, wait: RETRY / 2, said: Instant::now() }
        });
        trouble.errors += 1;
        trouble.wait = (trouble.wait * 2).min(LONG_RETRY);
        if trouble.said.elapsed() >= COMPLAIN {
            trouble.said = Instant::now();
            tracing::error!(%error, errors = trouble.errors, "the decision log still cannot be written");
        }
    }

    /// What dropped recorders left, then a count of what living ones still hold, then everything to the disk.
    fn end(mut self) {
        for (lane, shard) in self.lanes.iter().zip(0_u16..) {
            let mut entries = lane.rest.entries.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in entries.drain(..) {
                self.lines.entry(shard, &entry);
            }
            let count = lane.rest.counted.swap(0, Ordering::Relaxed);
            if count > 0 {
                let now = SystemTime::now();
                let gap = Gap { id: self.ids.next(now), cause: Cause::Unfinished, span: Span { count, first: now, last: now } };
                self.lines.line(|renderer, out, seq| {
                    renderer.gap(out, seq, &gap);
                    "gap"
                });
            }
        }
        if self.lines.has_begun() {
            self.lines.checkpoint(&mut self.key);
            self.lines.footer();
        }
        if !self.write_out() {
            let missing =
                self.lines.waiting() + self.lanes.iter().map(|lane| (lane.denials.slots() + lane.allows.slots()) as u64).sum::<u64>();
            self.metrics.lost.increment(missing);
            tracing::error!(records = missing, "the decision log's last records are lost: its sink refuses them");
        }
        self.pairs.save(Instant::now());
        if let Err(error) = self.output.sync() {
            self.metrics.sink_errors.increment(1);
            tracing::error!(%error, "the decision log's last file may not be complete on the disk");
        }
    }
}

/// What one round found.
#[derive(Default)]
struct Collected {
    records: usize,
    /// There are some among them that the disk is to have at once.
    critical: bool,
    /// A ring gave all that it may, and perhaps has more.
    more: bool,
}

impl Collected {
    fn add(&mut self, (records, stopped): (usize, bool), quota: usize) {
        self.records += records;
        self.more |= stopped || records == quota;
    }
}

/// Takes at most `quota` entries where they lie in the ring, until `take` wants no more; says how many, and whether it was that.
fn drain(ring: &mut Consumer<Entry>, quota: usize, mut take: impl FnMut(&Entry) -> bool) -> (usize, bool) {
    let Ok(chunk) = ring.read_chunk(quota.min(ring.slots())) else { return (0, false) };
    let (first, second) = chunk.as_slices();
    let stopped = first.iter().chain(second).position(|entry| !take(entry));
    let collected = stopped.map_or(chunk.len(), |at| at + 1);
    chunk.commit(collected);
    (collected, stopped.is_some())
}

/// A sink that refuses.
struct Trouble {
    errors: u64,
    wait: Duration,
    said: Instant,
}
