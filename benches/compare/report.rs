//! The table for people and the file for machines.

use crate::measure::{Calls, Work, commit, median};
use crate::rounds::{Figures, Plan};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use time::OffsetDateTime;

/// The shares of requests whose latency is told.
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Prints the tables and writes everything to `file`.
///
/// # Errors
/// The file cannot be written.
pub fn write(results: &[(Work, Vec<Figures>)], plan: &Plan, file: &Path) -> anyhow::Result<()> {
    let (commit, date) = (commit(), OffsetDateTime::now_utc().date().to_string());
    println!("{date}, commit {commit}; instructions by {}; medians of {} rounds", plan.method.text(), plan.rounds);
    for (work, figures) in results {
        println!("\n{}: {:?}, {} connections × {} streams", work.name, work.protocol, work.connections, work.streams);
        println!("latency at {} requests/s, from when each was due\n", plan.rate);
        println!(
            "| per request | instructions, user | kernel | CPU µs | I/O calls | all calls | requests/s | p50 µs | p90 | p99 | p99.9 |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        figures.iter().for_each(row);
    }
    let scenario = |(work, figures): &(Work, Vec<Figures>)| {
        json!({
            "name": work.name,
            "protocol": format!("{:?}", work.protocol),
            "connections": work.connections,
            "streams": work.streams,
            "proxies": figures.iter().map(proxy).collect::<Vec<_>>(),
        })
    };
    let document = json!({
        "date": date,
        "commit": commit,
        "method": plan.method.text(),
        "requests_per_round": plan.requests,
        "latency_rate": plan.rate,
        "scenarios": results.iter().map(scenario).collect::<Vec<_>>(),
    });
    fs::write(file, serde_json::to_string_pretty(&document)?).with_context(|| file.display().to_string())?;
    println!("\n{}", file.display());
    Ok(())
}

fn row(figures: &Figures) {
    let number = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let of = |values: &[f64]| (!values.is_empty()).then(|| median(values.iter().copied()));
    let latency = |share| (figures.latencies.count() > 0).then(|| figures.latencies.percentile(share).as_secs_f64() * 1e6);
    let mut cells = vec![
        figures.name.clone(),
        number(figures.instructions.map(|counted| counted.user), 0),
        number(figures.instructions.and_then(|counted| counted.kernel), 0),
        number(of(&figures.cpu), 1),
        number(figures.calls.as_ref().map(Calls::io), 2),
        number(figures.calls.as_ref().map(Calls::all), 2),
        number(of(&figures.throughput), 0),
    ];
    cells.extend(SHARES.map(|(_, share)| number(latency(share), 0)));
    println!("| {} |", cells.join(" | "));
}

fn proxy(figures: &Figures) -> Value {
    let latency = |share| figures.latencies.percentile(share).as_secs_f64() * 1e6;
    json!({
        "name": figures.name,
        "instructions_user": figures.instructions.map(|counted| counted.user),
        "instructions_kernel": figures.instructions.and_then(|counted| counted.kernel),
        "cpu_us": figures.cpu,
        "syscalls": figures.calls.as_ref().map(|calls| &calls.0),
        "requests_per_second": figures.throughput,
        "latency_us": SHARES.iter().map(|(name, share)| ((*name).to_owned(), json!(latency(*share)))).collect::<serde_json::Map<_, _>>(),
        "latency_samples": figures.latencies.count(),
    })
}
