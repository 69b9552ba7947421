//! `countersign policy unused`: which rules, and which members of their lists, nobody has needed for so long.

mod counts;
mod print;

use super::Format;
use super::given::TableSource;
use crate::cli::Outcome;
use crate::policy::usage::{Report, unused};
use crate::policy::{Part, Table};
use counts::Counts;
use std::io::Write as _;
use std::sync::Arc;

const CODES: &str = "Exit codes: 0 nothing is unused, 1 something is, 2 unusable input, or not enough was observed to say.";

/// What `unused` is asked.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    #[command(flatten)]
    table: TableSource,
    /// What the table was to those who counted; with --config they tell themselves
    #[arg(long, value_enum, default_value_t = As::Own, requires = "policy")]
    part: As,
    #[command(flatten)]
    counts: Counts,
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// Takes a replica that has counted for fewer days for one that there was not before
    #[arg(long)]
    accept_young: bool,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The part of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    /// The service's own
    Own,
    /// The one that caps it
    Boundary,
    /// The one that is tried
    Candidate,
}

impl From<As> for Part {
    fn from(part: As) -> Self {
        match part {
            As::Own => Self::Own,
            As::Boundary => Self::Boundary,
            As::Candidate => Self::Candidate,
        }
    }
}

/// A table and what is known of its use.
struct Told<'t> {
    /// Where its places are looked up.
    given_as: Part,
    part: Part,
    table: &'t Arc<Table>,
    report: Report,
}

/// Whether there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    AllUsed,
    Unused,
    NotKnown,
}

/// Tells what is unused.
///
/// # Errors
/// The counts cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(given) = args.table.read() else { return Ok(Outcome::Unusable) };
    let fleet = args.counts.read(&args.table, &given)?;
    let told = given.tables.all().map(|(given_as, table)| {
        let part = if given_as == Part::Own { args.part.into() } else { given_as };
        Told { given_as, part, table, report: unused(table, part, &fleet, args.days) }
    });
    let told: Vec<Told<'_>> = told.collect();
    let answer = answer(args, &told);
    let text = match args.format {
        Format::Text => print::text(&given, &told, args, answer),
        Format::Json => format!("{:#}\n", print::json(&given, &told, args, answer)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match answer {
        Answer::AllUsed => Outcome::Fine,
        Answer::Unused => Outcome::Findings,
        Answer::NotKnown => Outcome::Unusable,
    })
}

fn answer(args: &Args, told: &[Told<'_>]) -> Answer {
    let is_known = |report: &Report| {
        let young = report.young_replicas(args.days).next().is_some();
        !report.replicas.is_empty() && (args.accept_young || !young)
    };
    if !told.iter().all(|told| is_known(&told.report)) {
        Answer::NotKnown
    } else if told.iter().any(|told| told.report.has_findings()) {
        Answer::Unused
    } else {
        Answer::AllUsed
    }
}
