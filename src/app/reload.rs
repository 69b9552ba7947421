//! What a running process takes over from changed files: the policy table by itself, the configuration when it is told to.

use super::put_in_force;
use super::routing::Routing;
use crate::audit::Journal;
use crate::config::reload::{Part, compare};
use crate::config::{self, Loaded};
use crate::policy::jwt::Keepers;
use crate::policy::{self, LoadError, Source};
use crate::proxy::Plan;
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::FileWatch;
use crate::telemetry::log::LogLevel;
use crate::telemetry::metrics::Process;
use crate::{credentials, trust};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};

/// How often a shadow mode that is past its end is said again.
const OVERDUE: Duration = Duration::from_secs(3_600);

/// What a reload changes.
pub struct Targets {
    /// The data path.
    pub plan: Arc<Plan>,
    /// Upstreams and the addresses of their names.
    pub routing: Arc<Routing>,
    /// What a table is read against.
    pub listeners: policy::Listeners,
    /// The table in force.
    pub tables: policy::Publisher,
    /// The keys of token issuers.
    pub key_sets: Keepers,
    /// The decision log.
    pub journal: Journal,
    /// For `/ready`.
    pub readiness: Readiness,
    /// Where trust bundles come from.
    pub trust: watch::Sender<Vec<trust::Settings>>,
    /// Reads them again.
    pub trust_trigger: Arc<Notify>,
    /// Where our certificate comes from.
    pub credentials: watch::Sender<Option<credentials::Settings>>,
    /// Looks at certificate files again.
    pub credentials_trigger: Arc<Notify>,
    /// The process log.
    pub log: Option<LogLevel>,
}

/// Reads files again, keeps what was good.
pub struct Reloader {
    loaded: Mutex<Loaded>,
    source: Option<String>,
    targets: Targets,
    /// What was said last about the policy source, so that it is said once.
    complaint: Mutex<Option<String>>,
    policy_changed: Notify,
}

impl Reloader {
    /// Starts from what is in force.
    pub fn new(loaded: Loaded, source: Option<String>, targets: Targets) -> Self {
        Self { loaded: Mutex::new(loaded), source, targets, complaint: Mutex::default(), policy_changed: Notify::new() }
    }

    /// The configuration in force.
    pub fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the configuration again and takes over what a running process can change; then the files that it names. Says what changed.
    ///
    /// # Errors
    /// Every problem; then nothing has changed.
    pub fn reload(&self) -> Result<String, String> {
        let outcome = self.reload_configuration();
        match &outcome {
            Ok(changed) => {
                Process::handles().config_ok.increment(1);
                tracing::info!(changed, "configuration reloaded");
            }
            Err(problems) => {
                Process::handles().config_failed.increment(1);
                tracing::error!(problems, "configuration not reloaded; the old one stays in force");
            }
        }
        outcome
    }

    fn reload_configuration(&self) -> Result<String, String> {
        let mut changed = Vec::new();
        if let Some(source) = &self.source {
            let new = config::load(source).map_err(|problems| problems.to_string())?;
            compare(&self.loaded(), &new).map_err(|problems| problems.to_string())?;
            let routing = &self.targets.routing;
            // Waits for answers of DNS, so not under the lock that `status` needs too.
            routing.prepare(&new.config.upstreams);
            changed = self.take_all(new).inspect_err(|_| routing.keep())?;
        } else {
            self.reload_policy()?;
        }
        self.targets.trust_trigger.notify_one();
        self.targets.key_sets.ask();
        if self.loaded().config.credentials.source.is_reread() {
            self.targets.credentials_trigger.notify_one();
        }
        Ok(if changed.is_empty() { "nothing but the files it names".into() } else { changed.join(", ") })
    }

    fn take_all(&self, new: Loaded) -> Result<Vec<&'static str>, String> {
        let mut loaded = self.loaded();
        let changes = compare(&loaded, &new).map_err(|problems| problems.to_string())?;
        // The table is the part that can fail: it goes first, so that nothing is taken over when it does.
        let table = policy::load(&new.config.policy.source, &self.targets.listeners).map_err(|error| error.to_string())?;
        self.take_table(table);
        let changed = changes.iter().map(|part| self.take(part, &new)).collect();
        *loaded = new;
        self.policy_changed.notify_one();
        Ok(changed)
    }

    fn take(&self, part: Part, new: &Loaded) -> &'static str {
        let Targets { plan, routing, trust, credentials, journal, log, .. } = &self.targets;
        match part {
            Part::Policy => return "[policy]",
            Part::Trust => {
                trust.send_replace(new.config.trust.clone());
                return "[[trust]]";
            }
            Part::Upstreams => {
                routing.replace(new.config.upstreams.clone());
                return "[[upstream]]";
            }
            Part::CredentialFiles => {
                credentials.send_replace(Some(new.config.credentials.clone()));
                return "[credentials.file]";
            }
            Part::Authority => {
                credentials.send_replace(Some(new.config.credentials.clone()));
                return "[credentials.acm_pca]";
            }
            Part::Timeouts => plan.timeouts.store(Arc::new(new.config.timeouts.clone())),
            Part::AuditSample => {
                journal.set_sample(new.config.audit.sample);
                return "[audit] sample";
            }
            Part::LogLevel => {
                if let Some(log) = log
                    && let Err(error) = log.set(&new.config.log.level)
                {
                    tracing::error!(%error, "the log level was not changed");
                }
                return "[log] level";
            }
        }
        "[timeouts]"
    }

    /// Reads the policy table again.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays in force.
    pub fn reload_policy(&self) -> Result<(), String> {
        let source = self.loaded().config.policy.source.clone();
        match policy::load(&source, &self.targets.listeners) {
            Ok(table) => {
                self.take_table(table);
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
                if complaint.as_ref() != Some(&text) {
                    Process::handles().policy_failed.increment(1);
                    let none = self.targets.tables.snapshot().is_none();
                    match (&error, none) {
                        (LoadError::Malformed(problems), _) => {
                            tracing::error!(%problems, "the policy table was not replaced; the old one stays in force");
                        }
                        (error, false) => tracing::error!(%error, "the policy table cannot be read; the old one stays in force"),
                        (error, true) => tracing::error!(%error, "there is still no policy: every request is denied"),
                    }
                    *complaint = Some(text.clone());
                }
                Err(text)
            }
        }
    }

    fn take_table(&self, table: policy::Table) {
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let same = self.targets.tables.snapshot().is_some_and(|current| current.facts == table.facts);
        if same {
            Process::handles().policy_unchanged.increment(1);
        } else {
            put_in_force(&self.targets.tables, table, &self.targets.key_sets, &self.targets.journal);
        }
        self.targets.readiness.ready("policy");
    }

    /// Follows the policy file, and reminds of shadow modes that are past their end.
    pub async fn watch_policy(self: Arc<Self>) {
        let mut said: Option<SystemTime> = None;
        loop {
            let source = self.loaded().config.policy.source.clone();
            let mut watch = FileWatch::new(match &source {
                Source::File(path) => vec![path.clone()],
                Source::Env(_) => Vec::new(),
            });
            loop {
                said = self.remind(said);
                tokio::select! {
                    () = watch.changed() => {}
                    () = self.policy_changed.notified() => {}
                }
                if self.loaded().config.policy.source != source {
                    break;
                }
                let reading = Arc::clone(&self);
                // Parsing a large table takes a while: not on the runtime that answers health checks.
                let _ = tokio::task::spawn_blocking(move || reading.reload_policy()).await;
            }
        }
    }

    fn remind(&self, said: Option<SystemTime>) -> Option<SystemTime> {
        let now = self.targets.plan.clock.now();
        let overdue = self.targets.tables.snapshot().map(|table| table.overdue_shadows(now)).unwrap_or_default();
        Process::handles().shadow_overdue.set(overdue.len() as f64);
        let recently = said.is_some_and(|at| now.duration_since(at).is_ok_and(|since| since < OVERDUE));
        if overdue.is_empty() || recently {
            return if overdue.is_empty() { None } else { said };
        }
        tracing::warn!(overdue = overdue.len(), "shadow modes of the policy table are past their shadow_until; they still enforce nothing");
        Some(now)
    }
}
