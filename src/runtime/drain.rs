//! The end of the process: not ready, stop accepting, finish what runs, stop.

use super::limits::Timeouts;
use super::readiness::Readiness;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// Inbound connections are told to close; outbound still serves the app's last requests.
    InboundClosing,
    /// Outbound connections are told to close as well.
    OutboundClosing,
    /// Whatever is left ends now.
    Cut,
}

/// What is still there, counted by the data path.
#[derive(Debug, Default)]
pub struct Live {
    /// Inbound connections.
    pub inbound_connections: AtomicUsize,
    /// Inbound requests between decision and end.
    pub inbound_requests: AtomicUsize,
    /// Outbound connections of the app.
    pub outbound_connections: AtomicUsize,
    /// Outbound requests between decision and end.
    pub outbound_requests: AtomicUsize,
    /// Requests that were cut at the end, responses that were still being sent included.
    pub cut: AtomicUsize,
}

/// Tells everyone how far the end has come. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    stop_inbound: Arc<watch::Sender<bool>>,
    stop_outbound: Arc<watch::Sender<bool>>,
    requested: Arc<Notify>,
    started: Arc<AtomicBool>,
    hurry: Arc<watch::Sender<bool>>,
    live: Arc<Live>,
}

/// How the drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything finished by itself.
    Clean,
    /// Requests were cut; how many.
    Cut(usize),
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
            stop_inbound: Arc::new(watch::Sender::new(false)),
            stop_outbound: Arc::new(watch::Sender::new(false)),
            requested: Arc::new(Notify::new()),
            started: Arc::new(AtomicBool::new(false)),
            hurry: Arc::new(watch::Sender::new(false)),
            live: Arc::default(),
        }
    }
}

impl Drain {
    /// Asks for the end; a second call makes it happen now.
    pub fn request(&self) {
        if self.started.swap(true, Ordering::SeqCst) {
            self.hurry.send_replace(true);
        }
        self.requested.notify_one();
    }

    /// Whether the end was asked for.
    pub fn requested(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    /// The phases, for the data path.
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Turns true when the inbound listener must stop accepting.
    pub fn stop_inbound(&self) -> watch::Receiver<bool> {
        self.stop_inbound.subscribe()
    }

    /// Turns true when the outbound listener must stop accepting.
    pub fn stop_outbound(&self) -> watch::Receiver<bool> {
        self.stop_outbound.subscribe()
    }

    /// The counters that decide when the drain is done.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// How it ended; known once every shard has ended.
    pub fn outcome(&self) -> Drained {
        match self.live.cut.load(Ordering::SeqCst) {
            0 => Drained::Clean,
            cut => Drained::Cut(cut),
        }
    }

    /// Waits for the request, then leads the process through its end (`[timeouts] pre_drain`, `drain`).
    pub async fn run(&self, timeouts: impl Fn() -> Timeouts, readiness: &Readiness) {
        self.requested.notified().await;
        let Timeouts { pre_drain, drain, .. } = timeouts();
        readiness.pending("draining", "the process is ending");
        tracing::info!(pre_drain_s = pre_drain.as_secs_f64(), drain_s = drain.as_secs_f64(), "drain begins");
        let mut hurry = self.hurry.subscribe();
        tokio::select! {
            biased;
            _ = hurry.wait_for(|now| *now) => {}
            () = self.lead(pre_drain, drain) => {}
        }
        self.stop_inbound.send_replace(true);
        self.stop_outbound.send_replace(true);
        self.phase.send_replace(Phase::Cut);
    }

    /// Until all requests have ended, at most until the drain's time is over.
    async fn lead(&self, pre_drain: Duration, drain: Duration) {
        sleep(pre_drain).await;
        let end = Instant::now() + drain;
        self.stop_inbound.send_replace(true);
        self.phase.send_replace(Phase::InboundClosing);
        let live = &self.live;
        let inbound = [&live.inbound_connections, &live.inbound_requests];
        let done = async {
            none(&inbound).await;
            none(&[&live.outbound_requests]).await;
            self.phase.send_replace(Phase::OutboundClosing);
            self.stop_outbound.send_replace(true);
            none(&[&live.outbound_requests]).await;
        };
        let _ = timeout_at(end, done).await;
    }
}

/// Waits until all counters are zero. Looks every 20 ms: the request path must not pay for a wake-up that matters once in a process's life.
async fn none(counters: &[&AtomicUsize]) {
    while counters.iter().any(|counter| counter.load(Ordering::SeqCst) > 0) {
        sleep(Duration::from_millis(20)).await;
    }
}
