//! `countersign policy …`: what is done with policy tables.

mod promote;

use super::Outcome;
use clap::Subcommand;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Puts the candidate of a running sidecar in the place of its policy table
    Promote(promote::Args),
}

/// Runs one.
///
/// # Errors
/// It could not do its work.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Promote(args) => promote::run(args),
    }
}
