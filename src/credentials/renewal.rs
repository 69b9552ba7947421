//! Keeps a valid certificate: first issue, renewal before half of its life is over, the last good one until its end.

use super::issued::Issued;
use super::schedule::{back_off, not_ready_before, renew_at};
use super::settings::{Renew, Settings};
use super::source::{CertificateSource, Factory, SourceError};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::Process;
use crate::trust::Bundles;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};

const CONDITION: &str = "certificate";

/// The wall clock is read again at least this often: it may be set, and a laptop may have slept.
const LOOK: Duration = Duration::from_secs(60);

/// The longest time one attempt may take, from the call of the source to its answer.
const ATTEMPT: Duration = Duration::from_secs(60);

/// The task that obtains and renews our certificate; one attempt at a time.
pub struct Renewal {
    source: Box<dyn CertificateSource>,
    settings: watch::Sender<Option<Settings>>,
    making: Option<(Factory, watch::Receiver<Option<Arc<Bundles>>>)>,
    renew: Renew,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    published: watch::Sender<Option<Arc<Issued>>>,
    trigger: Arc<Notify>,
    failures: u32,
    complaint: Option<String>,
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
        Self { making: Some((factory, bundles)), ..Self::from_source(source, settings.renew, clock, readiness) }
    }

    /// Renews from this source.
    pub fn from_source(source: Box<dyn CertificateSource>, renew: Renew, clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        readiness.pending(CONDITION, "no certificate was obtained yet");
        let (published, trigger) = (watch::Sender::new(None), Arc::new(Notify::new()));
        Self {
            source,
            settings: watch::Sender::new(None),
            making: None,
            renew,
            clock,
            readiness,
            published,
            trigger,
            failures: 0,
            complaint: None,
        }
    }

    /// Our certificate; `None` until the first one is there.
    pub fn issued(&self) -> watch::Receiver<Option<Arc<Issued>>> {
        self.published.subscribe()
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
        let mut due = self.clock.now();
        loop {
            let now = self.clock.now();
            if now >= due {
                due = self.attempt().await;
            }
            self.report();
            let wait = due.duration_since(self.clock.now()).unwrap_or_default().min(LOOK).min(self.until_not_ready());
            tokio::select! {
                () = self.trigger.notified() => due = self.clock.now(),
                () = self.source.changed() => due = self.clock.now(),
                () = tokio::time::sleep(wait) => {}
                Ok(()) = changes.changed() => {
                    if let (Some(settings), Some((factory, bundles))) = (changes.borrow_and_update().as_ref(), &self.making) {
                        self.source = factory(settings, Arc::clone(&self.clock), bundles.clone());
                    }
                    due = self.clock.now();
                }
            }
        }
    }

    /// One attempt; gives the time of the next.
    pub(super) async fn attempt(&mut self) -> SystemTime {
        let obtained = tokio::time::timeout(ATTEMPT, self.source.obtain()).await;
        match obtained {
            Ok(Ok(issued)) => self.succeeded(issued),
            Ok(Err(error)) => self.failed(&error.to_string(), matches!(error, SourceError::NoTrust)),
            Err(_) => self.failed("the source did not answer within 60 s", false),
        }
    }

    fn succeeded(&mut self, issued: Issued) -> SystemTime {
        let present = self.published.borrow().as_ref().is_some_and(|current| current.leaf.fingerprint == issued.leaf.fingerprint);
        self.failures = 0;
        self.complaint = None;
        self.readiness.unnote(CONDITION);
        let planned = renew_at(&issued, &self.renew, fastrand::f64());
        if !present {
            let expires = humane(issued.not_after());
            tracing::info!(id = %issued.id, serial = issued.leaf.serial, %expires, "a new certificate is in force");
            Process::handles().rotations_ok.increment(1);
            self.published.send_replace(Some(Arc::new(issued)));
        }
        // Files that were not replaced by their time are looked at again, without haste.
        let earliest = self.clock.now().checked_add(if present { LOOK } else { Duration::from_millis(100) });
        planned.max(earliest.unwrap_or(planned))
    }

    fn failed(&mut self, problem: &str, expected: bool) -> SystemTime {
        self.failures = self.failures.saturating_add(1);
        if self.complaint.as_deref() != Some(problem) {
            let holds = self.published.borrow().as_ref().map(|issued| humane(issued.not_after()));
            match holds {
                _ if expected => tracing::debug!(problem, "no certificate yet"),
                Some(until) => {
                    tracing::error!(problem, until, "the certificate was not replaced; the old one stays in force until its end");
                    self.readiness.note(CONDITION, format!("it was not replaced: {problem}"));
                }
                None => tracing::error!(problem, "no certificate yet; trying again"),
            }
            self.complaint = Some(problem.to_owned());
        }
        if !expected {
            Process::handles().rotations_failed.increment(1);
        }
        let now = self.clock.now();
        now.checked_add(back_off(self.failures, fastrand::f64())).unwrap_or(now)
    }

    /// Readiness and the gauge, from what is in force now.
    pub(super) fn report(&self) {
        let now = self.clock.now();
        match self.published.borrow().as_deref() {
            None => {
                let detail = self.complaint.as_deref().unwrap_or("no certificate was obtained yet");
                self.readiness.pending(CONDITION, detail);
            }
            Some(issued) => {
                let left = issued.not_after().duration_since(now).unwrap_or_default();
                Process::handles().svid_expires.set(left.as_secs_f64());
                if now < not_ready_before(issued, &self.renew) {
                    self.readiness.ready(CONDITION);
                } else {
                    let why = self.complaint.as_deref().unwrap_or("it was not renewed in time");
                    self.readiness.pending(CONDITION, format!("{} s of life left: {why}", left.as_secs()));
                }
            }
        }
    }

    /// From now to the moment when readiness changes by itself; long after it.
    fn until_not_ready(&self) -> Duration {
        let published = self.published.borrow();
        let moment = published.as_deref().map(|issued| not_ready_before(issued, &self.renew));
        match moment.and_then(|moment| moment.duration_since(self.clock.now()).ok()) {
            Some(left) => left.max(Duration::from_millis(10)),
            None => LOOK,
        }
    }
}

fn humane(moment: SystemTime) -> String {
    time::OffsetDateTime::from(moment).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
