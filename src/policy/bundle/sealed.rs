//! A bundle as somebody sent it, and one whose signature was verified.

use super::super::{canonical_json, json};
use super::manifest::APART;
use super::{BundleError, Manifest};
use crate::runtime::signer::{PublicKey, Signature};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// The most bytes of a bundle, and of a plain table: a hundred thousand rules fit, an endless file does not fill the memory.
pub const MAX_BYTES: u64 = 64 << 20;

/// The most bytes of a signature in base64: one of P-256 has some seventy bytes.
const SIGNATURE_CHARS: usize = 256;

/// Whether bytes are meant as a bundle: no table begins with a brace.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// A bundle that nobody has verified; it says nothing yet.
pub struct Bundle {
    manifest: Manifest,
    table: String,
    signature: Vec<u8>,
}

/// A bundle that the pinned key signed and whose table is the one that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    manifest: Manifest,
    table: String,
}

impl Bundle {
    /// Reads one JSON object, in which no member is there twice and none is unknown.
    ///
    /// # Errors
    /// [`BundleError::Malformed`], and [`BundleError::Unsigned`] where the text is no JSON at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if !looks_like(bytes) {
            return Err(BundleError::Unsigned);
        }
        if !u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES) {
            return Err(BundleError::Malformed("it is larger than 64 MiB".to_owned()));
        }
        let mut members = json::read(bytes).map_err(|error| BundleError::Malformed(error.to_string()))?;
        let manifest = match members.remove("manifest") {
            Some(Value::Object(manifest)) => Manifest::read(manifest)?,
            _ => return Err(missing("manifest", "an object")),
        };
        let table = text(&mut members, "table")?;
        let signature = text(&mut members, "signature")?;
        json::nothing_else(&members).map_err(|name| BundleError::Malformed(format!("it has a member {name:?}, which no bundle has")))?;
        let signature = Some(signature).filter(|text| text.len() <= SIGNATURE_CHARS).and_then(|text| BASE64_STANDARD.decode(text).ok());
        let signature = signature.ok_or_else(|| missing("signature", "a signature in base64"))?;
        Ok(Self { manifest, table, signature })
    }

    /// What it says of itself; nobody has verified it.
    pub fn claimed(&self) -> &Manifest {
        &self.manifest
    }

    /// Verifies the signature, then that the table is the one that was signed, then its time. Nothing is looked at before the signature.
    ///
    /// # Errors
    /// [`BundleError::Signature`], [`BundleError::Changed`], [`BundleError::Expired`], [`BundleError::TooLong`].
    pub fn verified(self, key: &PublicKey, now: SystemTime) -> Result<Verified, BundleError> {
        let Self { manifest, table, signature } = self;
        let by = key.verified(&manifest.digest(), signature);
        by.map_err(|_| BundleError::Signature { key: key.fingerprint() })?;
        let found = canonical_json::sha256(&table);
        if found != manifest.sha256 {
            return Err(BundleError::Changed { found, signed: manifest.sha256 });
        }
        manifest.not_after.check(now, APART)?;
        Ok(Verified { manifest, table })
    }
}

impl Verified {
    /// Of the right name, and not older than what was accepted before.
    ///
    /// # Errors
    /// [`BundleError::OtherName`], [`BundleError::Old`].
    pub fn expected(self, name: Option<&str>, key: &'static str, floor: u64) -> Result<Self, BundleError> {
        let Manifest { name: found, sequence, .. } = &self.manifest;
        match name {
            Some(expected) if expected != found => Err(BundleError::OtherName { found: found.clone(), expected: expected.to_owned(), key }),
            _ if *sequence < floor => Err(BundleError::Old { found: *sequence, floor }),
            _ => Ok(self),
        }
    }

    /// What was signed about the table.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, and the table's text.
    pub fn into_parts(self) -> (Manifest, String) {
        (self.manifest, self.table)
    }
}

/// The text of a bundle, with a newline at its end.
pub fn write(manifest: &Manifest, table: &str, signature: &Signature) -> String {
    format!("{:#}\n", json!({ "manifest": manifest.json(), "table": table, "signature": BASE64_STANDARD.encode(signature.der()) }))
}

fn text(members: &mut Map<String, Value>, name: &'static str) -> Result<String, BundleError> {
    match members.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(missing(name, "a text")),
    }
}

fn missing(name: &str, what: &str) -> BundleError {
    BundleError::Malformed(format!("`{name}` is missing, or is not {what}"))
}
