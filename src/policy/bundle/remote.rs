//! Bundles from elsewhere: each source is asked by a task of its own, and what came last is there for whoever reads the tables.

use super::MAX_BYTES;
use crate::fetch::{Blob, BlobSource, FetchError, Known, Url};
#[cfg(feature = "aws")]
use crate::runtime::s3_object::S3Object;
use crate::runtime::tasks::spawn;
use crate::telemetry::metrics;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The most between two questions while there is no answer.
const FAILING: Duration = Duration::from_secs(300);

/// From the first question without an answer to the next one; then twice as long each time.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a bundle is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// A server, over https.
    Https(Url),
    /// An object in S3.
    #[cfg(feature = "aws")]
    S3(S3Object),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(url) => url.fmt(f),
            #[cfg(feature = "aws")]
            Self::S3(object) => object.fmt(f),
        }
    }
}

/// Makes what asks a source, for so many bytes at most.
pub type Open = Arc<dyn Fn(&Remote, u64) -> Box<dyn BlobSource> + Send + Sync>;

/// What every source gave last. Cheap to clone; without [`Fetched::follow`] there is nothing.
#[derive(Clone, Default)]
pub struct Fetched {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sources: Mutex<Vec<Running>>,
    /// Tells that a source has answered, or failed to.
    answered: Condvar,
    news: watch::Sender<u64>,
}

/// A source that is asked; dropping it ends that.
struct Running {
    followed: Arc<Followed>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One source.
struct Followed {
    remote: Remote,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    bytes: Option<Arc<[u8]>>,
    known: Known,
    at: Option<Instant>,
    failing: u32,
    problem: Option<String>,
}

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where it is, without a query.
    pub source: String,
    /// Since it gave a bundle, or said that it is as it was; `None`: it never did.
    pub age: Option<Duration>,
    /// Why it was not fetched last time; `None`: it was.
    pub problem: Option<String>,
}

impl Fetched {
    /// What a source gave last.
    ///
    /// # Errors
    /// Why it has given nothing.
    pub(in crate::policy) fn bytes(&self, remote: &Remote) -> Result<Arc<[u8]>, String> {
        let Some(followed) = self.find(remote) else { return Err("it is elsewhere, and is not asked for here".to_owned()) };
        let state = lock(&followed.state);
        let why = || state.problem.clone().unwrap_or_else(|| "it is being fetched".to_owned());
        state.bytes.clone().ok_or_else(why)
    }

    /// Follows these sources and no others from now on, and asks each at once; of those that were followed before, what is known stays. The tasks run on
    /// `runtime`.
    pub fn follow(&self, runtime: &Handle, remotes: &[Remote], refresh: Duration, open: &Open) {
        let mut sources = lock(&self.shared.sources);
        let known = |remote: &Remote| sources.iter().map(|running| &running.followed).find(|known| known.remote == *remote).cloned();
        let mut next: Vec<Running> = Vec::new();
        for remote in remotes {
            if next.iter().all(|running| running.followed.remote != *remote) {
                let followed = known(remote).unwrap_or_else(|| Arc::new(Followed::new(remote.clone())));
                let (following, source, shared) = (Arc::clone(&followed), open(remote, MAX_BYTES), Arc::downgrade(&self.shared));
                let answered = move |is_news: bool| {
                    if let Some(shared) = shared.upgrade() {
                        shared.answered(is_news);
                    }
                };
                let _inside = runtime.enter();
                let task = spawn("policy source", async move { following.follow(&*source, refresh, answered).await });
                next.push(Running { followed, task });
            }
        }
        *sources = next;
    }

    /// Waits until every source has answered, or failed to, at most this long. Blocks.
    pub fn wait(&self, at_most: Duration) {
        let sources = lock(&self.shared.sources);
        let waits = |sources: &mut Vec<Running>| sources.iter().any(|running| !running.followed.has_answered());
        drop(self.shared.answered.wait_timeout_while(sources, at_most, waits).unwrap_or_else(PoisonError::into_inner));
    }

    /// Has every source asked now.
    pub fn ask(&self) {
        lock(&self.shared.sources).iter().for_each(|running| running.followed.asked.notify_one());
    }

    /// Moves whenever a source has given something new, or another reason why it gives nothing.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    /// How each source stands.
    pub fn standing(&self) -> Vec<Standing> {
        lock(&self.shared.sources).iter().map(|running| running.followed.standing()).collect()
    }

    fn find(&self, remote: &Remote) -> Option<Arc<Followed>> {
        lock(&self.shared.sources).iter().map(|running| &running.followed).find(|followed| followed.remote == *remote).cloned()
    }
}

impl Shared {
    fn answered(&self, is_news: bool) {
        if is_news {
            self.news.send_modify(|count| *count += 1);
        }
        // Whoever looks at the sources is waiting by now, or will see the answer.
        drop(lock(&self.sources));
        self.answered.notify_all();
    }
}

impl Followed {
    fn new(remote: Remote) -> Self {
        Self { remote, state: Mutex::default(), asked: Notify::new() }
    }

    /// Asks again and again; tells `answered` each time whether there is something new to read, or to say. Never ends.
    async fn follow(&self, source: &dyn BlobSource, refresh: Duration, answered: impl Fn(bool)) {
        loop {
            answered(self.once(source).await);
            tokio::select! {
                () = tokio::time::sleep(self.pause(refresh)) => {}
                () = self.asked.notified() => {}
            }
        }
    }

    /// Asks once; whether there is something new to read, or to say.
    async fn once(&self, source: &dyn BlobSource) -> bool {
        let known = lock(&self.state).known.clone();
        let answer = source.get(&known).await;
        metrics::policy_fetch(match &answer {
            Ok(Blob::Changed(..)) => "ok",
            Ok(Blob::Unchanged) => "unchanged",
            Err(error) => error.reason(),
        });
        let mut state = lock(&self.state);
        match answer {
            Ok(blob) => {
                if state.problem.is_some() {
                    tracing::info!(source = %self.remote, "a policy source answers again");
                }
                (state.at, state.failing, state.problem) = (Some(Instant::now()), 0, None);
                state.take(blob)
            }
            Err(error) => self.failed(&mut state, &error),
        }
    }

    fn failed(&self, state: &mut State, error: &FetchError) -> bool {
        let text = error.to_string();
        state.failing = state.failing.saturating_add(1);
        if state.problem.as_ref() == Some(&text) {
            return false;
        }
        let held = state.bytes.is_some();
        tracing::warn!(source = %self.remote, error = text, held, "a policy source was not read; what it gave last stays");
        state.problem = Some(text);
        !held
    }

    /// From one question to the next, not by all sidecars at once.
    fn pause(&self, refresh: Duration) -> Duration {
        let pause = match lock(&self.state).failing {
            0 => refresh,
            failing => AGAIN.saturating_mul(1 << (failing - 1).min(16)).min(FAILING),
        };
        pause.mul_f64(0.8 + fastrand::f64() / 5.0)
    }

    fn has_answered(&self) -> bool {
        let state = lock(&self.state);
        state.bytes.is_some() || state.problem.is_some()
    }

    fn standing(&self) -> Standing {
        let state = lock(&self.state);
        Standing { source: self.remote.to_string(), age: state.at.map(|at| at.elapsed()), problem: state.problem.clone() }
    }
}

impl State {
    /// Keeps what came; whether it is something else than before.
    fn take(&mut self, blob: Blob) -> bool {
        let Blob::Changed(bytes, known) = blob else { return false };
        let is_new = self.bytes.as_deref() != Some(&bytes);
        self.known = known;
        if is_new {
            self.bytes = Some(bytes.into());
        }
        is_new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
