//! Our certificate and its key on disk, sealed: a process that starts again need not have another one issued.

use crate::identity::SpiffeId;
use crate::runtime::files::replace;
use crate::runtime::sealer::{Context, SealError, Sealer, open, seal};
use crate::runtime::watch::read_capped;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Inside the cache's directory.
const FILE: &str = "certificate.sealed";

/// The most bytes that are read; a chain of four RSA certificates fits many times.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// A certificate that was kept, with its key.
pub struct Kept {
    /// The leaf first, then its issuers without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: PrivateKeyDer<'static>,
    /// When it was issued, to the second.
    pub issued_at: SystemTime,
}

/// Keeps one certificate of one workload in a directory.
#[derive(Clone)]
pub struct Cache {
    path: PathBuf,
    sealer: Arc<dyn Sealer>,
    context: Context,
}

impl Cache {
    /// Keeps what belongs to `id` in `dir`, which is made when something is kept.
    pub fn new(dir: &Path, sealer: Arc<dyn Sealer>, id: &SpiffeId) -> Self {
        Self { path: dir.join(FILE), sealer, context: Context { workload: id.to_string(), purpose: "certificate" } }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept; `None` where nothing is.
    ///
    /// # Errors
    /// It cannot be read or opened: see [`SealError`].
    pub async fn load(&self) -> Result<Option<Kept>, SealError> {
        let sealed = match read_capped(&self.path, MAX_FILE_BYTES).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed(error))?,
        };
        let opened = open(&*self.sealer, &self.context, &sealed).await?;
        parse(&opened).ok_or(SealError::Damaged).map(Some)
    }

    /// Keeps a certificate and its key, instead of what was kept before.
    ///
    /// # Errors
    /// It cannot be sealed or written: see [`SealError`]. What was kept before stays.
    pub async fn store(
        &self,
        chain: &[CertificateDer<'static>],
        key: &PrivateKeyDer<'static>,
        issued_at: SystemTime,
    ) -> Result<(), SealError> {
        let sealed = seal(&*self.sealer, &self.context, &text(chain, key, issued_at)).await?;
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            replace(&path, &sealed, 0o600)
        });
        written.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> SealError {
        SealError::File { path: self.path.clone(), error }
    }
}

fn text(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>, issued_at: SystemTime) -> Zeroizing<Vec<u8>> {
    let chain: Vec<_> = chain.iter().map(|certificate| BASE64_STANDARD.encode(certificate)).collect();
    let since = issued_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let public = json!({ "chain": chain, "issued_at": since }).to_string();
    let key = Zeroizing::new(BASE64_STANDARD.encode(key.secret_der()));
    // By hand, with room for all of it: the key's text shall lie in no buffer that is not wiped.
    let mut text = Zeroizing::new(Vec::with_capacity(public.len() + key.len() + 16));
    text.extend_from_slice(b"{\"key\":\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\",");
    text.extend_from_slice(public.as_bytes().get(1..).unwrap_or_default());
    text
}

fn parse(text: &[u8]) -> Option<Kept> {
    let mut document: Value = serde_json::from_slice(text).ok()?;
    let key = match document.get_mut("key")?.take() {
        Value::String(key) => Zeroizing::new(key),
        _ => return None,
    };
    let key = PrivatePkcs8KeyDer::from(BASE64_STANDARD.decode(key.as_bytes()).ok()?);
    let certificate = |text: &Value| BASE64_STANDARD.decode(text.as_str()?).ok().map(CertificateDer::from);
    let chain = document.get("chain")?.as_array()?.iter().map(certificate).collect::<Option<Vec<_>>>()?;
    let since = Duration::from_secs(document.get("issued_at")?.as_u64()?);
    Some(Kept { chain, key: key.into(), issued_at: SystemTime::UNIX_EPOCH.checked_add(since)? })
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::runtime::sealer::KeyFile;
    use crate::testing::pki::TestCa;
    use std::os::unix::fs::PermissionsExt as _;

    fn sealer(dir: &Path, name: &str, digits: &str) -> Arc<dyn Sealer> {
        let path = dir.join(name);
        std::fs::write(&path, digits.repeat(32)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Arc::new(KeyFile::new(path))
    }

    fn id(name: &str) -> SpiffeId {
        SpiffeId::parse(&format!("spiffe://d.example/{name}")).unwrap()
    }

    #[tokio::test]
    async fn what_was_kept_is_there_for_its_workload_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = sealer(dir.path(), "key", "5a");
        let kept = dir.path().join("made/when/needed");
        let cache = Cache::new(&kept, Arc::clone(&key), &id("orders"));
        assert!(cache.load().await.unwrap().is_none());
        let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        cache.store(&cert.chain, &cert.key(), since).await.unwrap();
        let found = cache.load().await.unwrap().unwrap();
        assert_eq!((found.chain, found.key.secret_der(), found.issued_at), (cert.chain.clone(), cert.key().secret_der(), since));

        let file = std::fs::read(cache.path()).unwrap();
        assert_eq!(std::fs::metadata(cache.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let holds = |secret: &[u8]| file.windows(secret.len()).any(|window| window == secret);
        let private = cert.key();
        let secret = private.secret_der();
        assert!(!holds(secret) && !holds(&BASE64_STANDARD.encode(secret).as_bytes()[..40]), "the key is there in the clear");

        let others = Cache::new(&kept, Arc::clone(&key), &id("payments"));
        assert!(matches!(others.load().await, Err(SealError::OtherContext { .. })));
        let another_key = Cache::new(&kept, sealer(dir.path(), "other", "5b"), &id("orders"));
        assert!(matches!(another_key.load().await, Err(SealError::Refused)));
        std::fs::write(cache.path(), &file[..file.len() / 2]).unwrap();
        assert!(matches!(cache.load().await, Err(SealError::Damaged)));
    }

    #[tokio::test]
    async fn what_cannot_be_written_leaves_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let key = sealer(dir.path(), "key", "5a");
        let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
        let cache = Cache::new(dir.path(), Arc::clone(&key), &id("orders"));
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        cache.store(&cert.chain, &cert.key(), since).await.unwrap();
        // Where the new file would be written is a directory.
        let beside = cache.path().with_extension(format!("new-{}", std::process::id()));
        std::fs::create_dir(&beside).unwrap();
        assert!(matches!(cache.store(&cert.chain, &cert.key(), SystemTime::now()).await, Err(SealError::File { .. })));
        assert_eq!(cache.load().await.unwrap().unwrap().issued_at, since);
    }
}
