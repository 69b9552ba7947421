//! `countersign policy diff`: what does one policy let pass that another one does not?

mod pair;
mod print;

use super::Format;
use crate::cli::Outcome;
use crate::policy::diff::{Relation, diff};
use pair::Pair;
use std::io::Write as _;
use std::time::SystemTime;

const CODES: &str = "Exit codes: 0 equal, 1 different, 2 unusable input. With --deny-wider: 0 equal or narrower, 1 wider or incomparable.";

/// Differences of each direction that are shown unless `--all` is given.
const SHOWN: usize = 10;

/// What `diff` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The policy as it is, and as it would be. With one, the table of the configuration is compared with it; without any, with its candidate
    #[arg(value_name = "FILE", num_args = 0..=2)]
    files: Vec<String>,
    /// The configuration, whose listeners and boundary tables are read for: a path, or env:NAME. Default: countersign.toml, unless there are two files
    #[arg(long, value_name = "F")]
    config: Option<String>,
    /// The table that caps both; default: that of the configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["boundary_a", "boundary_b"])]
    boundary: Option<String>,
    /// The table that caps the first
    #[arg(long, value_name = "FILE")]
    boundary_a: Option<String>,
    /// The table that caps the second
    #[arg(long, value_name = "FILE")]
    boundary_b: Option<String>,
    /// Only what lets more pass is a finding, and what cannot be compared
    #[arg(long)]
    deny_wider: bool,
    /// Every difference, and not only the first ones
    #[arg(long)]
    all: bool,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Compares two policies and prints how the second stands to the first.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let pair = match Pair::read(args) {
        Ok(pair) => pair,
        Err(problems) => return Ok(crate::cli::check::unusable(&problems)),
    };
    let most = if args.all { usize::MAX } else { SHOWN };
    let [a, b] = &pair.sides;
    let difference = diff(&a.tables, &b.tables, pair.ports.as_deref(), most, SystemTime::now());
    let text = match args.format {
        Format::Text => print::text(&pair, &difference)?,
        Format::Json => format!("{:#}\n", print::json(&pair, &difference)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match difference.relation {
        Relation::Equal => Outcome::Fine,
        Relation::Narrower if args.deny_wider => Outcome::Fine,
        Relation::Narrower | Relation::Wider | Relation::Incomparable => Outcome::Findings,
    })
}
