//! The writer thread: rings → JSON → sink.

use super::boot_key::BootKey;
use super::certify::Certifying;
use super::detect::{Detecting, Detectors};
use super::entry::Event;
use super::file::{Files, Previous};
use super::id::Ids;
use super::lines::Lines;
use super::pairs::Pairs;
use super::press::{Parts, Press};
use super::render::Renderer;
use super::ring::Shared;
use super::sink::Output;
use super::users::Names;
use super::watch::Watchers;
use super::{BootFacts, PolicyEvent, Recorder, Settings, Sink, Trouble, TrustEvent, detect};
use crate::policy::quarantine::Change;
use crate::runtime::readiness::Readiness;
use crate::runtime::signer::DigestSigner;
use crate::runtime::tasks::count_panic;
use bytes::Bytes;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc::Receiver;

/// How long [`Writer::finish`] waits, a blocked standard output included.
const FINISH: Duration = Duration::from_secs(5);
/// Lines that are enough for one write, bytes.
const SHARE: u64 = 2 << 20;
/// Events of the control plane that wait for the writer. A table is published once in seconds at most; trust can be withdrawn from every peer at once,
/// and there are no more of these than connections.
const EVENTS: usize = 16_384;

/// Troubles that wait for the writer.
const TROUBLES: usize = 64;

/// Gets a copy of each rendered line, newline excluded; lines are left out while it is full.
pub type Tap = SyncSender<Arc<str>>;

/// The control plane's end of the decision log. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    certifying: Certifying,
    /// Who looks at the log; `None` where there is none.
    watchers: Option<Arc<Watchers>>,
}

impl Journal {
    /// Gets the key certified that signs the checkpoints of this boot; asks until it is.
    ///
    /// # Cancel safety
    /// Nothing is lost; the log goes on with a key that is not certified.
    pub async fn certify(self, signer: Arc<dyn DigestSigner>, readiness: Readiness) {
        self.certifying.run(signer, readiness).await;
    }

    /// Notes a published table.
    pub fn policy(&self, event: PolicyEvent) {
        self.note(Event::Policy(event));
    }

    /// Notes that trust was withdrawn from a peer.
    pub fn trust(&self, event: TrustEvent) {
        self.note(Event::Trust(event));
    }

    /// Notes a change of the quarantine.
    pub fn action(&self, change: Change) {
        self.note(Event::Action(change));
    }

    /// Tells the detectors of what went wrong; of so much that they cannot be told, the process log says it all the same.
    pub fn trouble(&self, trouble: Trouble) {
        let mut troubles = self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() < TROUBLES {
            troubles.push(trouble);
        }
    }

    /// Changes what the detectors look for.
    pub fn set_detect(&self, settings: detect::Settings) {
        self.shared.detect.store(Some(Arc::new(settings)));
    }

    fn note(&self, event: Event) {
        let mut events = self.shared.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() < EVENTS {
            return events.push_back((SystemTime::now(), event));
        }
        match event {
            Event::Policy(PolicyEvent { generation, .. }) => {
                tracing::error!(generation, "a published table left no record: the decision log's writer stands still");
            }
            Event::Trust(TrustEvent { peer, reason, .. }) => {
                tracing::error!(id = %peer.principal, reason, "trust was withdrawn without a record: the decision log's writer stands still");
            }
            // Made by the writer itself, which does not come this way.
            Event::Finding(_) => {}
            Event::Action(Change { act, held, .. }) => {
                tracing::error!(subject = %held.subject, action = act.as_str(), "an action left no record: the decision log's writer stands still");
            }
        }
    }

    /// Has whole lines of others, without their newlines, written between the records; for standard output, which the writer owns. `Err`: those before are
    /// still waiting, so these are not taken.
    ///
    /// # Errors
    /// Gives the lines back.
    pub fn aside(&self, lines: Vec<String>) -> Result<(), Vec<String>> {
        let mut waiting = self.shared.asides.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            return Err(lines);
        }
        *waiting = lines;
        Ok(())
    }

    /// Has a span made of each record of a request whose caller keeps its own spans; the first call counts.
    #[cfg(feature = "otlp")]
    pub fn make_spans(&self, queue: crate::telemetry::otlp::Queue) {
        self.shared.spans.go_to(queue);
    }

    /// Whether records are still written; once they are not, they never are again.
    pub fn is_writing(&self) -> bool {
        !self.shared.dead.load(Ordering::Relaxed)
    }

    /// Each line from now on with its newline, for a few at once; who does not keep up misses some, of which a line `{"left_out":N}` tells.
    ///
    /// # Errors
    /// Why not, for the operator.
    pub fn watch(&self) -> Result<Receiver<Bytes>, String> {
        let watchers = self.watchers.as_ref().ok_or("the decision log is off (audit.sink = \"none\")\n")?;
        watchers.watch().ok_or_else(|| "as many look at the decision log as may at once; end another `audit tail`\n".to_owned())
    }

    /// Changes the share of plain allows that are recorded.
    pub fn set_sample(&self, sample: f64) {
        self.shared.share.set(sample);
    }
}

/// The writer thread's handle.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Thread,
    ended: mpsc::Receiver<()>,
}

impl Writer {
    /// Writes out everything that is in the rings and ends the thread. Call when no shard records any more, best with the recorders dropped.
    /// Blocks, at most 5 s: a sink that takes nothing for so long is said in the process log.
    pub fn finish(self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if self.ended.recv_timeout(FINISH) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the decision log's sink blocks: its last records are not written");
        }
    }
}

/// Starts the writer thread; one recorder a shard.
///
/// # Errors
/// The directory of a `file` sink cannot be made or written, or the key for names of end users cannot be read.
pub fn start(settings: &Settings, boot: BootFacts, shards: usize) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    start_tapped(settings, boot, shards, None, None)
}

/// Like [`start`]; `tap` also gets each line and never slows the writer; `detecting`: the records are looked at.
///
/// # Errors
/// As [`start`].
pub fn start_tapped(
    settings: &Settings,
    boot: BootFacts,
    shards: usize,
    tap: Option<Tap>,
    detecting: Option<Detecting>,
) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    let random = random()?;
    let boot_id = format!("{random:032x}");
    let (output, previous) = open(settings, &boot_id)?;
    start_with(settings, boot, shards, Beside { tap, detecting }, Opened { random, output, previous })
}

/// Who else gets the records.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) tap: Option<Tap>,
    pub(super) detecting: Option<Detecting>,
}

/// A sink, for one boot.
pub(super) struct Opened {
    /// What the boot's id and those of its decisions are made of.
    pub(super) random: u128,
    pub(super) output: Output,
    /// Where the boot before ended.
    pub(super) previous: Option<Previous>,
}

pub(super) fn start_with(
    settings: &Settings,
    boot: BootFacts,
    shards: usize,
    beside: Beside,
    opened: Opened,
) -> io::Result<(Vec<Recorder>, Journal, Writer)> {
    let (Beside { tap, detecting }, Opened { random, mut output, previous }) = (beside, opened);
    let shared = Arc::new(Shared::new(settings.sample));
    let pairs = Pairs::open(settings.sink.directory());
    let (mut recorders, mut lanes) = (Vec::new(), Vec::new());
    for shard in 0..u16::try_from(shards).unwrap_or(u16::MAX) {
        let (recorder, lane) = Recorder::new(Ids::new(random as u64, shard), settings.on_full, pairs.known(), Arc::clone(&shared));
        recorders.push(recorder);
        lanes.push(lane);
    }
    let boot_id = format!("{random:032x}");
    let renderer = Renderer::new(&boot_id, &settings.labels).naming(Names::of(&settings.users)?);
    let share = output.files().map_or(SHARE, |files| SHARE.min(files.share()));
    let watchers = Arc::new(Watchers::default());
    let sinkless = matches!(output, Output::None);
    let mut lines = Lines::new(boot_id.clone(), renderer, settings.format, tap, Arc::clone(&watchers), sinkless, share as usize);
    lines.boot(&boot, previous.as_ref());
    // The last shard numbers are the writer's own.
    let detectors = detecting.map(|detecting| Detectors::new(detecting, Ids::new(random as u64, 0xffe), Instant::now()));
    let ids = Ids::new(random as u64, 0xfff);
    let key = BootKey::make(&boot_id, &boot.workload, settings.labels.get("task").map(String::as_str))?;
    let certifying = Certifying { holder: Arc::clone(key.holder()), certificate: Arc::clone(key.certificate()) };
    let press = Press::new(Parts { lanes, ids, key, lines, output, pairs, detectors, shared: Arc::clone(&shared) });
    let dying = Arc::clone(&shared);
    let (end, ended) = sync_channel(1);
    let handle = thread::Builder::new().name("decision-log".to_owned()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| press.run())).is_err() {
            dying.dead.store(true, Ordering::Relaxed);
            count_panic("decision-log");
            tracing::error!("the decision log's writer died: every request is refused with audit_unavailable; restart the process");
        }
        let _ = end.send(());
    })?;
    let journal = Journal { shared: Arc::clone(&shared), certifying, watchers: (!sinkless).then_some(watchers) };
    Ok((recorders, journal, Writer { shared, thread: handle.thread().clone(), ended }))
}

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(u128::from_ne_bytes(bytes))
}

fn open(settings: &Settings, boot_id: &str) -> io::Result<(Output, Option<Previous>)> {
    match &settings.sink {
        Sink::Stdout => Ok((Output::stdout()?, None)),
        Sink::File(directory) => {
            let (files, previous) = Files::open(directory, boot_id.get(..8).unwrap_or(boot_id), settings.max_bytes, settings.compress)?;
            Ok((Output::Files(Box::new(files)), previous))
        }
        Sink::None => {
            tracing::warn!("the decision log is OFF (audit.sink = \"none\"): no decision leaves a record");
            Ok((Output::None, None))
        }
    }
}
