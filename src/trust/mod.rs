//! Whom we believe: trust bundles by trust domain, and the chain verifier.

mod settings;

pub use settings::{Settings, Source};

/// A certificate that the verifier refused: why, and what it said of itself (not verified).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct RefusedPeer {
    /// Stable code, such as `two_uri_sans`, `no_identity`, `expired`, `not_yet_valid`, `unknown_trust_domain`, `untrusted_chain`, `bad_signature`, `is_ca`, `bad_certificate`.
    pub code: &'static str,
    /// For the operator.
    pub detail: String,
    /// Its URI or DNS SAN.
    pub id: Option<String>,
    /// Its serial number, hex.
    pub serial: Option<String>,
    /// SHA-256 of its DER, hex.
    pub fingerprint: Option<String>,
    /// Its issuer.
    pub issuer: Option<String>,
    /// The end of its validity.
    pub not_after: Option<std::time::SystemTime>,
}

impl RefusedPeer {
    /// What it said it is, or `unknown`.
    pub fn claimed_id(&self) -> &str {
        self.id.as_deref().unwrap_or("unknown")
    }
}
