//! Our certificate and its key on disk, sealed: a process that starts again need not have another one issued.

use super::issued::Issued;
use super::settings::{Renew, Settings};
use crate::identity::SpiffeId;
use crate::runtime::files::replace;
use crate::runtime::readiness::Readiness;
use crate::runtime::sealer::{Context, SealError, Sealer, open, seal};
use crate::runtime::tasks;
use crate::runtime::watch::read_capped;
use crate::telemetry::metrics;
use crate::trust::Bundles;
use kept::Kept;
use rustls::pki_types::PrivateKeyDer;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::sleep;
use zeroize::Zeroize as _;

mod kept;
#[cfg(all(test, feature = "testing"))]
mod tests;

/// Inside the cache's directory.
const FILE: &str = "certificate.sealed";

/// The most bytes that are read; a chain of four RSA certificates fits many times.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What readiness calls a certificate that is not kept.
const CONDITION: &str = "certificate_cache";

/// From an attempt to keep a certificate that failed to the next one, plus as much at random.
const AGAIN: Duration = Duration::from_secs(60);

/// Keeps one certificate of one workload in a directory. Nothing depends on it: what cannot be read is issued anew, and what cannot be written is told of and
/// tried again.
pub struct Cache {
    file: Arc<File>,
    id: SpiffeId,
    dns_names: Vec<String>,
    renew: Renew,
}

/// The sealed file.
struct File {
    path: PathBuf,
    sealer: Arc<dyn Sealer>,
    context: Context,
    readiness: Readiness,
    /// The number of the certificate that is to be kept; one with another number came before it.
    latest: AtomicU64,
    /// Held by the thread that writes.
    writing: Mutex<()>,
}

impl Cache {
    /// Keeps what belongs to the workload of `settings` in `dir`, which is made when something is kept.
    pub fn new(dir: &Path, sealer: Arc<dyn Sealer>, settings: &Settings, readiness: Readiness) -> Self {
        let context = Context { workload: settings.id.to_string(), purpose: "certificate" };
        let file = File { path: dir.join(FILE), sealer, context, readiness, latest: AtomicU64::new(0), writing: Mutex::new(()) };
        Self { file: Arc::new(file), id: settings.id.clone(), dns_names: settings.dns_names.clone(), renew: settings.renew }
    }

    /// The certificate that was kept, if it is still as good as a new one: ours, with the names that we want, accepted by `bundles`, and not so near its
    /// end that we would not be ready with it.
    pub async fn recall(&self, bundles: &Bundles, now: SystemTime) -> Option<Issued> {
        let file = self.file.path.display();
        let kept = match self.file.load().await {
            Ok(kept) => kept?,
            Err(error) => {
                metrics::certificate_cached("open", "failed");
                tracing::warn!(%file, %error, "the certificate that was kept is of no use; another one is issued");
                self.file.readiness.note(CONDITION, format!("the certificate that was kept is of no use: {error}"));
                return None;
            }
        };
        metrics::certificate_cached("open", "ok");
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

    /// Keeps a certificate and its key, instead of what was kept before; where that fails, it is tried again until it succeeds or another one is to be
    /// kept. `key` is wiped whatever the outcome.
    pub async fn remember(&self, issued: &Issued, mut key: PrivateKeyDer<'static>) {
        let text = kept::text(issued.chain(), &key, issued.issued_at);
        key.zeroize();
        let number = self.file.supersede();
        if self.file.keep(&text, number).await {
            return;
        }
        let file = Arc::clone(&self.file);
        tasks::spawn("certificate_cache", async move {
            loop {
                sleep(AGAIN.mul_f64(1.0 + fastrand::f64())).await;
                if file.keep(&text, number).await {
                    return;
                }
            }
        });
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
}

impl File {
    /// What was kept; `None` where nothing is.
    async fn load(&self) -> Result<Option<Kept>, SealError> {
        let sealed = match read_capped(&self.path, MAX_FILE_BYTES).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed(error))?,
        };
        let opened = open(&*self.sealer, &self.context, &sealed).await?;
        kept::parse(&opened).ok_or(SealError::Damaged).map(Some)
    }

    /// A number for what is to be kept from now on.
    fn supersede(&self) -> u64 {
        self.latest.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn is_latest(&self, number: u64) -> bool {
        self.latest.load(Ordering::SeqCst) == number
    }

    /// Keeps `text`, and tells of it; `false`: not yet, and it is still wanted.
    async fn keep(self: &Arc<Self>, text: &[u8], number: u64) -> bool {
        if !self.is_latest(number) {
            return true;
        }
        let stored = self.store(text, number).await;
        metrics::certificate_cached("keep", if stored.is_ok() { "ok" } else { "failed" });
        match stored {
            _ if !self.is_latest(number) => return true,
            Ok(()) => self.readiness.unnote(CONDITION),
            Err(ref error) => {
                tracing::error!(file = %self.path.display(), %error, "the certificate is not kept: a restart has another one issued");
                self.readiness.note(CONDITION, format!("the certificate is not kept: {error}"));
            }
        }
        stored.is_ok()
    }

    /// What was kept before stays where it cannot be sealed or written; so does what is to be kept instead of this.
    async fn store(self: &Arc<Self>, text: &[u8], number: u64) -> Result<(), SealError> {
        let sealed = seal(&*self.sealer, &self.context, text).await?;
        let file = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let _alone = file.writing.lock().unwrap_or_else(PoisonError::into_inner);
            if !file.is_latest(number) {
                return Ok(());
            }
            file.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            replace(&file.path, &sealed, 0o600)
        });
        written.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> SealError {
        SealError::File { path: self.path.clone(), error }
    }
}
