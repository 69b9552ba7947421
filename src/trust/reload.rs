//! Keeps the published bundles as the sources are; a bad source keeps the old ones.

use super::bundle::{Bundle, Bundles, DevelopmentRoots, TrustError};
use super::fetching::Fetches;
use super::remote::RemoteLists;
use super::revocation::RevocationSources;
use super::settings::Settings;
use super::source::{Factory, TrustSource};
use crate::fetch::Fetcher;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::FileWatch;
use crate::telemetry::metrics::Process;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

const CONDITION: &str = "trust";

/// One trust domain: where its roots and refusals come from, and what was good last: a source of roots that fails must not hold up
/// a refusal, nor the other way round.
struct Domain {
    roots: Box<dyn TrustSource>,
    revocation: RevocationSources,
    last_roots: Option<Bundle>,
}

impl Domain {
    fn new(settings: &Settings, factory: &Factory, development: DevelopmentRoots, fetches: &mut Fetches) -> Self {
        let revocation = RevocationSources::new(settings, |url| fetches.list(settings, url));
        Self { roots: factory(settings, development), revocation, last_roots: None }
    }

    /// What is good now, or was last; `None` where something never was. What failed goes to `failed`.
    async fn load(&mut self, failed: &mut Vec<TrustError>) -> Option<Bundle> {
        match self.roots.load().await {
            Ok(roots) => self.last_roots = Some(roots),
            Err(error) => failed.push(error),
        }
        let revocation = self.revocation.load(failed).await;
        Some(self.last_roots.clone()?.with_revocation(revocation?))
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.roots.files().into_iter().chain(self.revocation.files())
    }
}

/// The task that loads, watches and publishes trust bundles.
pub struct Trusting {
    domains: Vec<Domain>,
    settings: watch::Sender<Vec<Settings>>,
    factory: Factory,
    development: DevelopmentRoots,
    fetches: Fetches,
    published: watch::Sender<Option<Arc<Bundles>>>,
    trigger: Arc<Notify>,
    readiness: Readiness,
    complaint: Option<String>,
}

impl Trusting {
    /// Reads from the sources that `factory` makes of the settings, and fetches revocation lists by `fetcher`; not ready (`trust`) until they were loaded
    /// once. Fetching begins at once, inside of the control runtime.
    pub fn new(
        settings: &[Settings],
        factory: Factory,
        fetcher: Fetcher,
        development: DevelopmentRoots,
        clock: Arc<dyn Clock>,
        readiness: Readiness,
    ) -> Self {
        readiness.pending(CONDITION, "no trust bundle was loaded yet");
        let mut fetches = Fetches::new(fetcher, clock, readiness.clone());
        let domains = fetches.renew(|fetches| settings.iter().map(|one| Domain::new(one, &factory, development, fetches)).collect());
        let (published, settings) = (watch::Sender::new(None), watch::Sender::new(Vec::new()));
        let trigger = Arc::new(Notify::new());
        Self { domains, settings, factory, development, fetches, published, trigger, readiness, complaint: None }
    }

    /// The revocation lists that are fetched.
    pub fn remote_lists(&self) -> RemoteLists {
        self.fetches.lists()
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

    /// Loads all sources once and publishes what they say; of one that fails, what it said last.
    ///
    /// # Errors
    /// The first source that is unavailable or bad.
    pub async fn load(&mut self) -> Result<(), TrustError> {
        let (mut loaded, mut failed) = (Vec::new(), Vec::new());
        for domain in &mut self.domains {
            loaded.push(domain.load(&mut failed).await);
        }
        // Without one of them nothing is published: what is in force may still have it.
        if let Some(bundles) = loaded.into_iter().collect::<Option<Vec<_>>>() {
            self.publish(bundles)?;
        }
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// Takes over what the files of refusals say, with the roots that were good last: a source of roots that hangs holds up no refusal.
    async fn refuse(&mut self) {
        let (mut bundles, mut failed) = (Vec::new(), Vec::new());
        for domain in &mut self.domains {
            let revocation = domain.revocation.load(&mut failed).await;
            bundles.push(domain.last_roots.clone().zip(revocation).map(|(roots, revocation)| roots.with_revocation(revocation)));
        }
        if let Some(bundles) = bundles.into_iter().collect() {
            // What is wrong is said by `load`, which follows.
            let _ = self.publish(bundles);
        }
    }

    fn publish(&self, loaded: Vec<Bundle>) -> Result<(), TrustError> {
        let current = self.published.borrow().clone();
        let generation = current.as_ref().map_or(0, |bundles| bundles.generation);
        let next = Bundles::new(generation.saturating_add(1), loaded)?;
        if current.is_none_or(|current| !current.is_same(&next)) {
            for bundle in next.iter().filter(|bundle| bundle.is_development()) {
                tracing::warn!(domain = %bundle.domain(), "trusting a development CA: fine on a laptop, never in production");
            }
            let denied: usize = next.iter().map(|bundle| bundle.revocation().deny().len()).sum();
            tracing::info!(generation = next.generation, domains = next.iter().count(), denied, "trust bundles are in force");
            Process::handles().trust_ok.increment(1);
            self.published.send_replace(Some(Arc::new(next)));
        }
        self.readiness.ready(CONDITION);
        Ok(())
    }

    /// Loads, then again after each change of a file, each list that was fetched, each trigger, and every 30 s.
    ///
    /// # Cancel safety
    /// Nothing is half published when it is dropped.
    pub async fn run(mut self) {
        let mut changes = self.settings.subscribe();
        let mut watch = self.watch();
        let arrived = self.fetches.arrived();
        loop {
            self.refuse().await;
            self.fetches.report();
            let loaded = tokio::select! {
                loaded = self.load() => loaded,
                // A refusal may have come meanwhile.
                () = watch.changed() => continue,
                () = arrived.notified() => continue,
            };
            self.fetches.report();
            match loaded {
                Ok(()) => self.complaint = None,
                Err(error) => self.complain(&error),
            }
            tokio::select! {
                () = self.trigger.notified() => {
                    self.domains.iter().for_each(|domain| domain.roots.forget());
                    self.fetches.ask();
                }
                () = watch.changed() => {}
                () = arrived.notified() => {}
                Ok(()) = changes.changed() => {
                    let settings = changes.borrow_and_update().clone();
                    let (factory, development) = (&self.factory, self.development);
                    let make = |fetches: &mut Fetches| settings.iter().map(|one| Domain::new(one, factory, development, fetches)).collect();
                    self.domains = self.fetches.renew(make);
                    watch = self.watch();
                }
            }
        }
    }

    fn watch(&self) -> FileWatch {
        FileWatch::new(self.domains.iter().flat_map(Domain::files).collect())
    }

    /// Once for each distinct problem.
    fn complain(&mut self, error: &TrustError) {
        let text = error.to_string();
        if self.complaint.as_ref() == Some(&text) {
            return;
        }
        Process::handles().trust_failed.increment(1);
        if self.published.borrow().is_some() {
            tracing::error!(%error, "the trust bundles were not replaced as a whole; what was good last stays in force");
        } else {
            tracing::error!(%error, "no trust bundle: every peer is refused until it is there");
            self.readiness.pending(CONDITION, text.clone());
        }
        self.complaint = Some(text);
    }
}
