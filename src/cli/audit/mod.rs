//! `countersign audit …`: what is asked of decision logs, and what is done with them.

mod export;

use super::Outcome;
use clap::Subcommand;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints the records of a log in a form that other tools read
    Export(export::Args),
}

/// Runs one.
///
/// # Errors
/// It could not do its work.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Export(args) => export::run(args),
    }
}
