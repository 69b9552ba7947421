//! `countersign policy test`: do the cases of a table hold, and do they reach every rule?

use super::Format;
use super::given::{Text, for_listeners};
use crate::cli::Outcome;
use crate::policy::Outline;
use crate::policy::suite::{self, Named, Suite};
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::SystemTime;

const CODES: &str =
    "Exit codes: 0 all cases hold, 1 some do not, or rules are not covered and --require-coverage is given, 2 unusable input.";

/// Rules that are named, where coverage is not required.
const NAMED: usize = 5;

/// What `test` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The table, read for the listeners of --config where that is given; without it, that of the configuration
    file: Option<String>,
    /// The configuration: a path, or env:NAME. Default: countersign.toml, unless there is a file
    #[arg(long, value_name = "F")]
    config: Option<String>,
    /// More cases: a file with [[case]] and nothing else
    #[arg(long, value_name = "FILE")]
    cases: Option<String>,
    /// Every rule must decide in some case
    #[arg(long)]
    require_coverage: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the cases and prints which do not hold.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let given = for_listeners(args.config.as_deref(), args.file.as_deref());
    let more = args.cases.as_deref().map(Text::read).transpose();
    let (Text { file, text, listeners, boundary }, more) = match given.and_then(|table| Ok((table, more?))) {
        Ok(given) => given,
        Err(problems) => return Ok(crate::cli::check::unusable(&problems)),
    };
    let cases = more.as_ref().map(|more| Named { file: &more.file, text: &more.text });
    let suite = match suite::run(Named { file: &file, text: &text }, cases, boundary, &listeners, SystemTime::now()) {
        Ok(suite) => suite,
        Err(problems) => return Ok(crate::cli::check::unusable(&problems.into_vec())),
    };
    let outline = Outline::read(&file, &text);
    let said = match args.format {
        Format::Text => said(&suite, &outline, args.require_coverage),
        Format::Json => format!("{:#}\n", json(&suite, &outline)),
    };
    std::io::stdout().lock().write_all(said.as_bytes())?;
    let good = suite.failed.is_empty() && (suite.uncovered.is_empty() || !args.require_coverage);
    Ok(if good { Outcome::Fine } else { Outcome::Findings })
}

fn said(suite: &Suite, outline: &Outline, required: bool) -> String {
    let Suite { cases, failed, uncovered, rules } = suite;
    let mut lines: Vec<String> = failed.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{}: {} of {cases} cases hold, and {} of {rules} rules decide in some",
        outline.file(),
        cases.saturating_sub(failed.len()),
        rules - uncovered.len()
    ));
    let named = if required { uncovered.len() } else { NAMED };
    lines.extend(uncovered.iter().take(named).map(|index| format!("  {} decides in none  ({})", outline.id(*index), outline.rule(*index))));
    if uncovered.len() > named {
        lines.push(format!("  and {} more: --require-coverage names them", uncovered.len() - named));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn json(suite: &Suite, outline: &Outline) -> Value {
    let failed = suite
        .failed
        .iter()
        .map(|problem| json!({ "file": problem.file, "line": problem.place.line, "what": problem.what, "instead": problem.instead }));
    let uncovered = suite.uncovered.iter().map(|index| json!({ "rule": outline.id(*index), "line": outline.line(*index) }));
    json!({
        "file": outline.file(),
        "cases": suite.cases,
        "failed": failed.collect::<Vec<_>>(),
        "rules": suite.rules,
        "uncovered": uncovered.collect::<Vec<_>>(),
    })
}
