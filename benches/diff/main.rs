//! What it takes to compare two tables of ten thousand rules each, loading not counted.
//!
//! `cargo bench --no-default-features --bench diff` prints the table, and fails where two tables that differ in one rule, or in none, take
//! more than 100 ms. Tables of which every rule is weighed against something else take longer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on has failed")]

use countersign::policy::diff::{Difference, Relation, diff};
use countersign::policy::{Listeners, Tables, parse};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const RULES: usize = 10_000;

/// The rule that is changed.
const CHANGED: usize = 4_711;

/// The most that a comparison may take.
const MOST: Duration = Duration::from_millis(100);

/// Comparisons of which the fastest counts.
const ROUNDS: u32 = 10;

/// How rules are spread over identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// Ten rules for each identity.
    Many,
    /// All rules for one.
    One,
}

/// What is done to a copy whose rules are in another order and have other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// One rule is about all below its path.
    Wider,
    /// One rule more, about everything and everybody.
    Everything,
    /// The table is in shadow.
    Shadow,
    /// Every rule is about other paths.
    All,
}

fn main() -> ExitCode {
    // `cargo test` runs every bench once; this one would take its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!("{:10} {:12} {:>12}  answer", "identities", "change", "time");
    let changes = [Change::Nothing, Change::Wider, Change::Everything, Change::Shadow, Change::All];
    let rows = [Spread::Many, Spread::One].into_iter().flat_map(|spread| changes.map(|change| (spread, change)));
    // Every row is printed before a miss counts.
    let held: Vec<bool> = rows.map(|(spread, change)| row(spread, change)).collect();
    if held.iter().all(|held| *held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(spread: Spread, change: Change) -> bool {
    let (a, b) = (table(&text(spread, None)), table(&text(spread, Some(change))));
    let timed = || -> (Duration, Difference) {
        let begun = Instant::now();
        let difference = diff(&a, &b, None, 10, SystemTime::now());
        (begun.elapsed(), difference)
    };
    let (time, difference) = (0..ROUNDS).map(|_| timed()).min_by_key(|(time, _)| *time).unwrap();
    let answer = difference.relation;
    let found = difference.limits.first().map(ToString::to_string).unwrap_or_default();
    println!(
        "{:10} {:12} {time:>12.1?}  {} {found}",
        format!("{spread:?}").to_lowercase(),
        format!("{change:?}").to_lowercase(),
        answer.as_str()
    );
    let expected = match change {
        Change::Nothing => Relation::Equal,
        Change::Wider | Change::Everything | Change::Shadow => Relation::Wider,
        Change::All => Relation::Incomparable,
    };
    // What is given up says so, and is nowhere taken for narrower; what a pull request changes is never given up.
    let given_up = !found.is_empty() && answer == Relation::Incomparable && !matches!(change, Change::Nothing | Change::Wider);
    assert!(given_up || answer == expected && found.is_empty(), "{spread:?} {change:?}");
    time <= MOST || !matches!(change, Change::Nothing | Change::Wider)
}

fn table(text: &str) -> Arc<Tables> {
    let listeners = Listeners { ports: vec![8_443], ..Listeners::default() };
    Arc::new(Tables::from(parse("bench", text, &listeners).unwrap()))
}

fn text(spread: Spread, change: Option<Change>) -> String {
    let mut text = String::from("schema = 1\nname = 'bench'\n");
    if change == Some(Change::Shadow) {
        text += "mode = 'shadow'\nshadow_until = '2020-01-01T00:00:00Z'\n";
    }
    for number in 0..RULES {
        let number = if change.is_some() { RULES - 1 - number } else { number };
        let caller = if spread == Spread::Many { number / 10 } else { 0 };
        let (name, folder) = (if change.is_some() { "renamed" } else { "r" }, if change == Some(Change::All) { "things" } else { "items" });
        let end = if change == Some(Change::Wider) && number == CHANGED { "**" } else { "{id}" };
        writeln!(
            text,
            "[[rule]]\nid = '{name}{number}'\neffect = 'allow'\nwhy = 'a bench'\nfrom = {{ spiffe = ['spiffe://prod.example/ns/shop/sa/caller-{caller}'] }}\n\
             methods = ['GET', 'HEAD']\npaths = ['/service-{}/{folder}-{number}/{end}']",
            number % 100
        )
        .unwrap();
    }
    if change == Some(Change::Everything) {
        text += "[[rule]]\nid = 'all'\neffect = 'allow'\nwhy = 'a bench'\nfrom = { any_authenticated = true }\npaths = ['/**']\n";
    }
    text
}
