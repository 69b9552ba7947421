//! Publishes a new state whenever our certificate or the bundles change.

use super::settings::Settings;
use super::state::{BuildError, TlsPublisher, TlsState};
use crate::credentials::Issued;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::trust::Bundles;
use std::sync::Arc;
use tokio::sync::watch;

/// The task between renewal, trust and handshakes.
pub struct Publishing {
    settings: Settings,
    issued: watch::Receiver<Option<Arc<Issued>>>,
    bundles: watch::Receiver<Option<Arc<Bundles>>>,
    clock: Arc<dyn Clock>,
    publisher: TlsPublisher,
    readiness: Readiness,
}

/// What readiness calls this room.
const CONDITION: &str = "tls";

impl Publishing {
    /// States from our certificate and the bundles go to `publisher`. Not ready until there is a first one: before, every handshake is refused.
    pub fn new(
        settings: Settings,
        issued: watch::Receiver<Option<Arc<Issued>>>,
        bundles: watch::Receiver<Option<Arc<Bundles>>>,
        clock: Arc<dyn Clock>,
        publisher: TlsPublisher,
        readiness: Readiness,
    ) -> Self {
        readiness.pending(CONDITION, "waits for certificate and trust");
        Self { settings, issued, bundles, clock, publisher, readiness }
    }

    /// Publishes once there are both, then after each change, until a sender is gone.
    ///
    /// # Cancel safety
    /// Nothing is half published when it is dropped.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.publish() {
                if self.publisher.generation() == 0 {
                    self.readiness.pending(CONDITION, error.to_string());
                    tracing::error!(%error, "there is no TLS state: every handshake is refused");
                } else {
                    tracing::error!(%error, "the TLS state was not replaced; the old one stays in force");
                }
            }
            let gone = tokio::select! {
                changed = self.issued.changed() => changed.is_err(),
                changed = self.bundles.changed() => changed.is_err(),
            };
            if gone {
                return;
            }
        }
    }

    /// Builds a state from what there is now and publishes it; nothing where a part is missing.
    ///
    /// # Errors
    /// See [`BuildError`]; the old state stays.
    pub fn publish(&mut self) -> Result<(), BuildError> {
        let issued = self.issued.borrow_and_update().clone();
        let bundles = self.bundles.borrow_and_update().clone();
        if let (Some(issued), Some(bundles)) = (issued, bundles) {
            let generation = self.generation(&issued, &bundles);
            let state = TlsState::build(generation, &self.settings, &issued, bundles, Arc::clone(&self.clock))?;
            self.publisher.publish(state);
            self.readiness.ready(CONDITION);
        }
        Ok(())
    }

    /// The number of the next state: the last one's where that differs in nothing but trust that is added, so that connections to peers stay in use.
    fn generation(&self, issued: &Issued, bundles: &Bundles) -> u64 {
        let last = self.publisher.current();
        let adds = |last: &TlsState| last.fingerprint == issued.leaf.fingerprint && bundles.covers(last.bundles());
        let generation = self.publisher.generation();
        if last.is_some_and(|last| adds(&last)) { generation } else { generation.saturating_add(1) }
    }
}
