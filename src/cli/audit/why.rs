//! `countersign audit why`: from the id that a denied caller got to the rule that kept it out.

mod search;
mod unknown;

use super::source::LogSource;
use crate::audit::read::Place;
use crate::audit::{DecisionId, KeptTables};
use crate::cli::Outcome;
use crate::cli::check;
use crate::cli::policy::Format;
use crate::cli::policy::explain::{SHOWN, print};
use crate::cli::policy::given::{Given, alone, once_in_force};
use crate::cli::terminal::printable;
use crate::policy::Verdict;
use crate::policy::explain::{Record, Story, explain};
use anyhow::{Context as _, bail};
use search::{Found, search};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;

const CODES: &str = "Exit codes: 0 allowed, 1 denied, 2 nothing is known of it, or its table is not there.";

/// What `audit why` is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The id of a decision, as x-countersign-decision has it
    id: DecisionId,
    #[command(flatten)]
    log: LogSource,
    /// The table that was in force, where none is kept beside the log: a path, or env:NAME
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Every rule, and not only the first ones
    #[arg(long)]
    all: bool,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Explains one decision.
///
/// # Errors
/// There is no log, its record cannot be explained for want of the table, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let inputs = args.log.inputs()?;
    let (text, outcome) = match search(args.id, &inputs)? {
        Found::Record(place, line) => known(args, &place, &line)?,
        Found::Clues(clues) => match args.format {
            Format::Text => (unknown::text(args.id, &clues), clues.outcome()),
            Format::Json => (format!("{:#}\n", unknown::json(args.id, &clues)), clues.outcome()),
        },
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(outcome)
}

fn known(args: &Args, place: &Place, line: &str) -> anyhow::Result<(String, Outcome)> {
    let record = Record::read(line).with_context(|| format!("the record {}", args.id))?;
    let boundary = serde_json::from_str::<Value>(line).ok().and_then(|record| record["boundary_sha256"].as_str().map(str::to_owned));
    let given = match (&record.story, &record.table) {
        (Story::Rules(_), Some((name, _, hash))) => match table(args, place, name, hash, boundary.as_deref())? {
            Ok(given) => Some(given),
            Err(problems) => {
                check::unusable(&problems);
                return Ok((String::new(), Outcome::Unusable));
            }
        },
        _ => None,
    };
    let explanation = match (&record.story, &given) {
        (Story::Rules(ask), Some(given)) => Some(explain(&given.tables, ask)),
        _ => None,
    };
    let most = if args.all { usize::MAX } else { SHOWN };
    let text = match args.format {
        Format::Text => print::text(given.as_ref(), Some(&record), explanation.as_ref(), most),
        Format::Json => format!("{:#}\n", print::json(given.as_ref(), Some(&record), explanation.as_ref(), most)),
    };
    Ok((text, if record.decision == Verdict::Allow.as_str() { Outcome::Fine } else { Outcome::Findings }))
}

type Read = Result<Given, Vec<crate::document::Problem>>;

/// The table with this hash: the one that was given, or the one that is kept beside the log.
fn table(args: &Args, place: &Place, name: &str, hash: &str, boundary: Option<&str>) -> anyhow::Result<Read> {
    if let Some(file) = &args.policy {
        if boundary.is_some() {
            eprintln!("countersign: a boundary capped the table, and it is not kept beside the log: what follows is about the table alone");
        }
        return match alone(file) {
            Ok(given) if given.own().facts.sha256 != hash => {
                bail!("{file} is another table: its hash is {}, and that of the record is {}", given.own().facts.sha256, printable(hash))
            }
            read => Ok(read),
        };
    }
    let beside = match place {
        Place::File(path) => path.parent().map(Path::to_owned),
        Place::Stdin => None,
    };
    let tried: Vec<KeptTables> = beside.into_iter().chain(args.log.configured()).map(|log| KeptTables::of_log(&log)).collect();
    let kept = |hash: &str| -> anyhow::Result<_> {
        for tables in &tried {
            let path = || tables.path(hash).unwrap_or_default().display().to_string();
            if let Some(table) = tables.read(hash).with_context(path)? {
                return Ok(Some(table));
            }
        }
        Ok(None)
    };
    let Some(own) = kept(hash)? else {
        bail!(
            "the table {} with the hash {} is not kept beside the log; give its file with --policy, as it was then",
            printable(name),
            printable(hash)
        );
    };
    let capping = boundary.map(kept).transpose()?.flatten();
    if boundary.is_some() && capping.is_none() {
        eprintln!("countersign: the boundary that capped the table is not kept beside the log: what follows is about the table alone");
    }
    let text = |table: &'_ crate::audit::KeptTable| (table.source.clone(), table.toml.clone());
    let (own, capping) = (text(&own), capping.as_ref().map(text));
    let read = once_in_force((&own.0, &own.1), capping.as_ref().map(|(name, toml)| (name.as_str(), toml.as_str())));
    if let Ok(given) = &read
        && given.own().facts.sha256 != hash
    {
        bail!("the table that is kept as {} was changed: its hash is {}", printable(hash), given.own().facts.sha256);
    }
    Ok(read)
}
