//! `countersign policy …`: what is asked of policy tables, and what is done with them.

mod check;
mod diff;
pub(super) mod explain;
mod export;
pub(super) mod given;
mod import;
mod log;
mod lookup;
mod promote;
mod replay;
mod sarif;
mod sign;
mod suggest;
mod test;
mod unused;
mod usage;
mod verify;

use super::Outcome;
use clap::Subcommand;

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads tables as a sidecar would, and looks for what is probably not meant
    Check(check::Args),
    /// Says why a request is decided as it is, and what would have let it pass
    Explain(Box<explain::Args>),
    /// Says what one policy lets pass that another one does not, and what it no longer does
    Diff(diff::Args),
    /// Says what a table says as policies of Istio or of Cedar
    Export(export::Args),
    /// Makes a table of policies of Istio, or of an RBAC filter of Envoy
    Import(Box<import::Args>),
    /// Runs the cases of a table, and says which rules they reach
    Test(test::Args),
    /// Decides the requests of a log again by another table, and says what would change
    Replay(replay::Args),
    /// Makes a table of the requests of a log: the least that they need
    Suggest(suggest::Args),
    /// Puts the candidate of a running sidecar in the place of its policy table
    Promote(promote::Args),
    /// Says which rules, and which members of their lists, nobody has needed for so long
    Unused(Box<unused::Args>),
    /// Prints how often each rule decided, as a running sidecar counts it
    Usage(usage::Args),
    /// Makes a signed bundle of a table whose cases hold
    Sign(sign::Args),
    /// Says whether a sidecar would accept a signed bundle
    Verify(verify::Args),
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Runs one.
///
/// # Errors
/// It could not do its work.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Check(args) => check::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Test(args) => test::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Suggest(args) => suggest::run(args),
        Command::Promote(args) => promote::run(args),
        Command::Unused(args) => unused::run(args),
        Command::Usage(args) => usage::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
