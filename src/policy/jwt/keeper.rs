//! Reads one source's keys over and over, on the control runtime. What was good last stays in force, however long its source gives nothing better.

use super::issuer::Source;
use super::key_set::{KeySetError, MAX_BYTES};
use super::keys::Keys;
use crate::fetch::{Blob, BlobSource, FetchError, Fetcher, Known, Remote};
use crate::runtime::watch::FileWatch;
use crate::telemetry::metrics;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// From one answer to the next question where the server does not say how long its answer is good.
const USUAL: Duration = Duration::from_secs(3_600);

/// The least and the most that a server can say.
const OFTEN: Duration = Duration::from_secs(60);
const SELDOM: Duration = Duration::from_secs(24 * 3_600);

/// From the first question without an answer to the next one, then twice as long each time; and the most of it.
const AGAIN: Duration = Duration::from_secs(2);
const FAILING: Duration = Duration::from_secs(300);

/// From one question that a token with an unknown key caused to the next such one.
const WANTED: Duration = Duration::from_secs(10);

/// One source, and how reading it went.
pub(super) struct Keeper {
    pub(super) keys: Arc<Keys>,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    known: Known,
    read: Option<(Instant, SystemTime)>,
    failing: u32,
    problem: Option<String>,
}

/// How a key set stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysStanding {
    /// Where it comes from, without a query.
    pub source: String,
    /// The keys in force that verify tokens; `None`: there never were any, and tokens of the issuer prove nothing.
    pub keys: Option<usize>,
    /// Since it was read, or its server said that it is as it was; `None`: never.
    pub age: Option<Duration>,
    /// Why it was not read last time; `None`: it was.
    pub problem: Option<String>,
}

/// Why keys were not read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The server gives nothing.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    File(#[from] io::Error),
    /// What is there is not what it should be.
    #[error("{0}")]
    Unusable(#[from] KeySetError),
    /// Reading it was cut off.
    #[error("reading it panicked")]
    Panicked,
}

impl KeysError {
    /// Whether keys are there that are no keys: nothing but its owner mends that.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Unusable(_))
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::File(error) if error.kind() == io::ErrorKind::FileTooLarge => "too_large",
            Self::File(_) => "unreadable",
            Self::Unusable(_) | Self::Panicked => "unusable",
        }
    }
}

/// The text of a key set in a file. Blocks.
///
/// # Errors
/// What the file system says, or that it is longer than 512 KiB.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= MAX_BYTES => Ok(text),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 512 KiB")),
    }
}

/// How a source is read.
enum Way {
    File(PathBuf, Box<FileWatch>),
    Remote(Remote),
}

impl Way {
    fn of(source: &Source, fetcher: &Fetcher) -> Self {
        match source {
            Source::File(path) => Self::File(path.clone(), Box::new(FileWatch::new(vec![path.clone()]))),
            Source::Remote(url) => Self::Remote(fetcher.at(url.clone(), MAX_BYTES)),
        }
    }
}

impl Keeper {
    pub(super) fn new(keys: Arc<Keys>) -> Self {
        Self { keys, state: Mutex::default(), asked: Notify::new() }
    }

    pub(super) fn standing(&self) -> KeysStanding {
        let state = self.state();
        KeysStanding {
            source: self.keys.source().to_string(),
            keys: self.keys.current().map(|set| set.count()),
            age: state.read.map(|(at, _)| at.elapsed()),
            problem: state.problem.clone(),
        }
    }

    /// When it was read last, by the wall clock.
    pub(super) fn read_at(&self) -> Option<SystemTime> {
        self.state().read.map(|(_, at)| at)
    }

    /// Has it read the keys now.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Reads a file at once, so that a table that names it does not wait for a task. Blocks.
    pub(super) fn read_now(&self) {
        if let Source::File(path) = self.keys.source() {
            self.note(read_file(path).map_err(KeysError::from).and_then(|text| Ok(self.keys.take(&text)?)));
        }
    }

    /// Reads the keys whenever it is time, and tells `answered` each time. Never ends.
    ///
    /// # Cancel safety
    /// A set is taken whole or not at all.
    pub(super) async fn follow(&self, fetcher: &Fetcher, answered: impl Fn()) {
        let mut way = Way::of(self.keys.source(), fetcher);
        let mut allowed = Instant::now();
        loop {
            self.keys.hear();
            self.once(&way).await;
            answered();
            let due = Instant::now() + self.pause();
            let turn = async {
                match &mut way {
                    Way::File(_, watch) => watch.changed().await,
                    Way::Remote(_) => sleep_until(due).await,
                }
            };
            let wanted = async {
                self.keys.wanted().await;
                sleep_until(allowed).await;
            };
            tokio::select! {
                () = turn => {}
                () = self.asked.notified() => {}
                () = wanted => allowed = Instant::now() + WANTED,
            }
        }
    }

    async fn once(&self, way: &Way) {
        let taken = match way {
            Way::Remote(remote) => self.fetch(remote).await,
            Way::File(path, _) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await.map_err(|_| KeysError::Panicked);
                self.parse(read.and_then(|text| Ok(text?))).await
            }
        };
        self.note(taken);
    }

    async fn fetch(&self, remote: &Remote) -> Result<bool, KeysError> {
        let known = self.state().known.clone();
        match remote.get(&known).await? {
            Blob::Unchanged => Ok(false),
            Blob::Changed(text, known) => {
                let is_new = self.parse(Ok(text)).await?;
                self.state().known = known;
                Ok(is_new)
            }
        }
    }

    /// Checking up to 256 keys takes a while: not on the runtime that answers health checks.
    async fn parse(&self, text: Result<Vec<u8>, KeysError>) -> Result<bool, KeysError> {
        let (keys, text) = (Arc::clone(&self.keys), text?);
        let taken = tokio::task::spawn_blocking(move || keys.take(&text)).await;
        Ok(taken.map_err(|_| KeysError::Panicked)??)
    }

    /// Keeps how it went. Says it when that is another thing than last time.
    fn note(&self, taken: Result<bool, KeysError>) {
        metrics::jwks_read(match &taken {
            Ok(true) => "ok",
            Ok(false) => "unchanged",
            Err(error) => error.reason(),
        });
        let mut state = self.state();
        match taken {
            Ok(is_new) => {
                if is_new || state.problem.is_some() {
                    tracing::info!(source = %self.keys.source(), keys = self.keys.current().map(|set| set.count()), "a key set is in force");
                }
                *state = State { known: state.known.clone(), read: Some((Instant::now(), SystemTime::now())), ..State::default() };
            }
            Err(error) => {
                let text = error.to_string();
                if state.problem.as_ref() != Some(&text) {
                    let kept = self.keys.current().is_some();
                    tracing::warn!(source = %self.keys.source(), error = text, kept, "a key set was not read; what was read last stays in force");
                }
                state.failing = state.failing.saturating_add(1);
                state.problem = Some(text);
            }
        }
    }

    /// From one question to the next: asked before the answer is too old, and not by all sidecars at once.
    fn pause(&self) -> Duration {
        let state = self.state();
        if state.failing > 0 {
            let pause = AGAIN.saturating_mul(1 << state.failing.saturating_sub(1).min(16)).min(FAILING);
            return pause.mul_f64(0.8 + fastrand::f64() / 5.0);
        }
        let good = state.known.fresh().unwrap_or(USUAL).clamp(OFTEN, SELDOM);
        good.mul_f64(0.7 + fastrand::f64() / 5.0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
