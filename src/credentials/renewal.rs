//! Keeps a valid certificate: first issue, renewal before half of its life is over, the last good one until its end.

use super::issued::Issued;
use super::schedule::Attempts;
use super::settings::{Renew, Settings};
use super::source::{CertificateSource, Factory, SourceError};
use super::standing::{LOOK, Standing, humane};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::{self, Process};
use crate::trust::Bundles;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};

/// The longest time one attempt may take, from the call of the source to its answer.
const ATTEMPT: Duration = Duration::from_secs(60);

/// The task that obtains and renews our certificate; one attempt at a time.
pub struct Renewal {
    source: Box<dyn CertificateSource>,
    settings: watch::Sender<Option<Settings>>,
    making: Option<(Factory, watch::Receiver<Option<Arc<Bundles>>>)>,
    renew: Renew,
    clock: Arc<dyn Clock>,
    standing: Standing,
    trigger: Arc<Notify>,
    attempts: Attempts,
    /// From the start to the first attempt: up to this.
    spread: Duration,
}

impl Renewal {
    /// Renews from the source that `factory` makes of the settings; not ready (`certificate`) until there is one.
    pub fn new(
        settings: &Settings,
        factory: Factory,
        bundles: watch::Receiver<Option<Arc<Bundles>>>,
        clock: Arc<dyn Clock>,
        readiness: Readiness,
    ) -> Self {
        let source = factory(settings, Arc::clone(&clock), bundles.clone());
        let spread = settings.source.start_spread();
        Self { making: Some((factory, bundles)), spread, ..Self::from_source(source, settings.renew, clock, readiness) }
    }

    /// Renews from this source.
    pub fn from_source(source: Box<dyn CertificateSource>, renew: Renew, clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        let standing = Standing::new(renew, Arc::clone(&clock), readiness);
        let (settings, trigger) = (watch::Sender::new(None), Arc::new(Notify::new()));
        Self { source, settings, making: None, renew, clock, standing, trigger, attempts: Attempts::default(), spread: Duration::ZERO }
    }

    /// Our certificate; `None` until the first one is there.
    pub fn issued(&self) -> watch::Receiver<Option<Arc<Issued>>> {
        self.standing.published.subscribe()
    }

    /// Takes other files, of a reloaded configuration; a bad pair leaves the old certificate in force.
    pub fn settings(&self) -> watch::Sender<Option<Settings>> {
        self.settings.clone()
    }

    /// Wakes the task: `notify_one` makes it obtain a certificate now.
    pub fn trigger(&self) -> Arc<Notify> {
        Arc::clone(&self.trigger)
    }

    /// Obtains, renews and publishes until dropped.
    ///
    /// # Cancel safety
    /// An attempt that is dropped may have issued a certificate that is then not used; nothing is half published.
    pub async fn run(mut self) {
        let mut changes = self.settings.subscribe();
        let mut due = Due::After(Instant::now() + Attempts::first(self.spread, fastrand::f64()));
        loop {
            if due.left(self.clock.now()).is_zero() {
                due = self.attempt().await;
            }
            self.standing.report();
            let wait = due.left(self.clock.now()).min(self.standing.until_look());
            tokio::select! {
                () = self.trigger.notified() => due = Due::NOW,
                () = self.source.changed() => due = Due::NOW,
                () = sleep(wait) => {}
                Ok(()) = changes.changed() => {
                    if let (Some(settings), Some((factory, bundles))) = (changes.borrow_and_update().as_ref(), &self.making) {
                        self.source = factory(settings, Arc::clone(&self.clock), bundles.clone());
                    }
                    due = Due::NOW;
                }
            }
        }
    }

    /// One attempt; gives the time of the next.
    pub(super) async fn attempt(&mut self) -> Due {
        match obtain(self.source.as_mut(), &self.standing).await {
            Ok(Ok(issued)) => self.succeeded(issued),
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.failed(&SourceError::Silent),
        }
    }

    fn succeeded(&mut self, issued: Issued) -> Due {
        let present = self.standing.published.borrow().as_ref().is_some_and(|current| current.leaf.fingerprint == issued.leaf.fingerprint);
        self.attempts.succeeded();
        self.standing.satisfied();
        let planned = issued.life().renew_at(&self.renew, fastrand::f64());
        if !present {
            let expires = humane(issued.not_after());
            tracing::info!(id = %issued.id, serial = issued.leaf.serial, %expires, "a new certificate is in force");
            Process::handles().rotations_ok.increment(1);
            self.standing.published.send_replace(Some(Arc::new(issued)));
        }
        // Files that were not replaced by their time are looked at again, without haste.
        let earliest = self.clock.now().checked_add(if present { LOOK } else { Duration::from_millis(100) });
        Due::At(planned.max(earliest.unwrap_or(planned)))
    }

    fn failed(&mut self, error: &SourceError) -> Due {
        match error {
            // Trust comes by itself a moment later.
            SourceError::NoTrust => self.standing.waits(error.to_string()),
            _ => {
                Process::handles().rotations_failed.increment(1);
                metrics::rotation_failed(error.reason());
                self.standing.complain(error.reason(), error.to_string());
            }
        }
        match error {
            SourceError::Budget(stop) => Due::At(stop.until),
            _ => Due::After(Instant::now() + self.attempts.failed(error.setback(), self.standing.left(), fastrand::f64())),
        }
    }

    #[cfg(all(test, feature = "testing"))]
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }
}

/// Asks the source; one that hangs does not keep us from saying how much life is left.
async fn obtain(source: &mut dyn CertificateSource, standing: &Standing) -> Result<Result<Issued, SourceError>, Elapsed> {
    let mut obtaining = pin!(timeout(ATTEMPT, source.obtain()));
    loop {
        tokio::select! {
            biased;
            obtained = &mut obtaining => return obtained,
            () = sleep(standing.until_look()) => standing.report(),
        }
    }
}

/// When the next attempt is due.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    /// Renewal follows the wall clock, as the certificate's end does.
    At(SystemTime),
    /// A pause between attempts follows no clock that somebody sets: one that is set back two hours would make it two hours longer.
    After(Instant),
}

impl Due {
    const NOW: Self = Self::At(SystemTime::UNIX_EPOCH);

    /// From `now`, as the wall clock shows it, until then; zero: it is due.
    pub(super) fn left(self, now: SystemTime) -> Duration {
        match self {
            Self::At(moment) => moment.duration_since(now).unwrap_or_default(),
            Self::After(moment) => moment.saturating_duration_since(Instant::now()),
        }
    }
}
