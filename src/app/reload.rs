//! What a running process takes over from its configuration when it is told to.

use super::bundles::Bundled;
use super::routing::Routing;
use super::tables::Keeper;
use crate::audit::{Journal, Trouble};
use crate::config::reload::{Part, compare};
use crate::config::{self, Loaded};
use crate::policy::jwt::Keepers;
use crate::proxy::Plan;
use crate::telemetry::log::LogLevel;
use crate::telemetry::metrics::Process;
use crate::{credentials, trust};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// What a reload changes.
pub struct Targets {
    /// The data path.
    pub plan: Arc<Plan>,
    /// Upstreams and the addresses of their names.
    pub routing: Arc<Routing>,
    /// The policy tables.
    pub tables: Arc<Keeper>,
    /// The decision log.
    pub journal: Journal,
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
}

impl Reloader {
    /// Starts from what is in force.
    pub fn new(loaded: Loaded, source: Option<String>, targets: Targets) -> Self {
        Self { loaded: Mutex::new(loaded), source, targets }
    }

    /// The keys of token issuers.
    pub fn key_sets(&self) -> &Keepers {
        self.targets.tables.key_sets()
    }

    /// The bundles of the policy tables in force.
    pub fn bundled(&self) -> &Bundled {
        self.targets.tables.bundled()
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
                self.targets.journal.trouble(Trouble::ReloadFailed(format!("the configuration: {problems}")));
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
            // Waits for answers of DNS and of servers, so not under the lock that `status` needs too.
            routing.prepare(&new.config.upstreams);
            self.targets.tables.prepare(&new.config.policy);
            changed = self.take_all(new).inspect_err(|_| {
                routing.keep();
                self.targets.tables.keep();
            })?;
        } else {
            self.targets.tables.reload()?;
        }
        self.targets.trust_trigger.notify_one();
        self.key_sets().ask();
        self.bundled().fetched().ask();
        if self.loaded().config.credentials.source.is_reread() {
            self.targets.credentials_trigger.notify_one();
        }
        Ok(if changed.is_empty() { "nothing but the files it names".into() } else { changed.join(", ") })
    }

    fn take_all(&self, new: Loaded) -> Result<Vec<&'static str>, String> {
        let mut loaded = self.loaded();
        let changes = compare(&loaded, &new).map_err(|problems| problems.to_string())?;
        // The tables are the part that can fail: they go first, so that nothing is taken over when they do.
        self.targets.tables.take(new.config.policy.clone()).map_err(|error| error.to_string())?;
        let changed = changes.iter().map(|part| self.take(part, &new)).collect();
        *loaded = new;
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
            Part::Detect => {
                journal.set_detect(new.config.detect.clone());
                return "[detect]";
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
}
