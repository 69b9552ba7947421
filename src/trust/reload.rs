//! Keeps the published bundles as the sources are; a bad source keeps the old ones.

use super::bundle::{Bundle, Bundles, DevelopmentRoots, TrustError};
use super::settings::Settings;
use super::source::{Factory, TrustSource};
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::FileWatch;
use crate::telemetry::metrics::Process;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

const CONDITION: &str = "trust";

/// The task that loads, watches and publishes trust bundles.
pub struct Trusting {
    sources: Vec<Box<dyn TrustSource>>,
    settings: watch::Sender<Vec<Settings>>,
    factory: Factory,
    development: DevelopmentRoots,
    published: watch::Sender<Option<Arc<Bundles>>>,
    trigger: Arc<Notify>,
    readiness: Readiness,
    complaint: Option<String>,
}

impl Trusting {
    /// Reads from the sources that `factory` makes of the settings; not ready (`trust`) until they were loaded once.
    pub fn new(settings: &[Settings], factory: Factory, development: DevelopmentRoots, readiness: Readiness) -> Self {
        readiness.pending(CONDITION, "no trust bundle was loaded yet");
        let sources = settings.iter().map(|one| factory(one, development)).collect();
        let (published, settings) = (watch::Sender::new(None), watch::Sender::new(Vec::new()));
        Self { sources, settings, factory, development, published, trigger: Arc::new(Notify::new()), readiness, complaint: None }
    }

    /// The bundles in force; `None` until all sources were good once.
    pub fn bundles(&self) -> watch::Receiver<Option<Arc<Bundles>>> {
        self.published.subscribe()
    }

    /// Takes other settings, of a reloaded configuration; what cannot be loaded leaves the old bundles in force.
    pub fn settings(&self) -> watch::Sender<Vec<Settings>> {
        self.settings.clone()
    }

    /// Wakes the task: `notify_one` makes it read its sources now.
    pub fn trigger(&self) -> Arc<Notify> {
        Arc::clone(&self.trigger)
    }

    /// Loads all sources once and publishes them.
    ///
    /// # Errors
    /// The first source that is unavailable or bad; what was published stays.
    pub async fn load(&mut self) -> Result<(), TrustError> {
        let mut loaded: Vec<Bundle> = Vec::new();
        for source in &self.sources {
            loaded.push(source.load().await?);
        }
        let current = self.published.borrow().clone();
        let generation = current.as_ref().map_or(0, |bundles| bundles.generation);
        let next = Bundles::new(generation.saturating_add(1), loaded)?;
        if current.is_none_or(|current| !current.same_roots(&next)) {
            for bundle in next.iter().filter(|bundle| bundle.is_development()) {
                tracing::warn!(domain = %bundle.domain(), "trusting a development CA: fine on a laptop, never in production");
            }
            tracing::info!(generation = next.generation, domains = next.iter().count(), "trust bundles are in force");
            Process::handles().trust_ok.increment(1);
            self.published.send_replace(Some(Arc::new(next)));
        }
        self.readiness.ready(CONDITION);
        Ok(())
    }

    /// Loads, then again after each change of a file, each trigger, and every 30 s.
    ///
    /// # Cancel safety
    /// Nothing is half published when it is dropped.
    pub async fn run(mut self) {
        let mut changes = self.settings.subscribe();
        let mut watch = self.watch();
        loop {
            match self.load().await {
                Ok(()) => self.complaint = None,
                Err(error) => self.complain(&error),
            }
            tokio::select! {
                () = self.trigger.notified() => self.sources.iter().for_each(|source| source.forget()),
                () = watch.changed() => {}
                Ok(()) = changes.changed() => {
                    self.sources = changes.borrow_and_update().iter().map(|one| (self.factory)(one, self.development)).collect();
                    watch = self.watch();
                }
            }
        }
    }

    fn watch(&self) -> FileWatch {
        FileWatch::new(self.sources.iter().flat_map(|source| source.files()).collect())
    }

    /// Once for each distinct problem.
    fn complain(&mut self, error: &TrustError) {
        let text = error.to_string();
        if self.complaint.as_ref() == Some(&text) {
            return;
        }
        Process::handles().trust_failed.increment(1);
        if self.published.borrow().is_some() {
            tracing::error!(%error, "the trust bundles were not replaced; the old ones stay in force");
        } else {
            tracing::error!(%error, "no trust bundle: every peer is refused until it is there");
            self.readiness.pending(CONDITION, text.clone());
        }
        self.complaint = Some(text);
    }
}
