//! `countersign policy check`: is a table usable, and does it say what is meant?

use super::given::{Checked, alone_sources, checked};
use super::sarif;
use crate::cli::Outcome;
use crate::document::Problem;
use crate::policy::lint::{Finding, lint};
use serde_json::{Value, json};
use std::io::Write as _;

const CODES: &str = "Exit codes: 0 nothing found, 1 findings, 2 a table that cannot be used.";

/// What `check` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// Tables, read for the listeners of --config where that is given; without any, those of the configuration
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// The configuration: a path, or env:NAME. Default: countersign.toml, unless there are files
    #[arg(long, value_name = "F")]
    config: Option<String>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For code hosts: SARIF 2.1.0
    Sarif,
}

/// What was found in one table.
pub(super) struct Report {
    /// What problems call it.
    pub(super) file: String,
    /// Why it cannot be used, or what is to say about it.
    pub(super) result: Result<Vec<Finding>, Vec<Problem>>,
    /// The rules of a usable one.
    pub(super) rules: usize,
}

/// Checks tables and prints what it found.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let sources = match (&args.config, args.files.is_empty()) {
        (None, false) => alone_sources(&args.files),
        (config, _) => match checked(config.as_deref().unwrap_or("countersign.toml"), &args.files) {
            Ok(sources) => sources,
            Err(problems) => return Ok(crate::cli::check::unusable(&problems)),
        },
    };
    let reports: Vec<Report> = sources.into_iter().map(report).collect();
    let text = match args.format {
        Format::Text => text(&reports),
        Format::Json => format!("{:#}\n", json(&reports)),
        Format::Sarif => format!("{:#}\n", sarif::log(&reports)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match () {
        () if reports.iter().any(|report| report.result.is_err()) => Outcome::Unusable,
        () if reports.iter().any(|report| report.result.as_ref().is_ok_and(|findings| !findings.is_empty())) => Outcome::Findings,
        () => Outcome::Fine,
    })
}

fn report(Checked { file, around, boundary, read }: Checked) -> Report {
    match read {
        Ok((table, outline)) => {
            Report { file, rules: table.rules().len(), result: Ok(lint(&table, boundary.as_deref(), &outline, &around)) }
        }
        Err(problems) => Report { file, rules: 0, result: Err(problems) },
    }
}

fn text(reports: &[Report]) -> String {
    let mut lines = Vec::new();
    for Report { file, result, rules } in reports {
        match result {
            Err(problems) => lines.extend(problems.iter().map(|problem| format!("error: {problem}"))),
            Ok(findings) if findings.is_empty() => lines.push(format!("ok: {file}: {rules} rules, nothing found")),
            Ok(findings) => {
                lines.extend(findings.iter().map(|finding| {
                    let Finding { lint, severity, place, what, instead, .. } = finding;
                    let at = if place.line > 0 { format!(":{}:{}", place.line, place.column) } else { String::new() };
                    format!("{file}{at}: {} {}: {what}; {instead}", severity.as_str(), lint.id())
                }));
                lines.push(format!("{file}: {} in {rules} rules", counted(findings.len())));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn counted(count: usize) -> String {
    if count == 1 { "1 finding".to_owned() } else { format!("{count} findings") }
}

fn json(reports: &[Report]) -> Value {
    let report = |Report { file, result, rules }: &Report| match result {
        Ok(findings) => {
            json!({ "file": file, "usable": true, "rules": rules, "findings": findings.iter().map(finding).collect::<Vec<_>>() })
        }
        Err(problems) => {
            let problem = |problem: &Problem| json!({ "line": line(problem.place.line), "column": line(problem.place.column), "key": problem.place.key, "what": problem.what, "instead": problem.instead });
            json!({ "file": file, "usable": false, "problems": problems.iter().map(problem).collect::<Vec<_>>() })
        }
    };
    json!({ "tables": reports.iter().map(report).collect::<Vec<_>>() })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "lint": finding.lint.id(),
        "severity": finding.severity.as_str(),
        "rule": finding.rule,
        "line": line(finding.place.line),
        "column": line(finding.place.column),
        "what": finding.what,
        "instead": finding.instead,
    })
}

/// What is about no line has none.
fn line(number: usize) -> Option<usize> {
    (number > 0).then_some(number)
}
