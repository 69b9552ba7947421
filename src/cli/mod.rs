//! The command line: one file for each sub-command.

mod audit;
mod aws;
pub mod certs;
pub mod check;
mod control;
mod dev;
mod drain;
mod health;
mod policy;
mod quarantine;
mod readable;
mod referenced;
pub mod run;
mod schema;
mod status;
mod terminal;
mod trust;

use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;

/// Countersign: a zero-trust sidecar proxy.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 findings, 2 unusable input, 3 drained but something had to be cut.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything at work on this machine: no configuration needed
    Dev(dev::Args),
    /// Runs the sidecar
    Run(run::Args),
    /// Validates the configuration and the files it points to
    Check(check::Args),
    /// Looks whether AWS does what the configuration needs, and no more
    #[command(subcommand)]
    Aws(aws::Command),
    /// Makes and shows certificates for development
    #[command(subcommand)]
    Certs(certs::Command),
    /// Works on decision logs
    #[command(subcommand)]
    Audit(audit::Command),
    /// Works on policy tables
    #[command(subcommand)]
    Policy(policy::Command),
    /// Prints the JSON Schema of one of the two files, for editors
    Schema(schema::Args),
    /// Shows what a running sidecar says of itself
    Status(control::Document),
    /// Shows whom a running sidecar believes, and what depends on it
    #[command(subcommand)]
    Trust(trust::Command),
    /// Shows and changes who is refused by a running sidecar for a while, whatever the rules say
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Asks a running sidecar's health port: exit code 0 or 1
    Health(health::Args),
    /// Asks a running sidecar to end: what runs is finished first
    Drain(drain::Args),
}

/// Which configuration.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigSource {
    /// The configuration: a path, or env:NAME for a variable that holds it, plain or base64
    #[arg(long, value_name = "F", default_value = "countersign.toml")]
    pub config: String,
}

/// How a command ended, if it could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// It found something that the user should look at.
    Findings,
    /// What it was given cannot be used; the problems are printed already.
    Unusable,
    /// It drained, and something had to be cut.
    Cut,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Fine => 0,
            Outcome::Findings => 1,
            Outcome::Unusable => 2,
            Outcome::Cut => 3,
        })
    }
}

/// Runs the command that the process was started with. An error is printed and counts as unusable input.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dev(args) => dev::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Aws(command) => aws::run(&command),
        Command::Certs(command) => certs::run(command),
        Command::Audit(command) => audit::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Schema(args) => schema::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Trust(command) => trust::run(&command),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Health(args) => Ok(health::run(&args)),
        Command::Drain(args) => drain::run(&args),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("countersign: {error:#}");
            Outcome::Unusable.into()
        }
    }
}

/// Sleeps between two looks at something that sends no event.
#[expect(clippy::disallowed_methods, reason = "the main thread of a short-lived command: nothing runs on it")]
fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn outcomes_have_their_exit_codes() {
        for (outcome, code) in [(Outcome::Fine, 0), (Outcome::Findings, 1), (Outcome::Unusable, 2), (Outcome::Cut, 3)] {
            assert_eq!(ExitCode::from(outcome), ExitCode::from(code));
        }
    }
}
