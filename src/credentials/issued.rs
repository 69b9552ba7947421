//! A certificate that is ours, with its key, ready for handshakes.

use super::schedule::Life;
use crate::identity::SpiffeId;
use crate::identity::x509::{Leaf, LeafError, UriError};
use crate::trust::{Bundles, RefusedPeer, Usage, verify};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::SystemTime;
use zeroize::Zeroize as _;

/// Our certificate and its key. The key cannot be taken out again.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Whom it is for.
    pub id: SpiffeId,
    /// Chain (leaf first, no root) and signing key.
    pub certified: Arc<CertifiedKey>,
    /// When we got it; the schedule counts from here, not from `not_before`, which CAs set back.
    pub issued_at: SystemTime,
    /// What the leaf says.
    pub leaf: Leaf,
}

/// Why chain and key do not make a certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no leaf.
    #[error("the chain is empty")]
    Empty,
    /// The leaf cannot be read.
    #[error("the leaf: {0}")]
    Leaf(#[from] LeafError),
    /// The leaf's URI SANs are no identity.
    #[error("the leaf: {0}")]
    Uri(#[from] UriError),
    /// The leaf is for someone else.
    #[error("the leaf is for {found}, and workload.id is {wanted}")]
    OtherId {
        /// Its URI SAN, or `nobody`.
        found: String,
        /// The configured id.
        wanted: SpiffeId,
    },
    /// The leaf may issue certificates.
    #[error("the first certificate of the chain is a CA's; the leaf comes first")]
    Ca,
    /// The key's kind is not supported.
    #[error("the private key is of no supported kind (ECDSA P-256 or P-384, RSA, Ed25519)")]
    Kind,
    /// The key is not the leaf's.
    #[error("the private key does not belong to the leaf; chain and key are of different issues")]
    OtherKey,
}

impl KeyError {
    /// The stable label of metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty | Self::Leaf(_) | Self::Uri(_) | Self::Ca => "bad_certificate",
            Self::OtherId { .. } => "other_id",
            Self::Kind => "bad_key",
            Self::OtherKey => "other_key",
        }
    }
}

impl Issued {
    /// Joins chain and key. `key` is wiped whatever the outcome.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn new(
        id: &SpiffeId,
        chain: Vec<CertificateDer<'static>>,
        mut key: PrivateKeyDer<'static>,
        issued_at: SystemTime,
    ) -> Result<Self, KeyError> {
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key);
        key.zeroize();
        let leaf = Leaf::parse(chain.first().ok_or(KeyError::Empty)?)?;
        let found = leaf.spiffe_id()?;
        if found.as_ref() != Some(id) {
            let found = found.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
            return Err(KeyError::OtherId { found, wanted: id.clone() });
        }
        if leaf.is_ca {
            return Err(KeyError::Ca);
        }
        let certified = CertifiedKey::new(chain, signing.map_err(|_| KeyError::Kind)?);
        certified.keys_match().map_err(|_| KeyError::OtherKey)?;
        Ok(Self { id: id.clone(), certified: Arc::new(certified), issued_at, leaf })
    }

    /// Whether peers that trust `bundles` accept it, as a server and as a client.
    ///
    /// # Errors
    /// Why they would not.
    pub fn judge(&self, bundles: &Bundles, now: SystemTime) -> Result<(), Arc<RefusedPeer>> {
        if let Some((leaf, intermediates)) = self.chain().split_first() {
            for usage in [Usage::Server, Usage::Client] {
                verify(bundles, leaf, intermediates, now, usage)?;
            }
        }
        Ok(())
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// From when we got it to its end.
    pub fn life(&self) -> Life {
        Life { issued_at: self.issued_at, not_after: self.leaf.not_after }
    }

    /// The end of its validity.
    pub fn not_after(&self) -> SystemTime {
        self.leaf.not_after
    }
}
