//! From a shard to the writer: one ring for allows, one reserved for denials.

use super::entry::{Cause, Entry, Event, Gap, Key, Span, What};
use super::fold::Fold;
use super::id::Ids;
use super::pairs::{Known, Seen};
use super::sampling::{Keep, Share, keep};
use super::spans::Spans;
use super::{Decision, DecisionId, OnFull, RefusedHandshake, Trouble, detect, trim};
use crate::policy::Verdict;
use crate::telemetry::metrics::AuditShard;
use arc_swap::ArcSwapOption;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Allows that wait for the writer, per shard. An entry is 400 bytes, so 3.2 MB a shard; at 30,000 requests/s
/// a quarter of a second. While it waits it also keeps the request's head alive, of which long targets are cut.
pub(super) const ALLOWS: usize = 8_192;
/// Denials and other critical records that wait for the writer, per shard; 0.8 MB.
pub(super) const DENIALS: usize = 2_048;
/// Free slots that end a gap episode: more than where thinning begins, so that a writer that only just keeps up does not cause a gap record per record.
const EASED: usize = ALLOWS / 2;
/// Free slots that let folded denials out.
const SPARE: usize = DENIALS / 8;
/// Slots that `on_full = "block"` leaves for requests that are under way: an eighth of the ring.
const HEADROOM: usize = ALLOWS / 8;
/// Below this many free slots `on_full = "sample"` records one plain allow in [`THIN`].
const SCARCE: usize = ALLOWS / 4;
const THIN: u8 = 8;
/// Aggregates that one record's push may hand over: bounds what a request pays for an earlier flood.
const HAND_OVER: usize = 16;
/// How long `on_full = "block"` waits for room.
const BLOCK: Duration = Duration::from_millis(50);

/// One shard's end of the decision log. Lives on the shard's thread (`Rc`), takes no lock and never blocks the thread.
///
/// Dropping it hands everything over that it still counts.
pub struct Recorder {
    ids: Ids,
    on_full: OnFull,
    allows: RefCell<Producer<Entry>>,
    denials: RefCell<Producer<Entry>>,
    shard_seq: Cell<u64>,
    gap: Cell<Option<Gap>>,
    fold: RefCell<Fold>,
    seen: Seen,
    shared: Arc<Shared>,
    rest: Arc<Rest>,
    metrics: AuditShard,
}

/// What the shards, the journal and the writer share.
pub(super) struct Shared {
    pub(super) share: Share,
    /// The sink refuses; the cause of a gap is then not the writer's pace.
    pub(super) sink_fails: AtomicBool,
    /// The writer ends once its rings are empty.
    pub(super) stop: AtomicBool,
    /// The writer died: nothing that is recorded from here on is ever written.
    pub(super) dead: AtomicBool,
    /// Published tables that have no record yet; the shards never touch it.
    pub(super) events: Mutex<VecDeque<(SystemTime, Event)>>,
    /// What went wrong in the control plane, for the detectors.
    pub(super) troubles: Mutex<Vec<Trouble>>,
    /// What the detectors look for, where it was changed.
    pub(super) detect: ArcSwapOption<detect::Settings>,
    /// Lines of others for the same stream.
    pub(super) asides: Mutex<Vec<String>>,
    /// Where the spans of traced requests go.
    pub(super) spans: Spans,
}

impl Shared {
    pub(super) fn new(share: f64) -> Self {
        Self {
            share: Share::new(share),
            sink_fails: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            events: Mutex::default(),
            troubles: Mutex::default(),
            detect: ArcSwapOption::empty(),
            asides: Mutex::default(),
            spans: Spans::default(),
        }
    }
}

/// What one shard has counted and the writer has not got yet. Touched only by exceptional paths.
#[derive(Default)]
pub(super) struct Rest {
    /// Denials and allows inside counts that have not left the recorder.
    pub(super) counted: AtomicU64,
    /// What a dropped recorder could not push.
    pub(super) entries: Mutex<Vec<Entry>>,
}

/// The writer's end of one shard's rings.
pub(super) struct Lane {
    pub(super) allows: Consumer<Entry>,
    pub(super) denials: Consumer<Entry>,
    pub(super) rest: Arc<Rest>,
}

/// The log takes no more records: `on_full = "block"` and no room in time, or a dead writer. 503 `audit_unavailable`. Trying again helps once the writer catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision log takes no more records")]
pub struct Unavailable;

impl Recorder {
    pub(super) fn new(ids: Ids, on_full: OnFull, known: Known, shared: Arc<Shared>) -> (Self, Lane) {
        let (allows, allows_out) = RingBuffer::new(ALLOWS);
        let (denials, denials_out) = RingBuffer::new(DENIALS);
        let rest = Arc::new(Rest::default());
        let recorder = Self {
            ids,
            on_full,
            allows: RefCell::new(allows),
            denials: RefCell::new(denials),
            shard_seq: Cell::new(0),
            gap: Cell::new(None),
            fold: RefCell::default(),
            seen: Seen::new(known),
            shared,
            rest: Arc::clone(&rest),
            metrics: AuditShard::new(),
        };
        (recorder, Lane { allows: allows_out, denials: denials_out, rest })
    }

    /// A new id of a decision that is made `now`.
    pub fn id(&self, now: SystemTime) -> DecisionId {
        self.ids.next(now)
    }

    /// Waits for room for one allow under `on_full = "block"`, at most 50 ms; returns at once otherwise.
    ///
    /// The room is seen, not held: an eighth of the ring stays free for the requests that are under way, and should they find it full at their end,
    /// they are counted in a gap record.
    ///
    /// # Errors
    /// [`Unavailable`] when there was none in time, and in every mode when the writer died: nothing is forwarded without a decision log.
    ///
    /// # Cancel safety
    /// Nothing is held, so nothing is lost.
    pub async fn reserve(&self) -> Result<(), Unavailable> {
        if self.shared.dead.load(Ordering::Relaxed) {
            return Err(Unavailable);
        }
        if self.on_full != OnFull::Block || self.has_headroom() {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + BLOCK;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.has_headroom() {
                return Ok(());
            }
        }
        Err(Unavailable)
    }

    /// Records an allow; sampling and a full ring are counted, never silent.
    pub fn allow(&self, mut decision: Decision) {
        if decision.verdict == Verdict::Deny {
            return self.deny(decision);
        }
        let keep = keep(&decision, &self.shared.share, &self.seen);
        if keep == Keep::Not {
            self.metrics.sampled_out.increment(1);
            return;
        }
        if self.gap.get().is_some() {
            self.close_gap(EASED);
        }
        let at = decision.at;
        let thinned =
            self.on_full == OnFull::Sample && keep == Keep::Plain && self.allows.borrow().slots() < SCARCE && fastrand::u8(..THIN) != 0;
        trim::decision(&mut decision);
        if thinned || self.push(&self.allows, What::Decision(decision)).is_err() {
            self.miss(at);
        }
    }

    /// Records a denial; when this returns it is in the ring or inside an aggregate's count.
    pub fn deny(&self, mut decision: Decision) {
        trim::decision(&mut decision);
        self.critical(What::Decision(decision));
    }

    /// Records a refused handshake, with the same promise as a denial.
    pub fn handshake(&self, mut refused: RefusedHandshake) {
        trim::handshake(&mut refused);
        self.critical(What::Handshake(refused));
    }

    /// Hands counts of a past flood or gap over to the writer as far as there is room. The shard calls it every 100 ms; it costs nothing when there
    /// are none.
    pub fn flush(&self) {
        self.hand_over(0, usize::MAX);
        if self.gap.get().is_some() {
            self.close_gap(0);
        }
    }

    /// Whether there is nothing that [`Recorder::flush`] would hand over.
    pub fn is_settled(&self) -> bool {
        self.fold.borrow().is_empty() && self.gap.get().is_none()
    }

    fn critical(&self, what: What) {
        self.hand_over(SPARE, HAND_OVER);
        if let Err(what) = self.push(&self.denials, what) {
            self.count(what);
        }
    }

    #[expect(clippy::result_large_err, reason = "gives the record back without an allocation")]
    fn push(&self, ring: &RefCell<Producer<Entry>>, what: What) -> Result<(), What> {
        let shard_seq = self.shard_seq.get();
        match ring.borrow_mut().push(Entry { shard_seq, what }) {
            Ok(()) => {
                self.shard_seq.set(shard_seq + 1);
                Ok(())
            }
            Err(PushError::Full(entry)) => Err(entry.what),
        }
    }

    /// Counts a denial for which the ring had no room.
    fn count(&self, what: What) {
        let (key, id, table, at) = match what {
            What::Decision(decision) => (Key::of_decision(&decision), decision.id, decision.facts.table, decision.at),
            What::Handshake(refused) => {
                let (id, at) = (refused.id, refused.at);
                (Key::of_handshake(refused), id, None, at)
            }
            What::Aggregate(aggregate) => return self.fold.borrow_mut().put_back(aggregate),
            What::Gap(gap) => return self.gap.set(Some(gap)),
        };
        self.fold.borrow_mut().add(key, id, table, at);
        self.rest.counted.fetch_add(1, Ordering::Relaxed);
        self.metrics.folded.increment(1);
    }

    /// Moves at most `limit` aggregates into the deny ring while more than `spare` slots are free.
    fn hand_over(&self, spare: usize, limit: usize) {
        if self.fold.borrow().is_empty() {
            return;
        }
        for _ in 0..limit {
            if self.denials.borrow().slots() <= spare {
                return;
            }
            let Some(aggregate) = self.fold.borrow_mut().take() else { return };
            let count = aggregate.span.count;
            match self.push(&self.denials, What::Aggregate(aggregate)) {
                Ok(()) => self.rest.counted.fetch_sub(count, Ordering::Relaxed),
                Err(what) => return self.count(what),
            };
        }
    }

    /// Counts an allow for which the ring had no room.
    fn miss(&self, at: SystemTime) {
        let failing = self.shared.sink_fails.load(Ordering::Relaxed);
        let cause = if failing { Cause::SinkError } else { Cause::RingFull };
        let gap = match self.gap.get() {
            None => Gap { id: self.ids.next(at), cause, span: Span::one(at) },
            Some(mut gap) => {
                gap.span.add(at);
                gap.cause = if failing { cause } else { gap.cause };
                gap
            }
        };
        self.gap.set(Some(gap));
        self.rest.counted.fetch_add(1, Ordering::Relaxed);
        let lost = if failing { &self.metrics.lost_sink_error } else { &self.metrics.lost_ring_full };
        lost.increment(1);
    }

    /// Ends a gap episode with its record once more than `spare` slots are free.
    fn close_gap(&self, spare: usize) {
        if self.allows.borrow().slots() <= spare {
            return;
        }
        let Some(gap) = self.gap.take() else { return };
        match self.push(&self.allows, What::Gap(gap)) {
            Ok(()) => {
                self.rest.counted.fetch_sub(gap.span.count, Ordering::Relaxed);
            }
            Err(what) => self.count(what),
        }
    }

    fn has_headroom(&self) -> bool {
        self.allows.borrow().slots() > HEADROOM
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
        let mut entries = Vec::new();
        let mut leave = |what| {
            let shard_seq = self.shard_seq.get();
            self.shard_seq.set(shard_seq + 1);
            entries.push(Entry { shard_seq, what });
        };
        while let Some(aggregate) = self.fold.borrow_mut().take() {
            leave(What::Aggregate(aggregate));
        }
        if let Some(gap) = self.gap.take() {
            leave(What::Gap(gap));
        }
        // The count goes last and under the lock: the writer reads both together.
        let mut rest = self.rest.entries.lock().unwrap_or_else(PoisonError::into_inner);
        rest.append(&mut entries);
        self.rest.counted.store(0, Ordering::Relaxed);
    }
}
