//! `countersign audit …`: what is asked of decision logs, and what is done with them.

mod edges;
mod export;
mod query;
mod source;
mod tail;
mod top;
pub(super) mod verify;
pub(super) mod walk;
mod why;
mod write;

use super::Outcome;
use clap::Subcommand;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints the records of a log in a form that other tools read
    Export(export::Args),
    /// Shows the records that a filter lets pass
    Query(query::Args),
    /// Counts decisions by what they have in common
    Top(top::Args),
    /// Shows who calls whom
    Edges(edges::Args),
    /// Shows the log as it is written
    Tail(tail::Args),
    /// Says why a request was decided as it was, by the table that was in force
    Why(why::Args),
    /// Says whether a log is whole, and where it is not
    Verify(verify::Args),
}

/// Runs one.
///
/// # Errors
/// It could not do its work.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Export(args) => export::run(args),
        Command::Query(args) => query::run(args),
        Command::Top(args) => top::run(args),
        Command::Edges(args) => edges::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Why(args) => why::run(args),
        Command::Verify(args) => verify::run(args),
    }
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// Comma-separated values (RFC 4180) with a head
    Csv,
    /// For people
    Table,
}
