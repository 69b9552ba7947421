//! Signatures by a key that somebody else keeps: who keeps it is a [`DigestSigner`], and no signature is one before it was verified here.

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

mod key_file;

pub use key_file::{FileSigner, SigningKeyError};

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// A future of a signer.
pub type Signing<'a, T> = Pin<Box<dyn Future<Output = Result<T, SignError>> + Send + 'a>>;

/// What stands before the point in the SubjectPublicKeyInfo of each P-256 key (RFC 5480 section 2): id-ecPublicKey, secp256r1, and a bit string.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

/// Bytes of an uncompressed point.
const POINT_BYTES: usize = 65;

/// Signs SHA-256 digests with one P-256 key (ECDSA). The digest is signed as it is, not hashed again.
pub trait DigestSigner: Send + Sync {
    /// The public half, for whoever verifies; who relies on it pins it.
    fn public_key(&self) -> Signing<'_, PublicKey>;

    /// A signature of `digest`, verified under the public key.
    fn sign<'a>(&'a self, digest: &'a Sha256) -> Signing<'a, Signature>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key service failed.
    #[error("{0}")]
    Service(Box<dyn std::error::Error + Send + Sync>),
    /// The key is not made for this; another one is needed.
    #[error("{key} is {found}; a key of P-256 (ECC_NIST_P256) that signs and verifies is needed")]
    OtherKey {
        /// Its name.
        key: String,
        /// What it is instead.
        found: String,
    },
    /// What was given as a public key is none of P-256.
    #[error("it is no public key of P-256 in DER (SubjectPublicKeyInfo)")]
    NoPublicKey,
    /// What was given as a signature does not verify: it is of another key or of something else. It is thrown away.
    #[error("the signature that was given does not verify under the key's own public key: it is of another key, or not of this digest")]
    Unverified,
}

/// A public key of P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: [u8; P256.len() + POINT_BYTES],
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is none of P-256 with an uncompressed point. Whether the point is on the curve shows when it verifies.
    pub fn from_spki(der: &[u8]) -> Result<Self, SignError> {
        let spki: [u8; P256.len() + POINT_BYTES] = der.try_into().map_err(|_| SignError::NoPublicKey)?;
        match spki.strip_prefix(&P256) {
            Some([0x04, ..]) => Ok(Self { spki }),
            _ => Err(SignError::NoPublicKey),
        }
    }

    /// Reads a file's text: a SubjectPublicKeyInfo in PEM, or in DER as it is.
    ///
    /// # Errors
    /// As [`PublicKey::from_spki`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, SignError> {
        match SubjectPublicKeyInfoDer::from_pem_slice(bytes) {
            Ok(der) => Self::from_spki(&der),
            Err(_) => Self::from_spki(bytes),
        }
    }

    /// Takes an uncompressed point (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// It is none of P-256.
    pub fn from_point(point: &[u8]) -> Result<Self, SignError> {
        Self::from_spki(&[&P256, point].concat())
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SubjectPublicKeyInfo in 64 hexadecimal digits, by which the key is pinned.
    pub fn fingerprint(&self) -> String {
        digest(&SHA256, &self.spki).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes what somebody gave as a signature of `digest` for one.
    ///
    /// # Errors
    /// [`SignError::Unverified`].
    pub fn verified(&self, digest: &Sha256, given: Vec<u8>) -> Result<Signature, SignError> {
        let point = self.spki.get(P256.len()..).unwrap_or_default();
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(|_| SignError::Unverified)?;
        let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify_digest(&digest, &given);
        verified.map(|()| Signature { der: given }).map_err(|_| SignError::Unverified)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

/// A signature that was verified; there is no other way to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    der: Vec<u8>,
}

impl Signature {
    /// ECDSA-Sig-Value in DER (RFC 3279 section 2.2.3).
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    struct Pair(EcdsaKeyPair);

    impl Pair {
        fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
        }

        fn spki(&self) -> Vec<u8> {
            [&P256, self.0.public_key().as_ref()].concat()
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        }
    }

    fn sha256(message: &[u8]) -> Sha256 {
        digest(&SHA256, message).as_ref().try_into().unwrap()
    }

    #[test]
    fn a_signature_is_of_this_key_and_this_digest() {
        let (ours, other) = (Pair::new(), Pair::new());
        let key = PublicKey::from_spki(&ours.spki()).unwrap();
        let (message, digest) = (b"what is signed", sha256(b"what is signed"));
        let good = ours.sign(message);
        assert_eq!(key.verified(&digest, good.clone()).unwrap().der(), good);
        let twice = ours.sign(&digest);
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [other.sign(message), twice, changed, good[..good.len() - 1].to_vec(), Vec::new()] {
            assert!(matches!(key.verified(&digest, bad), Err(SignError::Unverified)));
        }
        assert!(matches!(key.verified(&sha256(b"something else"), good), Err(SignError::Unverified)));
    }

    #[test]
    fn only_keys_of_p256_are_read() {
        let spki = Pair::new().spki();
        let key = PublicKey::from_spki(&spki).unwrap();
        assert_eq!((key.spki(), key.fingerprint().len()), (spki.as_slice(), 64));
        let (mut curve, mut compressed) = (spki.clone(), spki.clone());
        curve[22] ^= 1;
        compressed[P256.len()] = 2;
        for bad in [&curve[..], &compressed, &spki[1..], &spki[..90], &[&spki[..], &[0]].concat(), &[]] {
            assert!(matches!(PublicKey::from_spki(bad), Err(SignError::NoPublicKey)), "{bad:?}");
        }
        // A point that is on no curve verifies nothing.
        let mut off = spki;
        off[90] ^= 1;
        let key = PublicKey::from_spki(&off).unwrap();
        assert!(key.verified(&sha256(b""), vec![0x30, 6, 2, 1, 1, 2, 1, 1]).is_err());
    }
}
