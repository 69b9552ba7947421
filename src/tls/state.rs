//! The published TLS state: our certificate and the bundles, ready for handshakes.

use super::provider::{provider, versions};
use super::settings::Settings;
use super::verifier::{ClientVerifier, ServerVerifier, WallClock};
use crate::credentials::Issued;
use crate::runtime::clock::Clock;
use crate::trust::Bundles;
use arc_swap::ArcSwapOption;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::sync::watch;

/// Everything a handshake needs; immutable, replaced as a whole.
#[derive(Debug)]
pub struct TlsState {
    /// Counts up with every own certificate, and with trust that is taken away; from 1. A connection to a peer is good for requests of one generation.
    pub generation: u64,
    /// The end of our own certificate's validity.
    pub not_after: SystemTime,
    /// Its beginning.
    pub not_before: SystemTime,
    /// Our own SPIFFE id.
    pub id: crate::identity::SpiffeId,
    /// Our own leaf's serial number, as in records.
    pub serial: String,
    /// Our own leaf's SHA-256, lower-case hex (XFCC `By`/self record).
    pub fingerprint: String,
    pub(super) server: Arc<ServerConfig>,
    /// Without ALPN and without a verifier that accepts anyone: each dial clones it and sets both.
    pub(super) client: ClientConfig,
    pub(super) bundles: Arc<Bundles>,
}

/// Why a state cannot be built; the old one stays.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// No key exchange group is left.
    #[error(
        "tls.groups leaves no group to offer{}",
        if *.require_post_quantum { ": tls.require_post_quantum leaves only X25519MLKEM768" } else { "" }
    )]
    NoGroup {
        /// Whether only post-quantum groups count.
        require_post_quantum: bool,
    },
    /// No cipher is left.
    #[error("tls.ciphers leaves no cipher to offer")]
    NoCipher,
    /// In a FIPS build: something that is offered is not approved, or the module does not run as a FIPS module.
    #[error("this is a FIPS build, and the crypto module or something that [tls] offers is not approved")]
    NotApproved,
    /// The library refuses groups, ciphers and versions together.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl TlsState {
    /// Builds a state from our certificate and the bundles.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(
        generation: u64,
        settings: &Settings,
        issued: &Issued,
        bundles: Arc<Bundles>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let provider = provider(settings)?;
        let own = Arc::new(SingleCertAndKey::from(Arc::clone(&issued.certified)));
        let time = Arc::new(WallClock(clock));
        let (server, client) = (server(settings, &provider, &own, &bundles, &time)?, client(settings, &provider, &own, &bundles, &time)?);
        if cfg!(feature = "fips") && !(server.fips() && client.fips()) {
            return Err(BuildError::NotApproved);
        }
        Ok(Self {
            generation,
            not_after: issued.not_after(),
            not_before: issued.leaf.not_before,
            id: issued.id.clone(),
            serial: issued.leaf.serial.clone(),
            fingerprint: issued.leaf.fingerprint.clone(),
            server: Arc::new(server),
            client,
            bundles,
        })
    }

    /// The bundles that this state's handshakes verify against.
    pub fn bundles(&self) -> &Arc<Bundles> {
        &self.bundles
    }
}

fn server(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
    own: &Arc<SingleCertAndKey>,
    bundles: &Arc<Bundles>,
    time: &Arc<WallClock>,
) -> Result<ServerConfig, rustls::Error> {
    let verifier = ClientVerifier::new(Arc::clone(bundles), provider.signature_verification_algorithms);
    let mut config = ServerConfig::builder_with_details(Arc::clone(provider), Arc::<WallClock>::clone(time))
        .with_protocol_versions(versions(settings))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::<SingleCertAndKey>::clone(own));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // The settings' order is ours: best first.
    config.ignore_client_order = true;
    // A resumed session would carry an identity that nobody verified again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.require_ems = true;
    Ok(config)
}

fn client(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
    own: &Arc<SingleCertAndKey>,
    bundles: &Arc<Bundles>,
    time: &Arc<WallClock>,
) -> Result<ClientConfig, rustls::Error> {
    let nobody = ServerVerifier::nobody(Arc::clone(bundles), provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_details(Arc::clone(provider), Arc::<WallClock>::clone(time))
        .with_protocol_versions(versions(settings))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(nobody))
        .with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(own));
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.require_ems = true;
    Ok(config)
}

/// Where the current state is read from; `None` until the first certificate is there. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TlsPublisher {
    current: Arc<ArcSwapOption<TlsState>>,
    generation: Arc<AtomicU64>,
    changes: watch::Sender<u64>,
}

impl TlsPublisher {
    /// The state for the next handshake.
    pub fn current(&self) -> Option<Arc<TlsState>> {
        self.current.load_full()
    }

    /// The generation of the current state, by one atomic load; zero until there is one.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Replaces the state. Handshakes under way finish with the one that they began with.
    pub fn publish(&self, state: TlsState) {
        let generation = state.generation;
        self.current.store(Some(Arc::new(state)));
        // After the store: who sees the new number finds the new state, or a later one.
        self.generation.store(generation, Ordering::Release);
        self.changes.send_replace(generation);
    }

    /// Waits until the state in force carries our certificate with this serial.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn reaches(&self, serial: &str) {
        let there = |_: &u64| self.current().is_some_and(|state| state.serial == serial);
        // The sender is ours: it cannot be gone.
        let _ = self.changes.subscribe().wait_for(there).await;
    }
}
