//! Keeps the published bundles as the sources are; a bad source keeps the old ones.

use super::bundle::{Bundle, Bundles, DevelopmentRoots, TrustError};
use super::settings::Settings;
use super::source::{TrustSource, source};
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::FileWatch;
use crate::telemetry::metrics::Process;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

const CONDITION: &str = "trust";

/// The task that loads, watches and publishes trust bundles.
pub struct Trusting {
    sources: Vec<Box<dyn TrustSource>>,
    published: watch::Sender<Option<Arc<Bundles>>>,
    trigger: Arc<Notify>,
    readiness: Readiness,
    complaint: Option<String>,
}

impl Trusting {
    /// Reads from the sources that the settings name; not ready (`trust`) until they were loaded once.
    pub fn new(settings: &[Settings], development: DevelopmentRoots, readiness: Readiness) -> Self {
        Self::from_sources(settings.iter().map(|one| source(one, development)).collect(), readiness)
    }

    /// Reads from these sources.
    pub fn from_sources(sources: Vec<Box<dyn TrustSource>>, readiness: Readiness) -> Self {
        readiness.pending(CONDITION, "no trust bundle was loaded yet");
        Self { sources, published: watch::Sender::new(None), trigger: Arc::new(Notify::new()), readiness, complaint: None }
    }

    /// The bundles in force; `None` until all sources were good once.
    pub fn bundles(&self) -> watch::Receiver<Option<Arc<Bundles>>> {
        self.published.subscribe()
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
        let files: Vec<_> = self.sources.iter().flat_map(|source| source.files()).collect();
        let mut watch = FileWatch::new(files);
        loop {
            match self.load().await {
                Ok(()) => self.complaint = None,
                Err(error) => self.complain(&error),
            }
            tokio::select! {
                () = self.trigger.notified() => {}
                () = watch.changed() => {}
            }
        }
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
