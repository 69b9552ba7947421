//! A certificate that something else writes into two files.

use super::issued::Issued;
use super::source::{CertificateSource, SourceError};
use crate::identity::SpiffeId;
use crate::runtime::clock::Clock;
use crate::runtime::watch::{FileWatch, read_capped};
use crate::trust::{BoxFuture, Bundles, certificates};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The most bytes that are read of either file.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Chain and key in PEM files, watched through renames and symlink swaps and polled every 30 s.
pub struct FilePair {
    id: SpiffeId,
    chain: PathBuf,
    key: PathBuf,
    clock: Arc<dyn Clock>,
    bundles: watch::Receiver<Option<Arc<Bundles>>>,
    watch: FileWatch,
}

impl FilePair {
    /// Reads the pair for `id`; `bundles` judge the chain.
    pub fn new(id: SpiffeId, chain: PathBuf, key: PathBuf, clock: Arc<dyn Clock>, bundles: watch::Receiver<Option<Arc<Bundles>>>) -> Self {
        let watch = FileWatch::new(vec![chain.clone(), key.clone()]);
        Self { id, chain, key, clock, bundles, watch }
    }

    async fn read(&mut self) -> Result<Issued, SourceError> {
        let chain_pem = self.bytes(&self.chain).await?;
        let key_pem = Zeroizing::new(self.bytes(&self.key).await?);
        let chain = certificates(&chain_pem).map_err(|error| SourceError::Chain { path: self.chain.clone(), error })?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| SourceError::Key { path: self.key.clone() })?;
        let now = self.clock.now();
        let issued = Issued::new(&self.id, chain, key, now)?;
        let bundles = self.bundles.borrow_and_update().clone().ok_or(SourceError::NoTrust)?;
        issued.judge(&bundles, now).map_err(SourceError::Refused)?;
        // Written before we looked: its schedule counts from the beginning of its own validity.
        let issued_at = issued.leaf.not_before.min(now);
        Ok(Issued { issued_at, ..issued })
    }

    async fn bytes(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        read_capped(path, MAX_FILE_BYTES).await.map_err(|error| SourceError::Unreadable { path: path.to_owned(), error })
    }
}

impl CertificateSource for FilePair {
    fn obtain(&mut self) -> BoxFuture<'_, Result<Issued, SourceError>> {
        Box::pin(self.read())
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let gone = async {
                // New trust may accept what the old one refused; a closed channel never says anything again.
                if self.bundles.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.watch.changed() => {}
                () = gone => {}
            }
        })
    }
}
