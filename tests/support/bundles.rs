//! Whoever signs policy bundles.

use super::Setup;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::policy::bundle::{Manifest, NotAfter, write};
use countersign::runtime::signer::{DigestSigner as _, FileSigner, PublicKey};
use rcgen::KeyPair;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long bundles are good that nothing else is said of.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A key that signs.
pub struct Signer {
    pem: String,
    signer: FileSigner,
    public: PublicKey,
}

impl Signer {
    /// A new one.
    pub async fn new() -> Self {
        let pem = KeyPair::generate().unwrap().serialize_pem();
        let dir = tempfile::tempdir().unwrap();
        let signer = FileSigner::read(&write_private(dir.path(), &pem)).unwrap();
        let public = signer.public_key().await.unwrap();
        Self { pem, signer, public }
    }

    /// Its private half in a file.
    pub fn key_file(&self, dir: &Path) -> PathBuf {
        write_private(dir, &self.pem)
    }

    /// Its public half in PEM.
    pub fn public_pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(self.public.spki()))
    }

    /// A bundle of a table called `test`, good for a day.
    pub async fn bundle(&self, table: &str, sequence: u64) -> String {
        self.bundle_of("test", table, sequence).await
    }

    /// A bundle of this name, good for a day.
    pub async fn bundle_of(&self, name: &str, table: &str, sequence: u64) -> String {
        self.bundle_until(name, table, sequence, SystemTime::now() + DAY).await
    }

    /// A bundle that is good until then.
    pub async fn bundle_until(&self, name: &str, table: &str, sequence: u64, end: SystemTime) -> String {
        let manifest = Manifest::of(table, name, "1", sequence, NotAfter::at(end).unwrap()).unwrap();
        write(&manifest, table, &self.signer.sign(&manifest.digest()).await.unwrap())
    }

    /// Has the sidecar accept what this key signed, and nothing else.
    pub fn pin(&self, setup: &mut Setup) {
        setup.set("policy.public_key", &format!("'''\n{}'''", self.public_pem()));
    }
}

fn write_private(dir: &Path, pem: &str) -> PathBuf {
    let path = dir.join("signing-key.pem");
    std::fs::write(&path, pem).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}
