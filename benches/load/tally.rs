//! What a load saw.

use super::client::Handshake;
use super::histogram::Histogram;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Failures that are kept with their text; the others are only counted.
const KEPT: usize = 10;

/// Counts of one load, shared by its tasks.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that got their right answer.
    pub right: Cell<u64>,
    /// Connections that the server told to close and that were replaced.
    pub told: Cell<u64>,
    /// Connections that ended without a word.
    pub cut: Cell<u64>,
    /// Requests that found their connection ended before a byte was written, and went to a new one.
    pub not_sent: Cell<u64>,
    /// Requests on connections that were told to close: the client's own fault.
    pub after_told: Cell<u64>,
    /// Requests that failed.
    pub failed: Cell<u64>,
    /// The first of them.
    pub failures: RefCell<Vec<String>>,
    /// Handshakes, each with the serial number that the server showed.
    pub handshakes: RefCell<Vec<Handshake>>,
    /// From the request, or from when it was due, to the end of its answer.
    pub latencies: RefCell<Histogram>,
}

impl Tally {
    /// Adds one to a counter.
    pub fn count(counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }

    /// Notes a right answer.
    pub fn answered(&self, took: Duration) {
        Self::count(&self.right);
        self.latencies.borrow_mut().add(took);
    }

    /// Notes a failed request.
    pub fn fail(&self, text: impl Into<String>) {
        Self::count(&self.failed);
        let mut kept = self.failures.borrow_mut();
        if kept.len() < KEPT {
            kept.push(text.into());
        }
    }

    /// The latency that this share of all answers did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        self.latencies.borrow().percentile(share)
    }
}

/// Prints what several loads saw in so many seconds, as a table with their first failures.
pub fn print(loads: &[(&str, &Tally)], seconds: f64) {
    println!(
        "\n{:<22}{:>10}{:>9}{:>8}{:>8}{:>12}{:>10}{:>9}{:>9}",
        "", "right", "per s", "failed", "closed", "found ended", "misused", "p50", "p99"
    );
    for (name, tally) in loads {
        let micros = |share| format!("{} µs", tally.percentile(share).as_micros());
        let right = tally.right.get();
        println!(
            "{name:<22}{right:>10}{:>9.0}{:>8}{:>8}{:>12}{:>10}{:>9}{:>9}",
            right as f64 / seconds,
            tally.failed.get(),
            tally.told.get(),
            tally.not_sent.get(),
            tally.after_told.get(),
            micros(0.5),
            micros(0.99),
        );
        for failure in tally.failures.borrow().iter() {
            println!("    {failure}");
        }
    }
    println!(
        "closed: connections that the sidecar told to close and that were replaced. found ended: of these, noticed by a request before a byte"
    );
    println!("of it was written. misused: requests on a connection that was told to close, the client's own fault.");
}
