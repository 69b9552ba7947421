//! The webhook, where there is one.

use super::StartError;
use crate::audit::webhook::{Delivery, Outbox, Secret, SecretError, Settings, Spool};
use crate::document::Problems;
use crate::fetch::Fetcher;
use crate::runtime::clock::Clock;
use crate::runtime::tasks::spawn;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// What is left to be started, inside the control runtime.
pub struct Webhook {
    delivery: Delivery,
    lines: Receiver<Bytes>,
}

impl Webhook {
    /// Opens the spool, and looks at the secret. One that cannot be read yet is waited for; one that nobody may use ends the start.
    pub fn open(settings: &Settings, fetcher: &Fetcher, clock: &Arc<dyn Clock>) -> Result<(Self, Outbox), StartError> {
        let (secret, spool) = (settings.secret_file.display(), settings.spool_dir.display());
        match Secret::read(&settings.secret_file) {
            Ok(_) => {}
            Err(SecretError::Unreadable(error)) => {
                tracing::error!(%error, secret = %secret, "the webhook's secret cannot be read: findings wait until it can");
            }
            Err(error @ (SecretError::Length(_) | SecretError::Exposed(_))) => {
                let instead = "write a secret that the receiver knows as well";
                return Err(StartError::Unusable(Problems::of_file(&secret.to_string(), error.to_string(), instead)));
            }
        }
        let spooled = Spool::open(&settings.spool_dir).map_err(|error| {
            let instead = "give webhook.spool_dir a directory that this process can make and write";
            StartError::Unusable(Problems::of_file(&spool.to_string(), error.to_string(), instead))
        })?;
        let (outbox, lines) = Outbox::new();
        let delivery = Delivery::new(settings.clone(), spooled, fetcher.clone(), Arc::clone(clock));
        Ok((Self { delivery, lines }, outbox))
    }

    /// Keeps and sends findings from now on.
    pub fn start(self) {
        let Self { delivery, lines } = self;
        spawn("webhook spool", delivery.clone().keep(lines));
        spawn("webhook", delivery.send());
    }
}
