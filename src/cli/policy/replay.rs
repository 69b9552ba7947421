//! `countersign policy replay`: what another table would have made of recorded requests.

use super::Format;
use super::given::pair;
use super::log::{Log, Read};
use crate::cli::Outcome;
use crate::cli::terminal::printable;
use crate::policy::TableFacts;
use crate::policy::record::Apart;
use crate::policy::replay::{Change, Changed, Group, Replay, Report, Trials};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

const NOTES: &str = "A condition is not asked again: what came out of it is in the record, if the table of then had the same one and looked at it. A request that \
    hangs on another one is undecidable. Exit codes: 0 nothing would change, 1 something would, or cannot be decided and --strict is given, 2 unusable input.";

/// Groups that are shown unless `--all` is given.
const SHOWN: usize = 20;

/// What `replay` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = NOTES)]
pub struct Args {
    #[command(flatten)]
    log: Log,
    /// The table that is tried: a path, or env:NAME
    #[arg(long, value_name = "FILE")]
    policy: String,
    /// The table that caps it
    #[arg(long, value_name = "FILE")]
    boundary: Option<String>,
    /// Decides as if nothing were in shadow, and everything enforced for all identities
    #[arg(long)]
    enforced: bool,
    /// Requests that cannot be decided are findings as well
    #[arg(long)]
    strict: bool,
    /// Every group, and not only the first ones
    #[arg(long)]
    all: bool,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Decides the log again and prints what would change.
///
/// # Errors
/// The log cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let given = match pair(&args.policy, args.boundary.as_deref()) {
        Ok(given) => given,
        Err(problems) => return Ok(crate::cli::check::unusable(&problems)),
    };
    let trials = if args.enforced { Trials::Enforced } else { Trials::AsWritten };
    let mut replay = Replay::new(Arc::clone(&given.tables), trials);
    let Some(read) = args.log.each(|line| replay.record(line))? else { return Ok(Outcome::Unusable) };
    let report = replay.finish();
    let table = &given.own().facts;
    let text = match args.format {
        Format::Text => text(&report, &read, table, if args.all { usize::MAX } else { SHOWN }),
        Format::Json => format!("{:#}\n", json(&report, &read, table)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    let found = report.changed() > 0 || args.strict && report.undecidable > 0;
    Ok(if found { Outcome::Findings } else { Outcome::Fine })
}

// Writing into a String cannot fail.
macro_rules! say {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

fn text(report: &Report, read: &Read, table: &TableFacts, most: usize) -> String {
    let mut text = String::new();
    let Report { decided, denied, allowed, by_another_rule, undecidable, .. } = report;
    let hash = table.sha256.get(..12).unwrap_or_default();
    say!(
        text,
        "{decided} requests decided again by {} ({hash}): {denied} would be denied, {allowed} would be allowed",
        printable(&table.name)
    );
    for (change, title) in [(Change::Denied, "allowed then, denied now"), (Change::Allowed, "denied then, allowed now")] {
        groups(&mut text, report, change, title, most);
    }
    if report.ungrouped > 0 {
        say!(text, "\n{} more would change, in groups that are too many to be told apart", report.ungrouped);
    }
    if *by_another_rule > 0 {
        say!(text, "\n{by_another_rule} with the same verdict, by another rule");
    }
    if *undecidable > 0 {
        say!(text, "\n{undecidable} cannot be decided for want of");
        for (what, count) in &report.missing {
            say!(text, "  {count:>9}  {}", printable(what));
        }
    }
    if !report.apart.is_empty() {
        say!(text, "\nnot decided by rules");
        for (apart, count) in &report.apart {
            say!(text, "  {count:>9}  {}", apart.label());
        }
    }
    if report.apart.contains_key(&Apart::Gap) {
        say!(text, "The log is not complete: a gap stands for records that were never written.");
    }
    if read.foreign > 0 {
        say!(text, "\n{} lines are of something else than the log", read.foreign);
    }
    text
}

fn groups(text: &mut String, report: &Report, change: Change, title: &str, most: usize) {
    let of_change: Vec<_> = report.groups.iter().filter(|(group, _)| group.change == change).collect();
    if of_change.is_empty() {
        return;
    }
    say!(text, "\n{title}");
    for (Group { caller, method, template, was, now, .. }, Changed { count, example }) in of_change.iter().take(most) {
        let [caller, method, template, was, example] = [caller, method, template, was, example].map(|value| printable(value));
        say!(text, "  {count:>9}  {caller}  {method} {template}  then {was}, now {now}  (as {example})");
    }
    if of_change.len() > most {
        say!(text, "  and {} more groups: --all shows them", of_change.len() - most);
    }
}

fn json(report: &Report, read: &Read, table: &TableFacts) -> Value {
    let groups = report.groups.iter().map(|(group, Changed { count, example })| {
        let Group { change, caller, method, template, was, now } = group;
        let change = if *change == Change::Denied { "denied" } else { "allowed" };
        json!({ "would_be": change, "caller": caller, "method": method, "template": template, "was": was, "now": now, "count": count, "example": example })
    });
    let apart: serde_json::Map<String, Value> =
        report.apart.iter().map(|(apart, count)| (apart.label().to_owned(), json!(count))).collect();
    json!({
        "table": { "name": table.name, "version": table.version, "sha256": table.sha256 },
        "decided": report.decided,
        "would_be_denied": report.denied,
        "would_be_allowed": report.allowed,
        "by_another_rule": report.by_another_rule,
        "groups": groups.collect::<Vec<_>>(),
        "ungrouped": report.ungrouped,
        "undecidable": report.undecidable,
        "missing": report.missing,
        "not_by_rules": apart,
        "records": read.records,
        "foreign_lines": read.foreign,
        "bad_lines": read.bad,
    })
}
