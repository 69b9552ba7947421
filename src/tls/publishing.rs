//! Publishes a new state whenever our certificate or the bundles change.

use super::settings::Settings;
use super::state::{BuildError, TlsPublisher, TlsState};
use crate::credentials::Issued;
use crate::runtime::clock::Clock;
use crate::trust::Bundles;
use std::sync::Arc;
use tokio::sync::watch;

/// The task between renewal, trust and handshakes.
pub struct Publishing {
    /// What handshakes offer.
    pub settings: Settings,
    /// Our certificate.
    pub issued: watch::Receiver<Option<Arc<Issued>>>,
    /// The bundles.
    pub bundles: watch::Receiver<Option<Arc<Bundles>>>,
    /// The clock that certificates are judged by.
    pub clock: Arc<dyn Clock>,
    /// Where states go.
    pub publisher: TlsPublisher,
}

impl Publishing {
    /// Publishes once there are both, then after each change, until a sender is gone.
    ///
    /// # Cancel safety
    /// Nothing is half published when it is dropped.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.publish() {
                tracing::error!(%error, "the TLS state was not replaced; the old one stays in force");
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
            let generation = self.publisher.generation().saturating_add(1);
            let state = TlsState::build(generation, &self.settings, &issued, bundles, Arc::clone(&self.clock))?;
            self.publisher.publish(state);
        }
        Ok(())
    }
}
