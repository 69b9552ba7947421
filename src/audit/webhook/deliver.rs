//! From the outbox to the spool, and from the spool to the server.

use super::spool::Message;
use super::{Secret, Settings, Spool};
use crate::audit::ocsf;
use crate::fetch::{FetchError, Fetcher};
use crate::runtime::clock::Clock;
use crate::telemetry::metrics::Webhook as Metrics;
use bytes::Bytes;
use http::{HeaderName, StatusCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;

/// Carries the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-countersign-signature");

/// From a failure to the next try: doubles, and is shortened by up to a half at random, so that sidecars do not come back together.
const RETRY: Duration = Duration::from_secs(1);
const LONG_RETRY: Duration = Duration::from_secs(300);

/// Sends findings to the webhook. Cheap to clone.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    spool: Mutex<Spool>,
    filled: Notify,
    metrics: Metrics,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the secret cannot be used: {0}")]
    Secret(#[from] super::SecretError),
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the clock is before 1970")]
    Clock,
}

impl Failure {
    /// Whether the server will never take this very message, so that those behind it need not wait.
    fn is_final(&self) -> bool {
        const FINAL: [StatusCode; 4] =
            [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE, StatusCode::UNPROCESSABLE_ENTITY];
        matches!(self, Self::Fetch(FetchError::Status(status)) if FINAL.iter().any(|last| last.as_u16() == *status))
    }
}

impl Delivery {
    /// Sends what is in `spool`, and what comes.
    pub fn new(settings: Settings, spool: Spool, fetcher: Fetcher, clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new();
        metrics.waiting.set(spool.len() as f64);
        Self { shared: Arc::new(Shared { settings, fetcher, clock, spool: Mutex::new(spool), filled: Notify::new(), metrics }) }
    }

    /// Keeps the lines that come out of an outbox, each as an OCSF event.
    pub async fn keep(self, mut lines: Receiver<Bytes>) {
        while let Some(line) = lines.recv().await {
            let shared = Arc::clone(&self.shared);
            // Waits for the disk: not on the runtime that answers health checks.
            let kept = spawn_blocking(move || shared.keep(&line)).await;
            if kept.is_ok() {
                self.shared.filled.notify_one();
            }
        }
    }

    /// Sends messages, oldest first, each until it is taken.
    pub async fn send(self) {
        let mut wait = RETRY;
        let mut failing = false;
        loop {
            let shared = Arc::clone(&self.shared);
            let Ok(Some((message, body))) = spawn_blocking(move || shared.spool().oldest()).await else {
                self.shared.filled.notified().await;
                continue;
            };
            match self.post(body).await {
                Ok(()) => {
                    self.shared.done(message, "ok");
                    if std::mem::take(&mut failing) {
                        tracing::info!("the webhook takes findings again");
                    }
                    wait = RETRY;
                }
                Err(failure) if failure.is_final() => {
                    tracing::error!(%failure, "the webhook refuses a finding for good; it is in the decision log all the same");
                    self.shared.done(message, "rejected");
                }
                Err(failure) => {
                    self.shared.metrics.sent("failed");
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%failure, "the webhook does not take a finding; it is tried again and again");
                    }
                    tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    wait = (wait * 2).min(LONG_RETRY);
                }
            }
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Failure> {
        let path = self.shared.settings.secret_file.clone();
        let secret = spawn_blocking(move || Secret::read(&path)).await.map_err(|_| Failure::Clock)??;
        let signature = secret.signature(&body, self.shared.clock.now()).ok_or(Failure::Clock)?;
        Ok(self.shared.fetcher.post(&self.shared.settings.url, body.into(), (SIGNATURE, signature)).await?)
    }
}

impl Shared {
    fn keep(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut event = Vec::new();
        if ocsf::is_event(&line) {
            event.extend_from_slice(line.as_bytes());
        } else if let Err(error) = ocsf::exported(&line, &mut event) {
            tracing::error!(%error, "a finding has no OCSF event and is not sent");
            return self.metrics.sent("dropped");
        }
        let mut spool = self.spool();
        match spool.push(event.trim_ascii_end()) {
            Ok(dropped) => {
                (0..dropped).for_each(|_| self.metrics.sent("dropped"));
                if dropped > 0 {
                    tracing::error!(dropped, "the webhook's spool is full; its oldest findings are in the decision log only");
                }
            }
            Err(error) => {
                tracing::error!(%error, "a finding cannot be kept for the webhook; it is in the decision log only");
                self.metrics.sent("dropped");
            }
        }
        self.metrics.waiting.set(spool.len() as f64);
    }

    fn done(&self, message: Message, result: &'static str) {
        self.metrics.sent(result);
        let mut spool = self.spool();
        spool.remove(message);
        self.metrics.waiting.set(spool.len() as f64);
    }

    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
