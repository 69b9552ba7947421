//! The key that signs checkpoints: made at each boot, kept in memory alone, and certified once by a key that outlives boots.

use super::json::shortened;
use super::time::Stamps;
use crate::runtime::signer::{PublicKey, Sha256, Signature};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// The most time between two checkpoints, also while nothing happens.
const EVERY: Duration = Duration::from_secs(60);
/// Names what a certificate is over; nothing else that the same key signs begins so.
const FORMAT: &str = "countersign.boot-key/1";

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The boot's id.
    pub boot: String,
    /// The workload's SPIFFE id.
    pub workload: String,
    /// The label `task`, where there is one.
    pub task: Option<String>,
    /// The key: its SubjectPublicKeyInfo in base64.
    pub key: String,
}

/// What a key that outlives boots says of a boot's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// When it was asked to, RFC 3339.
    pub time: String,
    /// The fingerprint of the key that signed.
    pub signer: String,
    /// Its signature in base64.
    pub signature: String,
}

impl Holder {
    /// What a certificate of that time signs: SHA-256 over a JSON array of six strings without white space: the format's name, boot, workload, task or
    /// nothing, time, key.
    pub fn digest(&self, time: &str) -> Sha256 {
        let task = self.task.as_deref().unwrap_or_default();
        let statement = serde_json::Value::from(vec![FORMAT, &self.boot, &self.workload, task, time, &self.key]);
        digest(&SHA256, statement.to_string().as_bytes()).as_ref().try_into().unwrap_or_default()
    }
}

impl Certificate {
    pub(super) fn new(time: String, signer: &PublicKey, signature: &Signature) -> Self {
        Self { time, signer: signer.fingerprint(), signature: BASE64_STANDARD.encode(signature.der()) }
    }
}

/// `at`, as records write it.
pub(super) fn rfc3339(at: SystemTime) -> String {
    let mut text = Vec::new();
    Stamps::default().nanos(&mut text, at);
    String::from_utf8(text).unwrap_or_default()
}

/// The writer's end of the key.
pub(super) struct BootKey {
    pair: EcdsaKeyPair,
    holder: Arc<Holder>,
    certificate: Arc<OnceLock<Certificate>>,
    /// The certificate was in a checkpoint.
    shown: bool,
    previous: Option<String>,
    last: Instant,
}

impl BootKey {
    /// Makes a key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn make(boot: &str, workload: &str, task: Option<&str>) -> io::Result<Self> {
        let none = |_| io::Error::other("no key for the checkpoints can be made");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(none)?;
        let public = PublicKey::from_point(pair.public_key().as_ref()).map_err(|_| none(aws_lc_rs::error::Unspecified))?;
        // As a record has them, whose strings are cut.
        let kept = |text: &str| shortened(text).0.to_owned();
        let holder =
            Holder { boot: boot.to_owned(), workload: kept(workload), task: task.map(kept), key: BASE64_STANDARD.encode(public.spki()) };
        Ok(Self { pair, holder: Arc::new(holder), certificate: Arc::default(), shown: false, previous: None, last: Instant::now() })
    }

    pub(super) fn holder(&self) -> &Arc<Holder> {
        &self.holder
    }

    /// Where the certificate goes once it is there.
    pub(super) fn certificate(&self) -> &Arc<OnceLock<Certificate>> {
        &self.certificate
    }

    /// Whether a checkpoint is due: by time, or because there is a certificate that none has shown.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= EVERY || !self.shown && self.certificate.get().is_some()
    }

    /// The signature of the checkpoint before, in base64.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Signs a checkpoint; gives the signature in base64, and none where the library fails, which `audit verify` then tells.
    pub(super) fn sign(&mut self, checkpoint: &[u8], with_certificate: bool) -> &str {
        self.last = Instant::now();
        self.shown |= with_certificate;
        let signed = self.pair.sign(&SystemRandom::new(), checkpoint);
        if signed.is_err() {
            tracing::error!("a checkpoint of the decision log cannot be signed");
        }
        self.previous.insert(signed.map(|signature| BASE64_STANDARD.encode(signature.as_ref())).unwrap_or_default())
    }
}
