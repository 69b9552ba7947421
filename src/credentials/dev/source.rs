//! The development CA as a source of our own certificate.

use super::ca::{DevCa, DevError, Request};
use crate::credentials::issued::Issued;
use crate::credentials::settings::Settings;
use crate::credentials::source::{CertificateSource, SourceError};
use crate::runtime::clock::Clock;
use crate::runtime::watch::{FileWatch, read_capped};
use crate::trust::{BoxFuture, DEVELOPMENT_ROOT_FILE, certificates};
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Issues from the development CA in a directory, which is made if it is not there.
pub struct DevSource {
    dir: PathBuf,
    request: Request,
    clock: Arc<dyn Clock>,
    watch: FileWatch,
    issuer: Option<CertificateDer<'static>>,
}

impl DevSource {
    /// Issues for the workload of `settings`.
    pub fn new(settings: &Settings, dir: PathBuf, validity: Duration, clock: Arc<dyn Clock>) -> Self {
        let request = Request { id: settings.id.clone(), dns_names: settings.dns_names.clone(), validity };
        let watch = FileWatch::new(vec![dir.join(DEVELOPMENT_ROOT_FILE)]);
        Self { dir, request, clock, watch, issuer: None }
    }

    async fn issue(&mut self) -> Result<Issued, SourceError> {
        let (dir, request, now) = (self.dir.clone(), self.request.clone(), self.clock.now());
        // Waits for a file lock and makes keys: off the runtime's thread.
        let issue = move || {
            let ca = DevCa::open(&dir)?;
            let (chain, key) = ca.issue(&request, now)?;
            Ok::<_, SourceError>((ca.root().clone(), Issued::new(&request.id, chain, key, now)?))
        };
        let (root, issued) = tokio::task::spawn_blocking(issue).await.map_err(|_| DevError::Stopped)??;
        self.issuer = Some(root);
        Ok(issued)
    }

    /// Whether another CA is there than the one that issued last.
    async fn replaced(&self) -> bool {
        const MAX_FILE_BYTES: u64 = 64 << 10;
        let read = read_capped(&self.dir.join(DEVELOPMENT_ROOT_FILE), MAX_FILE_BYTES).await;
        let root = read.ok().and_then(|pem| certificates(&pem).ok()).and_then(|roots| roots.into_iter().next());
        root.is_some() && root != self.issuer
    }
}

impl CertificateSource for DevSource {
    fn obtain(&mut self) -> BoxFuture<'_, Result<Issued, SourceError>> {
        Box::pin(self.issue())
    }

    /// Someone deleted the CA and another process made a new one, which peers believe from then on.
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                self.watch.changed().await;
                if self.replaced().await {
                    return;
                }
            }
        })
    }
}
