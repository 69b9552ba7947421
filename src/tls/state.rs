//! The published TLS state: our certificate and the bundles, ready for handshakes.

use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::time::SystemTime;

/// Everything a handshake needs; immutable, replaced as a whole.
#[derive(Debug)]
pub struct TlsState {
    /// Counts up with every published state: a new own certificate or new trust.
    pub generation: u64,
    /// The end of our own certificate's validity.
    pub not_after: SystemTime,
    /// Our own SPIFFE id.
    pub id: crate::identity::SpiffeId,
    /// Our own leaf's serial number, as in records.
    pub serial: String,
    /// Our own leaf's SHA-256, lower-case hex (XFCC `By`/self record).
    pub fingerprint: String,
    pub(super) server: Arc<rustls::ServerConfig>,
    // the helper adds what connect needs
}

/// Where the current state is read from; `None` until the first certificate is there. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TlsPublisher {
    current: Arc<ArcSwapOption<TlsState>>,
}

impl TlsPublisher {
    /// The state for the next handshake.
    pub fn current(&self) -> Option<Arc<TlsState>> {
        self.current.load_full()
    }
}
