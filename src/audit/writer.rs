//! The writer thread: rings → JSON → sink.

use super::entry::{Cause, Entry, Gap, Span};
use super::file::Files;
use super::id::Ids;
use super::render::Renderer;
use super::ring::{Lane, Shared};
use super::sampling::Share;
use super::sink::Output;
use super::{BootFacts, PolicyEvent, Recorder, Settings, Sink};
use crate::telemetry::metrics::AuditWriter;
use metrics::Counter;
use rtrb::Consumer;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

/// Records taken from each kind of ring before the lines go to the sink, shared by the shards: bounds the buffer to about 2 MiB.
const ROUND: usize = 1_024;
/// Fewer records than these and the writer waits for more: one write for several.
const FEW: usize = 64;
/// The writer's nap between two rounds; doubles while nothing comes.
const NAP: Duration = Duration::from_millis(1);
const LONG_NAP: Duration = Duration::from_millis(50);
/// From a refused write to the next try; doubles.
const RETRY: Duration = Duration::from_millis(100);
const LONG_RETRY: Duration = Duration::from_secs(1);
/// The least time between two lines about a failing sink in the process log.
const COMPLAIN: Duration = Duration::from_secs(10);
/// How long a failing sink is tried at the end.
const GIVE_UP: Duration = Duration::from_secs(2);
/// How long [`Writer::finish`] waits, a blocked standard output included.
const FINISH: Duration = Duration::from_secs(5);
/// Policy events that wait for the writer; a table is published once in seconds at most.
const EVENTS: usize = 1_024;

/// Gets a copy of each rendered line, newline excluded; lines are left out while it is full.
pub type Tap = SyncSender<Arc<str>>;

/// The control plane's end of the decision log. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    events: Arc<Mutex<VecDeque<(SystemTime, PolicyEvent)>>>,
}

impl Journal {
    /// Notes a published table.
    pub fn policy(&self, event: PolicyEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() < EVENTS {
            events.push_back((SystemTime::now(), event));
        } else {
            tracing::error!(generation = event.generation, "a published table left no record: the decision log's writer stands still");
        }
    }

    /// Changes the share of plain allows that are recorded.
    pub fn set_sample(&self, sample: f64) {
        self.shared.share.set(sample);
    }
}

/// The writer thread's handle.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: Thread,
    ended: Receiver<()>,
}

impl Writer {
    /// Writes out everything that is in the rings and ends the thread. Call when no shard records any more, best with the recorders dropped.
    /// Blocks, at most 5 s: a sink that takes nothing for so long is said in the process log.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if self.ended.recv_timeout(FINISH) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the decision log's sink blocks: its last records are not written");
        }
    }
}

/// Starts the writer thread; one recorder a shard.
///
/// # Errors
/// The directory of a `file` sink cannot be made or written.
pub fn start(settings: &Settings, boot: BootFacts, shards: usize) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    start_tapped(settings, boot, shards, None)
}

/// Like [`start`]; `tap` also gets each line. It never slows the writer.
///
/// # Errors
/// As [`start`].
pub fn start_tapped(settings: &Settings, boot: BootFacts, shards: usize, tap: Option<Tap>) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    let random = random()?;
    let boot_id = format!("{random:032x}");
    let output = open(settings, &boot_id)?;
    start_with(settings, boot, shards, tap, random, output)
}

pub(super) fn start_with(
    settings: &Settings,
    boot: BootFacts,
    shards: usize,
    tap: Option<Tap>,
    random: u128,
    output: Output,
) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    let shared = Arc::new(Shared { share: Share::new(settings.sample), sink_fails: AtomicBool::new(false) });
    let events = Arc::new(Mutex::new(VecDeque::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let (mut recorders, mut lanes) = (Vec::new(), Vec::new());
    for shard in 0..u16::try_from(shards).unwrap_or(u16::MAX) {
        let (recorder, lane) = Recorder::new(Ids::new(random as u64, shard), settings.on_full, Arc::clone(&shared));
        recorders.push(recorder);
        lanes.push(lane);
    }
    let mut lines = Lines::new(Renderer::new(format!("{random:032x}"), &settings.labels), tap, matches!(output, Output::None));
    lines.boot(&boot);
    let press = Press {
        quota: (ROUND / lanes.len().max(1)).max(16),
        lanes,
        events: Arc::clone(&events),
        // The last shard number is the writer's own.
        ids: Ids::new(random as u64, 0xfff),
        lines,
        output,
        shared: Arc::clone(&shared),
        stop: Arc::clone(&stop),
        metrics: AuditWriter::new(),
        trouble: None,
    };
    let (end, ended) = sync_channel(1);
    let handle = thread::Builder::new().name("decision-log".to_owned()).spawn(move || {
        press.run();
        let _ = end.send(());
    })?;
    Ok((recorders, Journal { shared, events }, Writer { stop, thread: handle.thread().clone(), ended }))
}

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(u128::from_ne_bytes(bytes))
}

fn open(settings: &Settings, boot_id: &str) -> io::Result<Output> {
    match &settings.sink {
        Sink::Stdout => Output::stdout(),
        Sink::File(directory) => Files::open(directory, boot_id.get(..8).unwrap_or(boot_id), settings.max_bytes).map(Output::Files),
        Sink::None => {
            tracing::warn!("the decision log is OFF (audit.sink = \"none\"): no decision leaves a record");
            Ok(Output::None)
        }
    }
}

/// Rendered lines that are not in the sink yet.
struct Lines {
    renderer: Renderer,
    seq: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that the sink has.
    written: usize,
    kinds: Vec<(&'static str, u64, Counter)>,
    tap: Option<Tap>,
    /// Nobody reads: records are taken and dropped.
    mute: bool,
}

impl Lines {
    fn new(renderer: Renderer, tap: Option<Tap>, sinkless: bool) -> Self {
        let mute = sinkless && tap.is_none();
        Self { renderer, seq: 0, buffer: Vec::new(), written: 0, kinds: Vec::new(), tap, mute }
    }

    fn boot(&mut self, boot: &BootFacts) {
        self.line(|renderer, out, seq| {
            renderer.boot(out, seq, SystemTime::now(), boot);
            "boot"
        });
    }

    fn entry(&mut self, shard: u16, entry: &Entry) {
        self.line(|renderer, out, seq| renderer.entry(out, seq, shard, entry));
    }

    /// Renders one record; everything that a line passes through comes here.
    fn line(&mut self, render: impl FnOnce(&mut Renderer, &mut Vec<u8>, u64) -> &'static str) {
        if self.mute {
            return;
        }
        let start = self.buffer.len();
        let kind = render(&mut self.renderer, &mut self.buffer, self.seq);
        self.seq += 1;
        match self.kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, count, _)) => *count += 1,
            None => self.kinds.push((kind, 1, AuditWriter::records(kind))),
        }
        if let Some(tap) = &self.tap {
            let line = self.buffer.get(start..self.buffer.len().saturating_sub(1)).unwrap_or_default();
            let _ = tap.try_send(String::from_utf8_lossy(line).into());
        }
    }

    fn unwritten(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
        for (_, count, counter) in &mut self.kinds {
            counter.increment(std::mem::take(count));
        }
    }
}

fn drain(ring: &mut Consumer<Entry>, quota: usize, shard: u16, lines: &mut Lines) -> usize {
    for collected in 0..quota {
        let Ok(entry) = ring.pop() else { return collected };
        lines.entry(shard, &entry);
    }
    quota
}

/// A sink that refuses.
struct Trouble {
    errors: u64,
    wait: Duration,
    said: Instant,
}

/// The writer thread's state: collect, render, write.
struct Press {
    lanes: Vec<Lane>,
    quota: usize,
    events: Arc<Mutex<VecDeque<(SystemTime, PolicyEvent)>>>,
    ids: Ids,
    lines: Lines,
    output: Output,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    metrics: AuditWriter,
    trouble: Option<Trouble>,
}

impl Press {
    fn run(mut self) {
        let mut nap = NAP;
        let mut stopping_since: Option<Instant> = None;
        loop {
            super::halt::wait();
            // Read before the rings: what was pushed before the stop is then collected.
            let stopping = self.stop.load(Ordering::Acquire);
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
            if let Err(error) = self.output.tick(Instant::now()) {
                self.refused(&error);
            }
            match collected {
                0 if stopping => break,
                0 => {
                    thread::park_timeout(nap);
                    nap = (nap * 2).min(LONG_NAP);
                }
                few if few < FEW && !stopping => {
                    nap = NAP;
                    thread::park_timeout(nap);
                }
                _ => nap = NAP,
            }
        }
        self.end();
    }

    /// Renders what waits, denials first, a bounded number from each shard in turn; says how many.
    fn collect(&mut self) -> usize {
        let mut collected = 0;
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, event) in events {
            collected += 1;
            self.lines.line(|renderer, out, seq| {
                renderer.policy(out, seq, at, &event);
                "policy"
            });
        }
        let Self { lanes, lines, quota, .. } = self;
        for (lane, shard) in lanes.iter_mut().zip(0..) {
            collected += drain(&mut lane.denials, *quota, shard, lines);
        }
        for (lane, shard) in lanes.iter_mut().zip(0..) {
            collected += drain(&mut lane.allows, *quota, shard, lines);
        }
        collected
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
                self.lines.written += refused.written;
                self.refused(&refused.error);
                false
            }
        }
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
                let gap = Gap { id: self.ids.next(), cause: Cause::Unfinished, span: Span { count, first: now, last: now } };
                self.lines.line(|renderer, out, seq| {
                    renderer.gap(out, seq, &gap);
                    "gap"
                });
            }
        }
        if !self.write_out() {
            let missing = self.lines.unwritten().iter().filter(|byte| **byte == b'\n').count() as u64
                + self.lanes.iter().map(|lane| (lane.denials.slots() + lane.allows.slots()) as u64).sum::<u64>();
            self.metrics.lost.increment(missing);
            tracing::error!(records = missing, "the decision log's last records are lost: its sink refuses them");
        }
        if let Err(error) = self.output.finish() {
            self.metrics.sink_errors.increment(1);
            tracing::error!(%error, "the decision log's last file may not be complete on the disk");
        }
    }
}
