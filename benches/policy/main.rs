//! What a decision costs, in time and allocations, at 10, 1,000 and 100,000 rules; and what such a table costs to load and to keep.
//!
//! `cargo bench --no-default-features --bench policy` prints the table, and fails where a decision that allows allocates. Time is shown beside that of hashing one
//! short text, which the same machine took in the same run.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use allocation_counter::measure;
use countersign::identity::{PeerIdentity, Principal, SpiffeId};
use countersign::policy::usage::{Gathered, Tally};
use countersign::policy::{Caller, Listeners, Snapshot, decide, decide_counted, parse};
use countersign::request::{CanonicalRequest, Listener, Mentioned, Strictness, canonicalize};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Decisions that are timed at once.
const ROUND: u32 = 20_000;

/// Rounds; the fastest counts.
const ROUNDS: u32 = 500;

/// Loads, of which the fastest counts as well.
const LOADS: u32 = 5;

/// How rules are spread over identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// Ten rules for each identity.
    Many,
    /// All rules for one.
    One,
}

fn main() -> ExitCode {
    // `cargo test` runs every bench once; this one would take its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!(
        "{:>8}  {:16} {:>10} {:>10} {:>12} {:>10} {:>10} {:>12}",
        "rules", "identities", "allow", "counted", "denial", "load", "MiB", "allocations"
    );
    let rows = [10, 1_000, 100_000].into_iter().flat_map(|rules| [Spread::Many, Spread::One].map(|spread| (rules, spread)));
    // Every row is printed before a miss counts.
    let held: Vec<bool> = rows.map(|(rules, spread)| row(rules, spread)).collect();
    let yardstick = fastest(|| {
        let hasher = RandomState::new();
        (0..ROUND).for_each(|_| {
            black_box(hasher.hash_one(black_box("/service-1/items/17")));
        });
    });
    println!("SipHash of 19 bytes in the same run: {yardstick:?}");
    if held.iter().all(|held| *held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures one table; `false` where a decision allocates.
fn row(rules: usize, spread: Spread) -> bool {
    let text = text(rules, spread);
    let listeners = Listeners { ports: vec![8_443], ..Listeners::default() };
    let loaded = || {
        let begun = Instant::now();
        let table = parse("bench", &text, &listeners).unwrap();
        (begun.elapsed(), table)
    };
    let load = (0..LOADS).map(|_| loaded().0).min().unwrap_or_default();
    let mut table: Snapshot = None;
    let kept = measure(|| table = Some(Arc::new(loaded().1.into())));
    let last = rules - 1;
    let caller = caller(spread, last);
    let (allowed, denied) = (request(&format!("/service-{}/items-{last}/17", last % 100)), request("/service-1/nothing/of/this"));
    let now = SystemTime::now();
    // The first one finds the caller's rules and has them compiled, for many rules on another thread: decisions that still allocate are before that.
    let classes = measure(|| while measure(|| drop(black_box(decide(&table, &caller, &allowed, now)))).count_total > 0 {});
    // The first hit finds its cell.
    let tally = Tally::new(Arc::<Gathered>::default());
    let counted = || decide_counted(black_box(&table), &caller, black_box(&allowed), now, &tally);
    drop(counted());
    let allocations = measure(|| assert!(counted().is_ok())).count_total;
    let allow = fastest(|| (0..ROUND).for_each(|_| drop(black_box(decide(black_box(&table), &caller, black_box(&allowed), now)))));
    let counted = fastest(|| (0..ROUND).for_each(|_| drop(black_box(counted()))));
    let denial = fastest(|| (0..ROUND).for_each(|_| drop(black_box(decide(black_box(&table), &caller, black_box(&denied), now)))));
    let bytes = kept.bytes_current + classes.bytes_current;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let mib = bytes as f64 / f64::from(1 << 20);
    println!(
        "{rules:>8}  {:16} {allow:>10?} {counted:>10?} {denial:>12?} {load:>10.1?} {mib:>10.1} {allocations:>12}",
        format!("{spread:?}").to_lowercase()
    );
    allocations == 0
}

/// The time of one of the decisions that `round` makes.
fn fastest(round: impl Fn()) -> Duration {
    let timed = || {
        let begun = Instant::now();
        round();
        begun.elapsed()
    };
    (0..ROUNDS).map(|_| timed()).min().unwrap_or_default() / ROUND
}

fn text(rules: usize, spread: Spread) -> String {
    let mut text = String::from("schema = 1\nname = 'bench'\n");
    for rule in 0..rules {
        writeln!(
            text,
            "[[rule]]\nid = 'r{rule}'\neffect = 'allow'\nfrom = {{ spiffe = ['{}'] }}\nmethods = ['GET', 'HEAD']\npaths = ['/service-{}/items-{rule}/{{id}}']",
            id(spread, rule),
            rule % 100
        )
        .unwrap();
    }
    text
}

fn id(spread: Spread, rule: usize) -> String {
    let number = if spread == Spread::Many { rule / 10 } else { 0 };
    format!("spiffe://prod.example/ns/shop/sa/caller-{number}")
}

fn caller(spread: Spread, rule: usize) -> Caller {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3_600);
    let identity = PeerIdentity {
        principal: Principal::Spiffe(SpiffeId::parse(&id(spread, rule)).unwrap()),
        serial: "01".into(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: now + hour,
        not_before: now - hour,
    };
    Caller::new(Some(Arc::new(identity)), ([127, 0, 0, 1], 40_000).into(), 8_443, None)
}

fn request(path: &str) -> CanonicalRequest {
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("orders"))]);
    let uri = Uri::try_from(path).unwrap();
    canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &Mentioned::default()).unwrap()
}
