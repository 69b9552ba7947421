//! A hundred thousand sidecars at an authority that issues 25 certificates a second: what their schedule asks of it, as a table and as a picture.
//! Virtual time, the code of the sidecar itself; see `countersign::testing::fleet`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod picture;

use countersign::testing::fleet::{Begin, Outcome, RATE, Scenario, run};
use picture::Panel;
use std::time::Duration;

const SIDECARS: u32 = 100_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Requests for each certificate that are few enough.
const FEW: f64 = 1.05;

/// A scenario with its place in the picture.
struct Shown {
    what: &'static str,
    scenario: Scenario,
    /// From where on it is drawn.
    from: Duration,
    /// For how long.
    hours: u32,
    /// Whether its requests must be few: not where nobody can know how many others there are.
    few: bool,
}

fn main() {
    // `cargo test` runs every bench once: the tests have the small form of this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{:58} {:>12} {:>9} {:>10} {:>8} {:>8}", "", "certificates", "requests", "each", "longest", "least");
    println!(
        "{:58} {:>12} {:>9} {:>10} {:>8} {:>8}",
        "100,000 sidecars, validity 24 h, 25 issues a second", "", "in vain", "", "start", "left"
    );
    let mut panels = Vec::new();
    for Shown { what, scenario, from, hours, few } in shown() {
        let outcome = run(&scenario);
        let Outcome { certificates, calls, longest_start, least_left, .. } = outcome;
        let each = outcome.calls_per_certificate();
        let vain = calls - certificates;
        println!("{what:58} {certificates:>12} {vain:>9} {each:>10.3} {:>6} s {:>6.0} %", longest_start.as_secs(), least_left * 100.0);
        assert_eq!((outcome.expired, outcome.without, outcome.stopped), (0, 0, 0), "{what}: nobody is without a certificate");
        assert!(!few || each <= FEW, "{what}: {each} requests for each certificate");
        let minutes = outcome.minutes.iter().skip((from.as_secs() / 60) as usize).take(hours as usize * 60).copied();
        panels.push(Panel { title: format!("{what}: {each:.2} requests for each certificate"), minutes: minutes.collect() });
    }
    if let Some(path) = std::env::var_os("FLEET_SVG") {
        std::fs::write(path, picture::draw(&panels, RATE)).unwrap();
    }
}

fn shown() -> Vec<Shown> {
    let week = Scenario::week(SIDECARS);
    let start = |begin, spread| Scenario { begin, spread, until: 6 * HOUR, ..week.clone() };
    let launched = Begin::Launched { burst: 100, rate: 20 };
    let at_once = Begin::Within(Duration::from_secs(1));
    let spread = Duration::from_secs_f64(1.1 * f64::from(SIDECARS) / RATE);
    let launch = Duration::from_secs(u64::from(SIDECARS) / 20);
    let shown = |what, scenario, from, hours, few| Shown { what, scenario, from: from * HOUR, hours, few };
    vec![
        shown("a week without events", week.clone(), 0, 24, true),
        shown("cold start as Fargate launches", start(launched, week.spread), 0, 3, true),
        shown("cold start in one second, start_spread = \"73m\"", start(at_once, spread), 0, 3, true),
        shown("cold start in one second, start_spread = \"2s\"", start(at_once, week.spread), 0, 3, false),
        shown("a week with an outage of 2 h", Scenario { outage: 48 * HOUR..50 * HOUR, ..week.clone() }, 46, 12, true),
        shown(
            "two days with an outage of 2 h when all are due",
            Scenario { begin: launched, outage: 12 * HOUR..14 * HOUR, until: 48 * HOUR, ..week.clone() },
            10,
            12,
            false,
        ),
        shown("a week with a restart of all, 20 a second", Scenario { restarts: vec![(48 * HOUR, launch)], ..week.clone() }, 46, 12, true),
    ]
}
