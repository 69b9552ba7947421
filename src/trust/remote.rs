//! Revocation lists from servers: each is fetched by a task of its own, so that one that hangs holds up nothing.

use super::confirm::Way;
use super::crl::{Crl, CrlError};
use crate::fetch::{Blob, BlobSource, FetchError, Known, Url};
use crate::identity::TrustDomain;
use crate::runtime::clock::Clock;
use crate::telemetry::metrics;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most between two questions.
const SELDOM: Duration = Duration::from_secs(3_600);

/// The least between two questions of which the first one was answered.
const OFTEN: Duration = Duration::from_secs(60);

/// The most between two questions while there is no answer, or none that is still good.
const FAILING: Duration = Duration::from_secs(300);

/// From the first question without an answer to the next one; then twice as long each time.
const AGAIN: Duration = Duration::from_secs(2);

/// One list, or the lists of one PEM text, at one URL.
pub(super) struct RemoteList {
    pub(super) url: Url,
    /// For whose sake.
    pub(super) domain: TrustDomain,
    is_required: AtomicBool,
    state: Mutex<State>,
    asked: Notify,
}

/// What is known of it.
#[derive(Debug, Default)]
struct State {
    /// What came last.
    latest: Vec<Arc<Crl>>,
    /// The newest of each row whose issuer's signature was seen: it stays beside what came later until that is known to be the issuer's too.
    confirmed: Vec<Arc<Crl>>,
    known: Known,
    fetched: Option<(Instant, SystemTime)>,
    failing: u32,
    problem: Option<String>,
}

/// How a list that is fetched stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    /// The trust domain that it is for.
    pub domain: String,
    /// Where it comes from, without a query.
    pub url: String,
    /// Whether peers are refused until it is there.
    pub is_required: bool,
    /// Since its server gave it, or said that it is as it was; `None`: it never did.
    pub age: Option<Duration>,
    /// Why it was not fetched last time; `None`: it was.
    pub problem: Option<String>,
}

/// Why what a server answers is not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what the server gives {0}")]
    Unusable(#[from] CrlError),
    #[error(
        "the server gives a list of {issuer} that is older than the one in force: somebody repeats an old one, or the authority was put back to a backup"
    )]
    Older { issuer: String },
    #[error("reading it panicked")]
    Panicked,
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::Unusable(_) | Self::Panicked => "unusable",
            Self::Older { .. } => "older",
        }
    }
}

impl RemoteList {
    pub(super) fn new(url: Url, domain: TrustDomain) -> Self {
        Self { url, domain, is_required: AtomicBool::new(false), state: Mutex::default(), asked: Notify::new() }
    }

    /// Whether peers are refused without it.
    pub(super) fn require(&self, is_required: bool) {
        self.is_required.store(is_required, Ordering::Relaxed);
    }

    /// The lists in force. At most one of each row is not known to be its issuer's.
    pub(super) fn lists(&self) -> Vec<Arc<Crl>> {
        let mut state = self.state();
        state.settle();
        let others = state.confirmed.iter().filter(|old| !state.latest.contains(old));
        state.latest.iter().chain(others).cloned().collect()
    }

    /// Has the task ask now.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    pub(super) fn standing(&self) -> Fetching {
        let state = self.state();
        Fetching {
            domain: self.domain.to_string(),
            url: self.url.to_string(),
            is_required: self.is_required.load(Ordering::Relaxed),
            age: state.fetched.map(|(at, _)| at.elapsed()),
            problem: state.problem.clone(),
        }
    }

    /// When it was fetched last, by the wall clock.
    pub(super) fn fetched_at(&self) -> Option<SystemTime> {
        self.state().fetched.map(|(_, at)| at)
    }

    /// Asks, and asks again before the list ends; each answer is told to `answered`, with whether it was something new. Never ends.
    ///
    /// # Cancel safety
    /// A list is taken whole or not at all.
    pub(super) async fn follow(&self, source: &dyn BlobSource, clock: &dyn Clock, answered: impl Fn(News)) {
        loop {
            answered(self.once(source, clock).await);
            let pause = self.state().pause(clock.now());
            let pause = pause.mul_f64(0.8 + fastrand::f64() / 5.0);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.asked.notified() => {}
            }
        }
    }

    async fn once(&self, source: &dyn BlobSource, clock: &dyn Clock) -> News {
        let known = self.state().conditions(clock.now());
        let taken = match source.get(&known).await {
            Ok(Blob::Unchanged) => Ok(None),
            Ok(Blob::Changed(bytes, known)) => self.read(bytes).await.map(|lists| Some((lists, known))),
            Err(error) => Err(error.into()),
        };
        let taken = taken.and_then(|news| self.state().take(news));
        metrics::crl_fetch(match &taken {
            Ok(News::Lists) => "ok",
            Ok(News::Nothing) => "unchanged",
            Err(refused) => refused.reason(),
        });
        let mut state = self.state();
        match taken {
            Ok(news) => {
                if state.problem.take().is_some() || state.fetched.is_none() {
                    tracing::info!(domain = %self.domain, url = %self.url, "a revocation list was fetched");
                }
                state.fetched = Some((Instant::now(), clock.now()));
                state.failing = 0;
                news
            }
            Err(refused) => {
                let text = refused.to_string();
                if state.problem.as_ref() != Some(&text) {
                    let held = state.latest.len();
                    tracing::warn!(domain = %self.domain, url = %self.url, error = text, held, "a revocation list was not fetched; what was fetched last stays in force");
                }
                state.failing = state.failing.saturating_add(1);
                state.problem = Some(text);
                News::Nothing
            }
        }
    }

    async fn read(&self, bytes: Vec<u8>) -> Result<Vec<Arc<Crl>>, Refused> {
        let origin = self.url.to_string();
        // A large list takes a while: not on the runtime that answers health checks.
        let read = tokio::task::spawn_blocking(move || Crl::read(&origin, Way::Network, &bytes)).await;
        Ok(read.map_err(|_| Refused::Panicked)??)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an attempt brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Other lists than before.
    Lists,
    /// The same, or none.
    Nothing,
}

impl State {
    /// Takes what came, unless one of it is older than a list of the same row that is known to be its issuer's.
    fn take(&mut self, news: Option<(Vec<Arc<Crl>>, Known)>) -> Result<News, Refused> {
        let Some((lists, known)) = news else { return Ok(News::Nothing) };
        self.settle();
        let older = |list: &&Arc<Crl>| self.confirmed.iter().any(|confirmed| list.is_older_than(confirmed));
        if let Some(list) = lists.iter().find(older) {
            return Err(Refused::Older { issuer: list.issuer.clone() });
        }
        self.known = known;
        if lists == self.latest {
            return Ok(News::Nothing);
        }
        self.latest = lists;
        Ok(News::Lists)
    }

    /// What has been confirmed meanwhile takes the place of what was.
    fn settle(&mut self) {
        for list in self.latest.iter().filter(|list| list.is_confirmed()) {
            self.confirmed.retain(|old| !old.continues(list));
            self.confirmed.push(Arc::clone(list));
        }
    }

    /// Asks for another version only where this one is its issuer's and in the first half of its time: who can change an answer on the way can also say
    /// of a version that it is the last one for a hundred years.
    fn conditions(&self, now: SystemTime) -> Known {
        let fresh = |list: &Arc<Crl>| {
            list.is_confirmed() && list.left(now) * 2 > list.next_update.duration_since(list.this_update).unwrap_or_default()
        };
        if !self.latest.is_empty() && self.latest.iter().all(fresh) { self.known.clone() } else { Known::default() }
    }

    /// From one question to the next: half of what the first list to end has left, in bounds.
    fn pause(&self, now: SystemTime) -> Duration {
        if self.failing > 0 {
            return AGAIN.saturating_mul(1 << self.failing.saturating_sub(1).min(16)).min(FAILING);
        }
        match self.latest.iter().map(|list| list.left(now)).min().unwrap_or_default() {
            Duration::ZERO => FAILING,
            left => (left / 2).clamp(OFTEN, SELDOM),
        }
    }
}

/// All of them, whatever their domain; shared with whoever says how they stand.
#[derive(Clone, Default)]
pub struct RemoteLists(Arc<Mutex<Vec<Arc<RemoteList>>>>);

impl RemoteLists {
    /// How each stands.
    pub fn standing(&self) -> Vec<Fetching> {
        self.all().iter().map(|list| list.standing()).collect()
    }

    pub(super) fn replace(&self, lists: Vec<Arc<RemoteList>>) {
        *self.all() = lists;
        self.measure();
    }

    /// Sets the gauge of the list that was fetched longest ago.
    pub(super) fn measure(&self) {
        let since_epoch = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let oldest = self.all().iter().map(|list| list.fetched_at().map_or(0.0, since_epoch)).min_by(f64::total_cmp);
        if let Some(oldest) = oldest {
            metrics::crl_fetched().set(oldest);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<RemoteList>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
