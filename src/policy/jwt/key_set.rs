//! A JSON Web Key Set (RFC 7517): the public keys of one issuer.

use super::algorithm::{Algorithm, Family};
use crate::policy::json;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The most bytes of a key set's text.
pub const MAX_BYTES: u64 = 512 << 10;

/// The most keys of a set, those of no use to us included.
const MAX_KEYS: usize = 256;

/// The most bytes of a key's name.
pub(super) const MAX_KID: usize = 256;

/// The keys that tokens are verified by.
#[derive(Debug)]
pub struct KeySet {
    keys: Box<[Key]>,
    text: Box<[u8]>,
}

#[derive(Debug)]
struct Key {
    kid: Option<Box<str>>,
    /// What its owner restricts it to.
    alg: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    /// The modulus fits each of the six algorithms, and the library binds a parsed key to one.
    Rsa(RsaPublicKeyComponents<Box<[u8]>>),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

/// Why a set is refused. Trying again helps once its owner has mended it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is no JSON Web Key Set.
    #[error("is no JSON Web Key Set: one object with a list named keys, no member twice")]
    Malformed,
    /// It has too many keys.
    #[error("holds {0} keys; at most 256 are taken")]
    TooMany(usize),
    /// A key is not as its type says.
    #[error("key {index} {what}")]
    Key {
        /// Its place in the set, from 0.
        index: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Two keys could be meant by one name.
    #[error("key {0} has the kid and the type of an earlier one")]
    Ambiguous(usize),
    /// Nothing in it verifies a token.
    #[error("holds no key for signatures that is RSA, P-256, P-384 or Ed25519")]
    Empty,
}

/// No key, or more than one, is meant by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchKey;

impl KeySet {
    /// Reads a set. Keys that are no public keys for signatures are passed over (RFC 7517 section 5); anything else that is wrong refuses all of it.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set = json::object(text).ok_or(KeySetError::Malformed)?;
        let Some(Value::Array(entries)) = set.get("keys") else { return Err(KeySetError::Malformed) };
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(entries.len()));
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let Value::Object(entry) = entry else { return Err(KeySetError::Malformed) };
            let Some(key) = Key::read(entry).map_err(|what| KeySetError::Key { index, what })? else { continue };
            let same = |other: &Key| other.kid.is_some() && other.kid == key.kid && other.material.family() == key.material.family();
            if keys.iter().any(same) {
                return Err(KeySetError::Ambiguous(index));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys: keys.into(), text: text.into() }) }
    }

    /// How many keys verify tokens.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether it was read from this very text.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        *self.text == *text
    }

    /// Checks a signature with the one key that is meant: by its name, or without one as the only key that fits.
    pub(super) fn verify(&self, kid: Option<&str>, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Result<bool, NoSuchKey> {
        let named = |key: &&Key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key.material.verify(algorithm, signed, signature)),
            _ => Err(NoSuchKey),
        }
    }
}

impl Key {
    /// `None`: it is not for verifying tokens.
    fn read(entry: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let text = |name: &str| match entry.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("has a kty, crv, alg, use or kid that is no string"),
        };
        let (kty, crv, alg, usage, kid) = (text("kty")?, text("crv")?, text("alg")?, text("use")?, text("kid")?);
        let family = match (kty.ok_or("has no kty")?, crv) {
            ("RSA", _) => Family::Rsa,
            ("EC", Some("P-256")) => Family::P256,
            ("EC", Some("P-384")) => Family::P384,
            ("OKP", Some("Ed25519")) => Family::Ed25519,
            _ => return Ok(None),
        };
        if entry.contains_key("d") {
            return Err("is a private key: whoever has read it can sign; make new keys and publish the public ones");
        }
        let is_for_verifying = match entry.get("key_ops") {
            None => true,
            Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
            Some(_) => return Err("has key_ops that is no list"),
        };
        let alg = match alg.map(Algorithm::named) {
            // Of encryption, or of a signature that nobody can ask for.
            Some(None) => return Ok(None),
            Some(Some(algorithm)) if algorithm.family() != family => return Err("has an alg of another type of key"),
            Some(Some(algorithm)) => Some(algorithm),
            None => None,
        };
        if !is_for_verifying || usage.is_some_and(|usage| usage != "sig") {
            return Ok(None);
        }
        if kid.is_some_and(|kid| kid.len() > MAX_KID) {
            return Err("has a kid of more than 256 bytes");
        }
        Ok(Some(Self { kid: kid.map(Into::into), alg, material: Material::read(family, entry)? }))
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.material.family() == algorithm.family() && self.alg.is_none_or(|alg| alg == algorithm)
    }
}

impl Material {
    fn read(family: Family, entry: &Map<String, Value>) -> Result<Self, &'static str> {
        const BASE64: &str = "has a member that is no base64url without padding";
        let bytes = |name: &str| match entry.get(name) {
            Some(Value::String(text)) => URL_SAFE_NO_PAD.decode(text).map_err(|_| BASE64),
            _ => Err("lacks a member of its type"),
        };
        let parsed = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            ParsedPublicKey::new(algorithm, key).map_err(|_| "is no point of its curve")
        };
        match family {
            Family::Rsa => rsa(bytes("n")?, bytes("e")?).map(Self::Rsa),
            Family::P256 => parsed(&ECDSA_P256_SHA256_FIXED, &point::<32>(&bytes("x")?, &bytes("y")?)?).map(Self::P256),
            Family::P384 => parsed(&ECDSA_P384_SHA384_FIXED, &point::<48>(&bytes("x")?, &bytes("y")?)?).map(Self::P384),
            Family::Ed25519 => parsed(&ED25519, &bytes("x")?).map(Self::Ed25519),
        }
    }

    fn family(&self) -> Family {
        match self {
            Self::Rsa(_) => Family::Rsa,
            Self::P256(_) => Family::P256,
            Self::P384(_) => Family::P384,
            Self::Ed25519(_) => Family::Ed25519,
        }
    }

    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => parameters(algorithm).is_some_and(|parameters| key.verify(parameters, signed, signature).is_ok()),
            Self::P256(key) | Self::P384(key) | Self::Ed25519(key) => key.verify_sig(signed, signature).is_ok(),
        }
    }
}

/// An RSA key of 2,048 to 8,192 bits.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<RsaPublicKeyComponents<Box<[u8]>>, &'static str> {
    let first = n.first().copied().unwrap_or_default();
    // A first byte of zero is no minimal integer (RFC 7518 section 2), and the library takes none.
    match n.len() * 8 - (first.leading_zeros() as usize).min(n.len() * 8) {
        2_048..=8_192 => {}
        _ => return Err("is an RSA key of less than 2048 or more than 8192 bits"),
    }
    // With an exponent of 1 every text is its own signature, and an even one is none at all.
    if e.len() > 8 || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
        return Err("has an exponent that is even, 1, or beyond 64 bits");
    }
    let key = RsaPublicKeyComponents { n: n.into_boxed_slice(), e: e.into_boxed_slice() };
    match key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256) {
        Ok(_) => Ok(key),
        Err(_) => Err("is no RSA key"),
    }
}

/// An uncompressed point (SEC 1 section 2.3.3) of coordinates in full length (RFC 7518 section 6.2.1.2).
fn point<const LENGTH: usize>(x: &[u8], y: &[u8]) -> Result<Vec<u8>, &'static str> {
    if x.len() != LENGTH || y.len() != LENGTH {
        return Err("has a coordinate of another length than its curve's");
    }
    Ok([&[4], x, y].concat())
}

fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}
