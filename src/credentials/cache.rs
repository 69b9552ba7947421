//! Our certificate and its key on disk, sealed: a process that starts again need not have another one issued.

use super::issued::Issued;
use super::settings::{Renew, Settings};
use crate::identity::SpiffeId;
use crate::runtime::files::replace;
use crate::runtime::readiness::Readiness;
use crate::runtime::sealer::{Context, SealError, Sealer, open, seal};
use crate::runtime::watch::read_capped;
use crate::telemetry::metrics;
use crate::trust::Bundles;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::{Zeroize as _, Zeroizing};

/// Inside the cache's directory.
const FILE: &str = "certificate.sealed";

/// The most bytes that are read; a chain of four RSA certificates fits many times.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What readiness calls a certificate that is not kept.
const CONDITION: &str = "certificate_cache";

/// A certificate that was kept, with its key.
struct Kept {
    /// The leaf first, then its issuers without the root.
    chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    key: PrivateKeyDer<'static>,
    /// When it was issued, to the second.
    issued_at: SystemTime,
}

/// Keeps one certificate of one workload in a directory. Nothing depends on it: what cannot be read is issued anew, and what cannot be written is told of.
pub struct Cache {
    path: PathBuf,
    sealer: Arc<dyn Sealer>,
    context: Context,
    id: SpiffeId,
    dns_names: Vec<String>,
    renew: Renew,
    readiness: Readiness,
}

impl Cache {
    /// Keeps what belongs to the workload of `settings` in `dir`, which is made when something is kept.
    pub fn new(dir: &Path, sealer: Arc<dyn Sealer>, settings: &Settings, readiness: Readiness) -> Self {
        let context = Context { workload: settings.id.to_string(), purpose: "certificate" };
        let (id, dns_names) = (settings.id.clone(), settings.dns_names.clone());
        Self { path: dir.join(FILE), sealer, context, id, dns_names, renew: settings.renew, readiness }
    }

    /// The certificate that was kept, if it is still as good as a new one: ours, with the names that we want, accepted by `bundles`, and not so near its
    /// end that we would not be ready with it.
    pub async fn recall(&self, bundles: &Bundles, now: SystemTime) -> Option<Issued> {
        let file = self.path.display();
        let kept = match self.load().await {
            Ok(kept) => kept?,
            Err(error) => {
                metrics::not_kept("certificate");
                tracing::warn!(%file, %error, "the certificate that was kept is of no use; another one is issued");
                return None;
            }
        };
        match self.judge(kept, bundles, now) {
            Ok(issued) => {
                tracing::info!(%file, serial = issued.leaf.serial, "a certificate that was kept is used again");
                Some(issued)
            }
            Err(why) => {
                tracing::info!(%file, why, "the certificate that was kept is not used; another one is issued");
                None
            }
        }
    }

    /// Keeps a certificate and its key, instead of what was kept before. `key` is wiped whatever the outcome.
    pub async fn remember(&self, issued: &Issued, mut key: PrivateKeyDer<'static>) {
        let stored = self.store(issued.chain(), &key, issued.issued_at).await;
        key.zeroize();
        match stored {
            Ok(()) => self.readiness.unnote(CONDITION),
            Err(error) => {
                metrics::not_kept("certificate");
                tracing::error!(file = %self.path.display(), %error, "the certificate is not kept: a restart has another one issued");
                self.readiness.note(CONDITION, format!("the certificate is not kept: {error}"));
            }
        }
    }

    fn judge(&self, kept: Kept, bundles: &Bundles, now: SystemTime) -> Result<Issued, String> {
        let issued = Issued::new(&self.id, kept.chain, kept.key, kept.issued_at.min(now)).map_err(|error| error.to_string())?;
        if now >= issued.life().not_ready_before(&self.renew) {
            return Err("its end is near, or past".to_owned());
        }
        let has = |name: &String| issued.leaf.dns_names.contains(&name.to_ascii_lowercase());
        if issued.leaf.dns_names.len() != self.dns_names.len() || !self.dns_names.iter().all(has) {
            return Err("its DNS names are not those of [workload]".to_owned());
        }
        issued.judge(bundles, now).map_err(|refused| refused.to_string())?;
        Ok(issued)
    }

    /// What was kept; `None` where nothing is.
    async fn load(&self) -> Result<Option<Kept>, SealError> {
        let sealed = match read_capped(&self.path, MAX_FILE_BYTES).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed(error))?,
        };
        let opened = open(&*self.sealer, &self.context, &sealed).await?;
        parse(&opened).ok_or(SealError::Damaged).map(Some)
    }

    /// What was kept before stays where it cannot be sealed or written.
    async fn store(&self, chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>, issued_at: SystemTime) -> Result<(), SealError> {
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
    use crate::credentials::Source;
    use crate::runtime::sealer::KeyFile;
    use crate::testing::pki::TestCa;
    use std::os::unix::fs::PermissionsExt as _;

    fn sealer(dir: &Path, name: &str, digits: &str) -> Arc<dyn Sealer> {
        let path = dir.join(name);
        std::fs::write(&path, digits.repeat(32)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Arc::new(KeyFile::new(path))
    }

    fn of(name: &str) -> Settings {
        let id = SpiffeId::parse(&format!("spiffe://d.example/{name}")).unwrap();
        Settings { id, dns_names: Vec::new(), source: Source::default(), renew: Renew::default() }
    }

    fn cache(dir: &Path, sealer: &Arc<dyn Sealer>, name: &str) -> Cache {
        Cache::new(dir, Arc::clone(sealer), &of(name), Readiness::default())
    }

    #[tokio::test]
    async fn what_was_kept_is_there_for_its_workload_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = sealer(dir.path(), "key", "5a");
        let kept = dir.path().join("made/when/needed");
        let ours = cache(&kept, &key, "orders");
        assert!(ours.load().await.unwrap().is_none());
        let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        ours.store(&cert.chain, &cert.key(), since).await.unwrap();
        let found = ours.load().await.unwrap().unwrap();
        assert_eq!((found.chain, found.key.secret_der(), found.issued_at), (cert.chain.clone(), cert.key().secret_der(), since));

        let file = std::fs::read(&ours.path).unwrap();
        assert_eq!(std::fs::metadata(&ours.path).unwrap().permissions().mode() & 0o777, 0o600);
        let holds = |secret: &[u8]| file.windows(secret.len()).any(|window| window == secret);
        let private = cert.key();
        let secret = private.secret_der();
        assert!(!holds(secret) && !holds(&BASE64_STANDARD.encode(secret).as_bytes()[..40]), "the key is there in the clear");

        let others = cache(&kept, &key, "payments");
        assert!(matches!(others.load().await, Err(SealError::OtherContext { .. })));
        let another_key = cache(&kept, &sealer(dir.path(), "other", "5b"), "orders");
        assert!(matches!(another_key.load().await, Err(SealError::Refused)));
        std::fs::write(&ours.path, &file[..file.len() / 2]).unwrap();
        assert!(matches!(ours.load().await, Err(SealError::Damaged)));
    }

    #[tokio::test]
    async fn what_cannot_be_written_leaves_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let key = sealer(dir.path(), "key", "5a");
        let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
        let ours = cache(dir.path(), &key, "orders");
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        ours.store(&cert.chain, &cert.key(), since).await.unwrap();
        // Where the new file would be written is a directory.
        let beside = ours.path.with_extension(format!("new-{}", std::process::id()));
        std::fs::create_dir(&beside).unwrap();
        assert!(matches!(ours.store(&cert.chain, &cert.key(), SystemTime::now()).await, Err(SealError::File { .. })));
        assert_eq!(ours.load().await.unwrap().unwrap().issued_at, since);
    }
}
