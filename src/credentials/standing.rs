//! The certificate in force, and what is told of it: readiness and the gauge.

use super::issued::Issued;
use super::settings::Renew;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::Process;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

const CONDITION: &str = "certificate";

/// The wall clock is read again at least this often: it may be set, and a laptop may have slept.
pub(super) const LOOK: Duration = Duration::from_secs(60);

/// What is in force now, by the wall clock.
pub(super) struct Standing {
    pub(super) published: watch::Sender<Option<Arc<Issued>>>,
    /// Why the last attempt failed, until one succeeds.
    complaint: Option<String>,
    renew: Renew,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
}

impl Standing {
    /// Nothing is in force: not ready.
    pub(super) fn new(renew: Renew, clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        let standing = Self { published: watch::Sender::new(None), complaint: None, renew, clock, readiness };
        standing.report();
        standing
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// How much life the certificate in force has left; `None`: there is none, or it is over.
    pub(super) fn left(&self) -> Option<Duration> {
        self.published.borrow().as_ref().and_then(|issued| issued.life().left(self.now()))
    }

    /// An attempt succeeded.
    pub(super) fn satisfied(&mut self) {
        self.complaint = None;
        self.readiness.unnote(CONDITION);
    }

    /// An attempt failed, and nothing is wrong.
    pub(super) fn waits(&mut self, problem: String) {
        tracing::debug!(problem, "no certificate yet");
        self.complaint = Some(problem);
    }

    /// An attempt failed: said once for each problem.
    pub(super) fn complain(&mut self, reason: &'static str, problem: String) {
        if self.complaint.as_ref() == Some(&problem) {
            return;
        }
        match self.published.borrow().as_deref().map(|issued| humane(issued.not_after())) {
            Some(until) => {
                tracing::error!(reason, problem, until, "the certificate was not replaced; the old one stays in force until its end");
                self.readiness.note(CONDITION, format!("it was not replaced: {problem}"));
            }
            None => tracing::error!(reason, problem, "no certificate yet; trying again"),
        }
        self.complaint = Some(problem);
    }

    /// Readiness and the gauge, from what is in force now.
    pub(super) fn report(&self) {
        match self.published.borrow().as_deref() {
            None => {
                let detail = self.complaint.as_deref().unwrap_or("no certificate was obtained yet");
                self.readiness.pending(CONDITION, detail);
            }
            Some(issued) => {
                let now = self.now();
                let left = issued.not_after().duration_since(now).unwrap_or_default();
                Process::handles().svid_expires.set(left.as_secs_f64());
                if now < issued.life().not_ready_before(&self.renew) {
                    self.readiness.ready(CONDITION);
                } else {
                    let why = self.complaint.as_deref().unwrap_or("it was not renewed in time");
                    self.readiness.pending(CONDITION, format!("{} s of life left: {why}", left.as_secs()));
                }
            }
        }
    }

    /// From now to the next look at the clock: a minute, or less where readiness changes by itself before.
    pub(super) fn until_look(&self) -> Duration {
        let published = self.published.borrow();
        let moment = published.as_deref().map(|issued| issued.life().not_ready_before(&self.renew));
        match moment.and_then(|moment| moment.duration_since(self.now()).ok()) {
            Some(left) => left.clamp(Duration::from_millis(10), LOOK),
            None => LOOK,
        }
    }
}

/// A moment as RFC 3339 writes it.
pub(super) fn humane(moment: SystemTime) -> String {
    time::OffsetDateTime::from(moment).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
