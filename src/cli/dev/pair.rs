//! The app and the two sidecars, running.

use super::app;
use super::setup::{Setup, Side};
use crate::app::{Options, Sidecar};
use crate::audit::Tap;
use crate::config::{self, Environment};
use crate::runtime::process;
use crate::telemetry::log::LogLevel;
use crate::telemetry::metrics;
use crate::trust::DevelopmentRoots;
use anyhow::{Context as _, bail};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// From the start to certificates, trust and policy being there.
const READY: Duration = Duration::from_secs(10);

/// Connections that a newcomer opens at once, times a few.
const CONNECTIONS: usize = 256;

/// The app and the two sidecars.
pub struct Pair {
    sidecars: [Sidecar; 2],
    app: Option<Runtime>,
}

impl Pair {
    /// Starts the built-in app, unless there is another, and the two sidecars from their configurations; waits until they are ready.
    ///
    /// # Errors
    /// Something does not start, or is not ready in time.
    pub fn start(setup: &Setup, log: LogLevel, tap: Tap) -> anyhow::Result<Self> {
        process::prepare(CONNECTIONS);
        let app = match setup.foreign_app {
            true => None,
            false => Some(app::start(setup.app).with_context(|| format!("the built-in app cannot listen on {}", setup.app))?),
        };
        let metrics = metrics::install()?;
        let start = |side: Side| {
            let file = setup.config(side).display().to_string();
            let loaded = config::parse(&file, &setup.text(side), &Environment::of_process())?;
            let (tap, log, metrics) = (Some(tap.clone()), Some(log.clone()), metrics.clone());
            let options = Options { development: DevelopmentRoots::Accepted, tap, source: Some(file), log, metrics };
            Sidecar::start(loaded, options).with_context(|| format!("the {} sidecar does not start", side.name()))
        };
        let sidecars = [start(Side::Inbound)?, start(Side::Outbound)?];
        let pair = Self { sidecars, app };
        pair.ready()?;
        Ok(pair)
    }

    fn ready(&self) -> anyhow::Result<()> {
        let end = Instant::now() + READY;
        for sidecar in &self.sidecars {
            loop {
                let missing = sidecar.readiness.missing();
                match missing.first() {
                    None => break,
                    Some((what, why)) if Instant::now() >= end => bail!("not ready after {} s: {what}: {why}", READY.as_secs()),
                    Some(_) => crate::cli::pause(Duration::from_millis(5)),
                }
            }
        }
        Ok(())
    }

    /// Ends both, at the latest when their short drain is over.
    pub fn end(self) {
        let Self { sidecars, app } = self;
        for sidecar in &sidecars {
            sidecar.drain.request();
        }
        std::thread::scope(|scope| {
            for sidecar in sidecars {
                scope.spawn(|| sidecar.wait());
            }
        });
        if let Some(app) = app {
            app.shutdown_background();
        }
    }
}
