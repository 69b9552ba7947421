//! `countersign aws doctor`: the examination, as a table or in JSON.

use super::Args;
use crate::app;
use crate::audit::Signing;
use crate::aws::doctor::{Finding, Group, Report, Verdict, Wanted, examine};
use crate::cli::{Outcome, check};
use crate::config;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// In the order in which they are read.
const GROUPS: [Group; 5] = [Group::Way, Group::Authority, Group::Needed, Group::Keys, Group::Excess];

/// The least width of the checks' names, so that the short ones of all groups stand in one column.
const WIDTH: usize = 11;

/// Examines and prints; something broken is a finding.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let source = &args.source.config;
    let loaded = match config::load(source) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(check::unusable(&problems.into_vec())),
    };
    let config = &loaded.config;
    let mut sign_keys = args.sign_keys.clone();
    if let Some(Signing::Kms(key)) = &config.audit.signing
        && !sign_keys.contains(key)
    {
        sign_keys.insert(0, key.clone());
    }
    let wanted = Wanted { credentials: &config.credentials, trust: &config.trust, sign_keys: &sign_keys, policy_keys: &args.policy_keys };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(examine(&app::way_to_aws(), wanted, app::clock().now()));
    let Some(report) = report.or_else(|| args.json.then(Report::default)) else {
        println!("{source}: it needs nothing of AWS; neither credentials.source nor a [[trust]] is \"acm-pca\", and no key is given");
        return Ok(Outcome::Fine);
    };
    let text = if args.json { document(&report) } else { table(&report, &format!("{source}: {}", config.credentials.id)) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if report.is_broken() { Outcome::Findings } else { Outcome::Fine })
}

fn document(report: &Report) -> String {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "group": finding.group.name(),
            "check": finding.check,
            "state": finding.verdict.name(),
            "found": finding.found,
            "fix": finding.verdict.fix(),
        })
    });
    format!("{:#}\n", json!({ "ok": !report.is_broken(), "findings": findings.collect::<Vec<_>>() }))
}

/// A line for each finding under its group, and below it what to do; what is broken in capitals.
fn table(report: &Report, title: &str) -> String {
    let mut text = format!("{}\n", plain(title));
    for group in GROUPS {
        let findings: Vec<_> = report.findings.iter().filter(|finding| finding.group == group).collect();
        let width = findings.iter().map(|finding| finding.check.chars().count()).fold(WIDTH, usize::max);
        // Writing into a String cannot fail.
        let _ = if findings.is_empty() { Ok(()) } else { writeln!(text, "\n{group}") };
        for Finding { check, found, verdict, .. } in findings {
            let _ = writeln!(text, "  {:<9}  {:<width$}  {}", state(verdict), plain(check), plain(found));
            if let Some(fix) = verdict.fix() {
                let _ = writeln!(text, "{:13}fix: {}", "", plain(fix));
            }
        }
    }
    text + &summary(report)
}

fn state(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning(_) => "warning",
        Verdict::Broken(_) => "BROKEN",
        Verdict::Unknown(_) => "unknown",
        Verdict::NotAsked => "not asked",
    }
}

fn summary(report: &Report) -> String {
    let count = |wanted: fn(&Verdict) -> bool| report.findings.iter().filter(|finding| wanted(&finding.verdict)).count();
    let broken = count(|verdict| matches!(verdict, Verdict::Broken(_)));
    let warnings = count(|verdict| matches!(verdict, Verdict::Warning(_)));
    let unknown = count(|verdict| matches!(verdict, Verdict::Unknown(_) | Verdict::NotAsked));
    format!("\nbroken: {broken}, warnings: {warnings}, unknown or not asked: {unknown}; no certificate was issued\n")
}

/// What AWS says does not reach the terminal as it is.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
