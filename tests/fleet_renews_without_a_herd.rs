//! Ten thousand sidecars at an authority that issues 25 a second: nobody's certificate ends before the next one is there, and hardly a request
//! is in vain. Virtual time; `make fleet` does the same with a hundred thousand.

use countersign::testing::fleet::{Begin, Outcome, RATE, Scenario, run};
use std::time::Duration;

const SIDECARS: u32 = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Requests for each certificate that are few enough.
const FEW: f64 = 1.05;

#[test]
fn in_a_week_without_events() {
    let outcome = run(&Scenario::week(SIDECARS));
    few_calls_and_no_end(&outcome);
    assert_eq!(outcome.calls, outcome.certificates);
    // 24 h × 0.6 between two certificates.
    assert!((outcome.certificates as f64 / f64::from(SIDECARS) - 168.0 / 14.4).abs() < 0.3, "{}", outcome.certificates);
}

#[test]
fn over_an_outage_of_two_hours() {
    let outcome = run(&Scenario { outage: 48 * HOUR..50 * HOUR, ..Scenario::week(SIDECARS) });
    few_calls_and_no_end(&outcome);
    assert!(outcome.failed > 1_000 && outcome.least_left > 0.1, "{outcome:?}");
}

/// The worst moment for it: everybody started together and is due in just these two hours.
#[test]
fn over_an_outage_when_all_are_due() {
    let begin = Begin::Launched { burst: 100, rate: 20 };
    let outcome = run(&Scenario { begin, outage: 12 * HOUR..14 * HOUR, until: 48 * HOUR, ..Scenario::week(SIDECARS) });
    assert_eq!((outcome.expired, outcome.without, outcome.stopped), (0, 0, 0));
    assert!(outcome.failed > u64::from(SIDECARS) / 2 && outcome.least_left > 0.1, "{} {}", outcome.failed, outcome.least_left);
}

/// As Fargate launches them: a hundred at once, twenty a second from then on.
#[test]
fn at_a_cold_start() {
    let begin = Begin::Launched { burst: 100, rate: 20 };
    let outcome = run(&Scenario { begin, until: 2 * HOUR, ..Scenario::week(SIDECARS) });
    few_calls_and_no_end(&outcome);
    assert!(outcome.longest_start < Duration::from_secs(180), "{:?}", outcome.longest_start);
}

#[test]
fn at_a_cold_start_in_one_second_with_a_spread_that_fits() {
    let spread = Duration::from_secs_f64(1.1 * f64::from(SIDECARS) / RATE);
    let begin = Begin::Within(Duration::from_secs(1));
    let outcome = run(&Scenario { begin, spread, until: 2 * HOUR, ..Scenario::week(SIDECARS) });
    few_calls_and_no_end(&outcome);
    assert!(outcome.longest_start < spread + Duration::from_secs(60), "{:?}", outcome.longest_start);
}

/// Whoever starts cannot know how many start with him: without a spread that fits, requests are in vain, and yet everybody gets his.
#[test]
fn at_a_cold_start_in_one_second() {
    let begin = Begin::Within(Duration::from_secs(1));
    let outcome = run(&Scenario { begin, until: 2 * HOUR, ..Scenario::week(SIDECARS) });
    assert_eq!((outcome.expired, outcome.without, outcome.certificates), (0, 0, u64::from(SIDECARS)));
    assert!(outcome.calls_per_certificate() < 6.0, "{}", outcome.calls_per_certificate());
    assert!(outcome.longest_start < Duration::from_secs(1_800), "{:?}", outcome.longest_start);
}

#[test]
fn at_a_restart_of_all() {
    let within = Duration::from_secs(u64::from(SIDECARS) / 20);
    let outcome = run(&Scenario { restarts: vec![(48 * HOUR, within)], ..Scenario::week(SIDECARS) });
    few_calls_and_no_end(&outcome);
    assert!(outcome.longest_start < Duration::from_secs(60), "{:?}", outcome.longest_start);
}

/// A process that ends a minute after its start, again and again, for six hours: what it may spend is bounded.
#[test]
fn a_crash_loop_stops_at_its_budget() {
    let minute = Duration::from_secs(60);
    let restarts = (1..360).map(|at| (minute * at, minute / 2)).collect();
    let loops = Scenario { restarts, until: 6 * HOUR, ..Scenario::week(100) };
    let outcome = run(&loops);
    assert!(outcome.stopped > 0);
    assert_eq!(outcome.certificates, 100 * 48, "of 36,000 that were wanted");
}

fn few_calls_and_no_end(outcome: &Outcome) {
    assert_eq!((outcome.expired, outcome.without, outcome.stopped), (0, 0, 0));
    assert!(outcome.calls_per_certificate() <= FEW, "{}", outcome.calls_per_certificate());
}
