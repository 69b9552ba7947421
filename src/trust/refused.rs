//! Who was refused, and why.

use crate::identity::x509::{Leaf, fingerprint};

/// A certificate that the verifier refused: why, and what it said of itself (not verified).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct RefusedPeer {
    /// Stable code: `bad_certificate`, `chain_too_long`, `two_uri_sans`, `bad_spiffe_id`, `no_identity`, `is_ca`, `expired`, `not_yet_valid`,
    /// `unknown_trust_domain`, `untrusted_chain`, `bad_signature`, `wrong_usage`, `identity_mismatch`,
    /// `denied_id`, `denied_serial`, `revoked`, `revocation_unknown`.
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

    /// A leaf that was read.
    pub(super) fn leaf(leaf: &Leaf, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            id: leaf.claimed().map(|id| id.chars().take(MAX_ID_CHARS).collect()),
            serial: Some(leaf.serial.clone()),
            fingerprint: Some(leaf.fingerprint.clone()),
            issuer: Some(leaf.issuer.chars().take(MAX_ISSUER_CHARS).collect()),
            not_after: Some(leaf.not_after),
        }
    }

    /// Bytes that could not be read.
    pub(super) fn unread(der: &[u8], code: &'static str, detail: impl Into<String>) -> Self {
        let fingerprint = Some(fingerprint(der));
        Self { code, detail: detail.into(), id: None, serial: None, fingerprint, issuer: None, not_after: None }
    }
}

/// A claimed id is unverified text; a SPIFFE id has at most 2,048 bytes.
const MAX_ID_CHARS: usize = 2_048;

/// Longer issuers are cut: what is refused is written by strangers, and records have room for sane names.
const MAX_ISSUER_CHARS: usize = 512;
