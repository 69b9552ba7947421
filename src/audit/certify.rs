//! Getting the boot's key certified, on the control runtime: the log begins without, and does not wait.

use super::boot_key::{Certificate, Holder, rfc3339};
use crate::runtime::readiness::Readiness;
use crate::runtime::signer::{DigestSigner, SignError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// From a failed try to the next one; doubles.
const RETRY: Duration = Duration::from_secs(1);
const LONG_RETRY: Duration = Duration::from_secs(300);
/// The name of the note on `/ready`.
const NOTE: &str = "audit_signing";

/// What has to be certified, and where the certificate goes.
#[derive(Clone)]
pub(super) struct Certifying {
    pub(super) holder: Arc<Holder>,
    pub(super) certificate: Arc<OnceLock<Certificate>>,
}

impl Certifying {
    /// Asks until there is a certificate. Until then checkpoints are signed by a key that nobody vouches for, which `readiness` notes.
    pub(super) async fn run(self, signer: Arc<dyn DigestSigner>, readiness: Readiness) {
        let mut wait = RETRY;
        loop {
            match self.ask(&*signer).await {
                Ok(certificate) => {
                    tracing::info!(signer = certificate.signer, "the key of the decision log's checkpoints is certified");
                    let _ = self.certificate.set(certificate);
                    return readiness.unnote(NOTE);
                }
                Err(error) => {
                    tracing::warn!(%error, again_ms = wait.as_millis() as u64, "the key of the decision log's checkpoints is not certified");
                    readiness.note(NOTE, format!("nobody has certified the key that signs checkpoints: {error}"));
                }
            }
            // Sidecars that started together do not ask together.
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONG_RETRY);
        }
    }

    async fn ask(&self, signer: &dyn DigestSigner) -> Result<Certificate, SignError> {
        let time = rfc3339(SystemTime::now());
        let public = signer.public_key().await?;
        let signature = signer.sign(&self.holder.digest(&time)).await?;
        Ok(Certificate::new(time, &public, &signature))
    }
}
