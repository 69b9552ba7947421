//! `countersign aws`: what is between this workload and AWS.

#[cfg(feature = "aws")]
mod doctor;

use super::{ConfigSource, Outcome};

/// What is asked about AWS.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Asks AWS, by calls that change nothing, and says what to fix
    Doctor(Args),
}

/// What `doctor` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the sub-command.
///
/// # Errors
/// Standard output cannot be written.
#[cfg(feature = "aws")]
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Doctor(args) = command;
    doctor::run(args)
}

/// Runs nothing: this build was made without AWS.
///
/// # Errors
/// Always.
#[cfg(not(feature = "aws"))]
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Doctor(Args { source, .. }) = command;
    anyhow::bail!("this build cannot ask AWS anything for {}; take one with the feature \"aws\", which is on by default", source.config)
}
