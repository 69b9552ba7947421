//! `countersign run`: the sidecar itself.

use super::{ConfigSource, Outcome, check};
use crate::app::{Options, Sidecar, StartError};
use crate::config::Loaded;
use crate::credentials::{Source, dev::DevCa};
use crate::runtime::drain::{Drain, Drained};
use crate::runtime::process;
use crate::telemetry::{log, metrics};
use crate::trust::DevelopmentRoots;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `run` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// Accepts development roots where this is production
    #[arg(long)]
    allow_development_roots: bool,
}

/// Runs a sidecar until it is told to end.
///
/// # Errors
/// It cannot be started; nothing is left running.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let development = DevelopmentRoots::here(args.allow_development_roots);
    // First: who counts before there is a recorder counts in vain for ever, and the check verifies our own chain.
    let metrics = metrics::install()?;
    let loaded = match check::usable(&args.source.config, development) {
        // What is pending is said by whoever waits for it.
        Ok((loaded, _)) => loaded,
        Err(problems) => return Ok(check::unusable(&problems)),
    };
    make_development_ca(&loaded)?;
    let log = log::install(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    process::prepare(loaded.config.limits.connections);
    let options = Options { development, tap: None, source: Some(args.source.config.clone()), log: Some(log), metrics };
    let sidecar = match Sidecar::start(loaded, options) {
        Ok(sidecar) => sidecar,
        Err(StartError::Unusable(problems)) => return Ok(check::unusable(&problems.into_vec())),
        Err(error) => return Err(error.into()),
    };
    follow_signals(&sidecar)?;
    Ok(match sidecar.wait() {
        Drained::Clean => Outcome::Fine,
        Drained::Cut(_) => Outcome::Cut,
    })
}

/// The development CA is there before anyone asks for its root.
fn make_development_ca(loaded: &Loaded) -> anyhow::Result<()> {
    if let Source::Dev { dir, .. } = &loaded.config.credentials.source {
        DevCa::open(dir)?;
    }
    Ok(())
}

/// SIGTERM and SIGINT drain, the second one ends at once; SIGHUP reloads.
fn follow_signals(sidecar: &Sidecar) -> anyhow::Result<()> {
    let _inside = sidecar.control().enter();
    let (term, interrupt, hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    crate::runtime::tasks::spawn("stop signals", stop(term, interrupt, sidecar.drain.clone()));
    let reloader = Arc::clone(&sidecar.reloader);
    crate::runtime::tasks::spawn("reload signal", reload(hangup, reloader));
    Ok(())
}

async fn stop(mut term: Signal, mut interrupt: Signal, drain: Drain) {
    loop {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        drain.request();
    }
}

async fn reload(mut hangup: Signal, reloader: Arc<crate::app::Reloader>) {
    while hangup.recv().await.is_some() {
        let reloading = Arc::clone(&reloader);
        // Reads files: not on the runtime that answers health checks. It logs its own outcome.
        let _ = tokio::task::spawn_blocking(move || reloading.reload()).await;
    }
}
