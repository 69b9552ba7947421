//! The bundles that the policy tables in force came in: which were accepted before, and whether their time is over.

use super::status::rfc3339;
use crate::audit::{Journal, Sink, Trouble};
use crate::policy::bundle::{Bundles, Fetched, Manifest, Open, Sequences, Standing};
use crate::policy::{self, Judging, Listeners, LoadError, LoadedTables, Part, Settings};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::Process;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// What status and readiness call it.
const NOTE: &str = "policy_bundle";

/// Beside the decision log: which bundles were accepted.
const FILE: &str = "policy-sequences.json";

/// How long a start, and a reload that names new sources, wait for the first answers from elsewhere.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// How sources elsewhere are asked.
pub struct Way {
    /// Where that runs: the control runtime.
    pub runtime: Handle,
    /// Makes what asks.
    pub open: Open,
}

/// What a running process knows of bundles.
pub struct Bundled {
    sequences: Sequences,
    fetched: Fetched,
    way: Way,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_force: Bundles,
    /// What was said of their ends last, so that it is said once.
    said: Option<String>,
}

impl Bundled {
    /// Reads which bundles were accepted before, where a log in files has a place for that, and says where there is none. Begins to ask the sources that are
    /// elsewhere, and waits for their answers for a while. Blocks.
    pub fn open(settings: &Settings, sink: &Sink, clock: Arc<dyn Clock>, way: Way) -> Self {
        let sequences = match (sink, &settings.signed) {
            // Also where tables are not signed: a reload may bring the key.
            (Sink::File(directory), _) => Sequences::open(directory.join(FILE)),
            (Sink::Stdout | Sink::None, Some(signed)) => {
                let (own, boundary) = (signed.own.min_sequence, signed.boundary.min_sequence);
                tracing::warn!(
                    min_sequence = own,
                    boundary_min_sequence = boundary,
                    "which policy bundles were accepted is not kept over a restart, as the decision log is not in files; after one, nothing older \
                     than [policy] min_sequence is accepted, and raising that is the only way to withdraw a bundle that is still good"
                );
                Sequences::default()
            }
            (_, None) => Sequences::default(),
        };
        let bundled = Self { sequences, fetched: Fetched::default(), way, clock, state: Mutex::default() };
        bundled.follow(settings);
        bundled.fetched.wait(FIRST_ANSWER);
        bundled
    }

    /// Asks the sources of these settings, and no others.
    pub fn follow(&self, settings: &Settings) {
        self.fetched.follow(&self.way.runtime, &settings.remotes(), settings.refresh, &self.way.open);
    }

    /// Asks the sources of `next` beside those of the settings in force, and waits for the first answers for a while. Blocks.
    pub fn prepare(&self, current: &Settings, next: &Settings) {
        let (known, wanted) = (current.remotes(), next.remotes());
        if wanted.iter().any(|remote| !known.contains(remote)) {
            self.fetched.follow(&self.way.runtime, &[known, wanted].concat(), next.refresh, &self.way.open);
            self.fetched.wait(FIRST_ANSWER);
        }
    }

    /// What came from elsewhere.
    pub fn fetched(&self) -> &Fetched {
        &self.fetched
    }

    /// The wall clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Reads every table, and remembers nothing of it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, settings: &Settings, listeners: &Listeners) -> Result<LoadedTables, LoadError> {
        policy::load_all(settings, listeners, Judging { sequences: &self.sequences, fetched: &self.fetched, now: self.clock.now() })
    }

    /// Remembers bundles whose tables are about to be in force: nothing older is accepted from here on.
    pub fn accept(&self, bundles: &Bundles) {
        if let Err(error) = self.sequences.accept(bundles) {
            tracing::error!(%error, "which policy bundles were accepted cannot be written: a restart would accept the ones before again");
        }
    }

    /// Their tables are in force.
    pub fn put(&self, bundles: Bundles) {
        for (part, manifest) in bundles.all().filter(|bundle| !self.state().in_force.all().any(|before| before == *bundle)) {
            let Manifest { name, version, sequence, not_after, .. } = manifest;
            tracing::info!(part = part.as_str(), name, version, sequence, %not_after, "policy bundle accepted");
        }
        self.state().in_force = bundles;
    }

    /// Looks whether the time of any of them is over, and says so.
    pub fn look(&self, journal: &Journal, readiness: &Readiness) {
        let now = self.clock.now();
        let mut state = self.state();
        let stale: Vec<String> = state.in_force.stale(now).map(|(part, manifest)| words(part, manifest)).collect();
        Process::handles().policy_bundle_stale.set(stale.len() as f64);
        if stale.is_empty() {
            state.said = None;
            return readiness.unnote(NOTE);
        }
        let text = stale.join("; ");
        readiness.note(NOTE, text.clone());
        if state.said.as_ref() != Some(&text) {
            tracing::error!(
                stale = text,
                "a policy bundle is past its date; its table stays in force until there is another one, and a restart would deny everything"
            );
            journal.trouble(Trouble::ReloadFailed(format!("the policy: {text}")));
            state.said = Some(text);
        }
    }

    /// What `countersign status` shows.
    pub fn status(&self) -> Value {
        let now = self.clock.now();
        let state = self.state();
        state.in_force.all().map(|(part, manifest)| said(part, manifest, now)).collect()
    }

    /// The same of the sources elsewhere.
    pub fn sources(&self) -> Value {
        let said = |Standing { source, age, problem }: Standing| json!({ "from": source, "age_s": age.map(|age| age.as_secs()), "problem": problem });
        self.fetched.standing().into_iter().map(said).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(part: Part, Manifest { name, sequence, not_after, .. }: &Manifest) -> String {
    format!("the {} bundle `{name}` with sequence {sequence} was good until {not_after}", part.as_str())
}

fn said(part: Part, manifest: &Manifest, now: SystemTime) -> Value {
    let Manifest { name, version, sequence, not_after, .. } = manifest;
    let end = not_after.time();
    json!({ "part": part.as_str(), "name": name, "version": version, "sequence": sequence, "not_after": rfc3339(end), "stale": end <= now })
}
