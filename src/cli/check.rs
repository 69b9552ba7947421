//! `countersign check`: is the configuration usable, and what does it say?

use super::referenced::Referenced;
use super::{ConfigSource, Outcome};
use crate::config::{self, Loaded, Survey};
#[cfg(feature = "aws")]
use crate::credentials::Forecast;
use crate::credentials::Source;
use crate::document::{Problem, Problems};
use crate::proxy;
use crate::trust::DevelopmentRoots;
use std::io::Write;

/// What `check` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// Prints every key with its value, its default and where it came from
    #[arg(long)]
    effective: bool,
    /// Forecasts what the certificates of N sidecars like this one cost in a month
    #[arg(long, value_name = "N")]
    tasks: Option<u32>,
    /// Accepts development roots where this is production
    #[arg(long)]
    allow_development_roots: bool,
}

/// Checks the configuration and prints what it found. Problems and warnings go to standard error.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let source = &args.source.config;
    let (loaded, pending) = match usable(source, DevelopmentRoots::here(args.allow_development_roots)) {
        Ok(usable) => usable,
        Err(problems) => return Ok(unusable(&problems)),
    };
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    for problem in &pending {
        eprintln!("{problem}");
    }
    let mut out = std::io::stdout().lock();
    if args.effective {
        write!(out, "{}", loaded.effective)?;
    }
    if let Some(tasks) = args.tasks {
        writeln!(out, "{}", forecast(&loaded, tasks))?;
    }
    if !pending.is_empty() {
        return Ok(Outcome::Findings);
    }
    writeln!(out, "ok: {}", summary(source, &loaded))?;
    Ok(Outcome::Fine)
}

/// The configuration, if nothing keeps a process from starting with it, and what a process would wait for.
///
/// # Errors
/// Every problem at once: those of the configuration, then those of the files it points to, as far as it could be read.
pub fn usable(source: &str, development: DevelopmentRoots) -> Result<(Loaded, Vec<Problem>), Vec<Problem>> {
    let Survey { loaded, references, .. } = config::survey_source(source);
    let Referenced { pending, malformed, warnings } = Referenced::look(&references, development);
    match loaded {
        Ok(mut loaded) if malformed.is_empty() => {
            loaded.warnings.extend(warnings);
            Ok((loaded, pending))
        }
        loaded => Err(loaded.err().into_iter().flat_map(Problems::into_vec).chain(malformed).chain(pending).collect()),
    }
}

/// Prints problems and says that the input is unusable.
pub fn unusable(problems: &[Problem]) -> Outcome {
    for problem in problems {
        eprintln!("{problem}");
    }
    Outcome::Unusable
}

/// One line: what a month of so many sidecars costs.
fn forecast(loaded: &Loaded, tasks: u32) -> String {
    match &loaded.config.credentials.source {
        #[cfg(feature = "aws")]
        Source::AcmPca(pca) => {
            let Forecast { issues, cost, at_most } = pca.terms(loaded.config.credentials.renew).month(tasks);
            format!(
                "forecast for {}: {issues:.0} certificates in 30 days, ${cost:.2} at ${} each; each start adds one, and the ceilings allow ${at_most:.2}",
                counted(tasks as usize, "sidecar"),
                pca.price
            )
        }
        Source::Dev { .. } | Source::File { .. } => "forecast: nothing is paid for with this credentials.source".to_owned(),
    }
}

/// One line: who we are and what goes where.
fn summary(source: &str, loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut parts = vec![format!("{source}: {}", config.credentials.id)];
    parts.extend(config.inbound.as_ref().map(|inbound| match &inbound.app {
        proxy::App::Tcp(app) => format!("{} to http://{app}", inbound.listen),
        proxy::App::Unix(path) => format!("{} to unix:{}", inbound.listen, path.display()),
    }));
    parts
        .extend(config.outbound.as_ref().map(|outbound| format!("{} to {}", outbound.listen, counted(config.upstreams.len(), "upstream"))));
    parts.push(counted(config.trust.len(), "trust domain"));
    if !loaded.warnings.is_empty() {
        parts.push(counted(loaded.warnings.len(), "warning"));
    }
    parts.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
