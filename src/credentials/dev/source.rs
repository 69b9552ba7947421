//! The development CA as a source of our own certificate.

use super::ca::{DevCa, DevError, Request};
use crate::credentials::issued::Issued;
use crate::credentials::settings::Settings;
use crate::credentials::source::{CertificateSource, SourceError};
use crate::runtime::clock::Clock;
use crate::trust::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Issues from the development CA in a directory, which is made if it is not there.
#[derive(Debug)]
pub struct DevSource {
    dir: PathBuf,
    request: Request,
    clock: Arc<dyn Clock>,
}

impl DevSource {
    /// Issues for the workload of `settings`.
    pub fn new(settings: &Settings, dir: PathBuf, validity: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { dir, request: Request { id: settings.id.clone(), dns_names: settings.dns_names.clone(), validity }, clock }
    }
}

impl CertificateSource for DevSource {
    fn obtain(&mut self) -> BoxFuture<'_, Result<Issued, SourceError>> {
        Box::pin(async move {
            let (dir, request, now) = (self.dir.clone(), self.request.clone(), self.clock.now());
            // Waits for a file lock and makes keys: off the runtime's thread.
            let issue = move || {
                let (chain, key) = DevCa::open(&dir)?.issue(&request, now)?;
                Ok::<_, SourceError>(Issued::new(&request.id, chain, key, now)?)
            };
            match tokio::task::spawn_blocking(issue).await {
                Ok(result) => result,
                Err(_) => Err(SourceError::Dev(DevError::Stopped)),
            }
        })
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}
