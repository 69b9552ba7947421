//! The table for people and the file for machines.

use super::Scenario;
use crate::load::Protocol;
use crate::measure::process::Memory;
use crate::measure::{Calls, Cpu, Instructions, Method, commit};
use anyhow::Context as _;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;
use time::OffsetDateTime;

/// One round of requests.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// What the sidecar used.
    pub cpu: Cpu,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How many.
    pub requests: u64,
}

/// What one scenario cost.
pub struct Figures {
    /// Which.
    pub scenario: Scenario,
    /// CPU time, by rounds.
    pub rounds: Vec<Round>,
    /// Instructions per request.
    pub instructions: Option<Instructions>,
    /// System calls per request.
    pub syscalls: Option<Calls>,
    /// Memory before the first connection.
    pub idle: Memory,
    /// Memory after the last round.
    pub busy: Memory,
}

impl Round {
    fn micros(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.requests as f64
    }
}

impl Figures {
    /// The round with the median CPU time.
    fn median(&self) -> Option<&Round> {
        let mut rounds: Vec<&Round> = self.rounds.iter().collect();
        rounds.sort_by_key(|round| round.cpu.total);
        rounds.get(rounds.len() / 2).copied()
    }

    fn json(&self) -> serde_json::Value {
        let Self { scenario, idle, busy, .. } = self;
        let cpu = |round: &Round| {
            json!({
                "total": round.micros(round.cpu.total),
                "user": round.micros(round.cpu.user),
                "system": round.micros(round.cpu.system),
                "requests_per_second": round.requests as f64 / round.took.as_secs_f64(),
            })
        };
        json!({
            "scenario": scenario.name,
            "protocol": if scenario.protocol == Protocol::Http1 { "http1" } else { "http2" },
            "connections": scenario.connections,
            "streams": scenario.streams,
            "instructions_user": self.instructions.map(|counted| counted.user),
            "instructions_kernel": self.instructions.and_then(|counted| counted.kernel),
            "cpu_us": self.rounds.iter().map(cpu).collect::<Vec<_>>(),
            "syscalls": self.syscalls.as_ref().map(|calls| &calls.0),
            "rss_idle_kib": idle.resident,
            "rss_idle_anonymous_kib": idle.anonymous,
            "rss_kib": busy.resident,
            "rss_anonymous_kib": busy.anonymous,
        })
    }
}

/// Prints the table and writes everything to `file`.
///
/// # Errors
/// The file cannot be written.
pub fn write(all: &[Figures], method: Method, binary: &Path, file: &Path) -> anyhow::Result<()> {
    let bytes = fs::metadata(binary).with_context(|| binary.display().to_string())?.len();
    let (commit, date) = (commit(), OffsetDateTime::now_utc().date().to_string());
    println!("{date}, commit {commit}, {} ({bytes} bytes)", binary.display());
    println!("instructions by {}; CPU time is the median of {} rounds\n", method.text(), super::ROUNDS);
    println!("| per request | instructions, user | kernel | CPU µs (user + system) | calls for I/O | all calls | RSS idle → after, KiB |");
    println!("|---|---|---|---|---|---|---|");
    for figures in all {
        row(figures);
    }
    println!();
    for figures in all {
        let calls = figures.syscalls.iter().flat_map(|calls| &calls.0).filter(|(_, count)| **count >= 0.005);
        let text: Vec<String> = calls.map(|(name, count)| format!("{name} {count:.2}")).collect();
        println!("{}: {}", figures.scenario.name, text.join(", "));
    }
    let scenarios: Vec<_> = all.iter().map(Figures::json).collect();
    let document = json!({ "date": date, "commit": commit, "method": method.text(), "binary_bytes": bytes, "scenarios": scenarios });
    fs::write(file, serde_json::to_string_pretty(&document)?).with_context(|| file.display().to_string())?;
    println!("\n{}", file.display());
    Ok(())
}

fn row(figures: &Figures) {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    let calls = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    let user = number(figures.instructions.map(|counted| counted.user));
    let kernel = number(figures.instructions.and_then(|counted| counted.kernel));
    let cpu = figures.median().map_or("–".to_owned(), |round| {
        let Cpu { total, user, system } = round.cpu;
        format!("{:.1} ({:.1} + {:.1})", round.micros(total), round.micros(user), round.micros(system))
    });
    let (io, all) = (calls(figures.syscalls.as_ref().map(Calls::io)), calls(figures.syscalls.as_ref().map(Calls::all)));
    let (idle, busy) = (figures.idle.resident, figures.busy.resident);
    println!("| {} | {user} | {kernel} | {cpu} | {io} | {all} | {idle} → {busy} |", figures.scenario.name);
}
