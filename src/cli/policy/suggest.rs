//! `countersign policy suggest`: the least that the requests of a log need, as a table.

use super::Format;
use super::log::{Log, Read};
use crate::cli::Outcome;
use crate::policy::suggest::{Learner, Suggestion, Unlearnt};
use crate::policy::{self, Listeners};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::Write as _;

const NOTES: &str = "Give the logs of one workload, whose table this shall be. What was denied, malformed or allowed by a break-glass rule is never learnt from, \
    and a path is only generalised where 8 different values of one kind were seen: uuids, dates, integers or hexadecimal digits. Read the table before you use \
    it: it allows what was done, whether or not that was meant.\n\nExit codes: 0 a table for all that was allowed, 1 something was left out of it or there was \
    nothing to learn from, 2 unusable input.";

/// What `suggest` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = NOTES)]
pub struct Args {
    #[command(flatten)]
    log: Log,
    /// What the table is called
    #[arg(long, value_name = "NAME", default_value = "suggested")]
    name: String,
    /// How the table is printed: as it is, or inside an object that says what it was made of
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Learns, and prints the table.
///
/// # Errors
/// The log cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut learner = Learner::default();
    let Some(read) = args.log.each(|line| learner.record(line))? else { return Ok(Outcome::Unusable) };
    let suggestion = learner.suggest();
    let table = suggestion.toml(&args.name);
    // Its cases run as well: what is printed is what a sidecar takes.
    policy::parse("the suggested table", &table, &Listeners::default()).context("the log has something that no table can say")?;
    let text = match args.format {
        Format::Text => table,
        Format::Json => format!("{:#}\n", json(&suggestion, &read, &table)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    suggestion.unlearnt.iter().for_each(|unlearnt| eprintln!("countersign: not learnt: {unlearnt}"));
    if suggestion.rules() == 0 {
        eprintln!("countersign: no request of this log was allowed by a rule: the table allows nothing");
    }
    Ok(if suggestion.is_whole() && suggestion.rules() > 0 { Outcome::Fine } else { Outcome::Findings })
}

fn json(suggestion: &Suggestion, read: &Read, table: &str) -> Value {
    let unlearnt = suggestion.unlearnt.iter().map(|Unlearnt { caller, method, pattern, requests }| {
        json!({ "caller": caller, "method": method, "path": pattern, "requests": requests })
    });
    json!({
        "table": table,
        "rules": suggestion.rules(),
        "learnt": suggestion.learnt(),
        "left_out": suggestion.left_out,
        "unlearnt": unlearnt.collect::<Vec<_>>(),
        "too_many_hosts": suggestion.has_too_many_hosts,
        "records": read.records,
        "foreign_lines": read.foreign,
        "bad_lines": read.bad,
    })
}
