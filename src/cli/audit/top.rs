//! `countersign audit top`: decisions counted by what they have in common.

use super::Format;
use super::source::{LogSource, When, fields};
use super::walk::{Bar, complain, walk};
use super::write::Rows;
use crate::audit::query::{Count, Field, Got, Scan, Tally};
use crate::cli::Outcome;
use anyhow::bail;
use serde_json::{Map, Value};
use std::ops::ControlFlow;

/// What is counted unless a filter says otherwise.
const DECISIONS: &str = "kind in (decision, handshake, aggregate)";

/// The most fields of a key.
const PARTS: usize = 8;

/// What `audit top` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The fields that are counted by, as in src.id,rule
    #[arg(long, value_name = "FIELDS")]
    by: String,
    /// Which records; without it decisions, refused handshakes, and what aggregates count
    #[arg(long, value_name = "FILTER", default_value = DECISIONS, hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    log: LogSource,
    #[command(flatten)]
    when: When,
    /// How counts are printed; on a terminal as a table, elsewhere as JSON
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// How many are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// The fields that a [`Count`] is made of.
pub(super) fn counting() -> impl Iterator<Item = Field> {
    ["kind", "phase", "count", "decision"].into_iter().filter_map(Field::named)
}

/// Counts.
///
/// # Errors
/// A filter or a field cannot be read, there is no log, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let by = fields(&args.by)?;
    if by.len() > PARTS {
        bail!("--by takes {PARTS} fields at most");
    }
    let columns: Vec<Field> = by.iter().cloned().chain(counting()).collect();
    let mut scan = Scan::new(args.when.filter(&args.filter)?, &columns);
    let inputs = args.log.inputs()?;
    let mut tally = Tally::default();
    let outcome = walk(&inputs, Bar::new(&inputs, false), |lines| {
        scan.lines(lines, |hit| {
            if let Some((parts, [kind, phase, count, decision])) = hit.values.split_last_chunk() {
                let parts: Vec<String> = parts.iter().map(Got::to_string).collect();
                tally.add(parts.iter().map(String::as_str), Count::of(kind, phase, count, decision));
            }
            ControlFlow::Continue(())
        })
    });
    let head = ["count", "denied"].into_iter().chain(by.iter().map(Field::name)).map(str::to_owned).collect();
    let mut rows = Rows::new(args.format, head);
    for (key, Count { all, denied }) in tally.sorted().into_iter().take(args.limit) {
        let numbers = || [all, denied].map(|number| number.to_string()).into_iter().chain(key.iter().cloned()).collect();
        if rows.row(numbers, || json(&by, key, all, denied)).is_break() {
            break;
        }
    }
    let outcome = rows.end(outcome)?;
    complain(scan.unreadable());
    say_missed(&tally);
    Ok(outcome)
}

/// Says so where the counts are not exact.
pub(super) fn say_missed(tally: &Tally) {
    if tally.missed() > 0 {
        eprintln!(
            "countersign: there were too many to count each: a count may be too low by {}, and rarer ones are left out",
            tally.missed()
        );
    }
}

fn json(by: &[Field], key: &[String], all: u64, denied: u64) -> Vec<u8> {
    let parts = by.iter().zip(key).map(|(field, part)| (field.name().to_owned(), Value::from(part.as_str())));
    let numbers = [("count", all), ("denied", denied)].map(|(name, number)| (name.to_owned(), Value::from(number)));
    Value::Object(parts.chain(numbers).collect::<Map<_, _>>()).to_string().into_bytes()
}
