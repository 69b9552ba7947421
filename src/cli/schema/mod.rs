//! `countersign schema`: the JSON Schemas (draft 2020-12) of both files, as they are published under `config/`.

#[cfg(test)]
mod tests;

use super::Outcome;
use clap::ValueEnum;
use std::io::Write as _;

/// What `schema` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of which file
    file: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum File {
    /// countersign.toml
    Config,
    /// policy.toml
    Policy,
}

impl File {
    fn schema(self) -> &'static str {
        match self {
            Self::Config => include_str!("../../../config/countersign.schema.json"),
            Self::Policy => include_str!("../../../config/policy.schema.json"),
        }
    }
}

/// Prints it.
///
/// # Errors
/// Standard output takes nothing.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    std::io::stdout().lock().write_all(args.file.schema().as_bytes())?;
    Ok(Outcome::Fine)
}
