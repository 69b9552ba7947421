//! `countersign audit …`: what is asked of the decision log.

mod verify;

use super::Outcome;
use clap::Subcommand;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says whether a log is whole, and where it is not
    Verify(verify::Args),
}

/// Runs one.
///
/// # Errors
/// It could not do its work.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Verify(args) => verify::run(args),
    }
}
