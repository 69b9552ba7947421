//! The figures, and whether they are good enough.

use crate::load::Tally;
use crate::load::tally;
use crate::{Counters, Memory, certificates, flips, streams};
use std::process::ExitStatus;
use std::time::Duration;

/// What must be reached in 60 s; less in a shorter run.
const ROTATIONS: f64 = 10.0;
const SWAPS: f64 = 50.0;
const EXPIRIES: f64 = 8.0;
/// KiB: two blocks of the allocator. What a leak of 40 bytes a request makes in a run of 60 s.
const GROWTH: u64 = 8_192;
/// Requests a second in each protocol.
const RATE: f64 = 2_000.0;

/// Everything that was seen.
pub struct Report<'a> {
    /// The length of the run.
    pub seconds: f64,
    /// The HTTP/1.1 load.
    pub http1: &'a Tally,
    /// The HTTP/2 load.
    pub http2: &'a Tally,
    /// The flipping path.
    pub flips: flips::Judgement,
    /// Its requests.
    pub flipping: &'a Tally,
    /// New connections.
    pub rotations: certificates::Judgement,
    /// Their requests.
    pub probes: &'a Tally,
    /// What the sidecar counted.
    pub counted: Counters,
    /// gRPC streams and WebSockets.
    pub streams: streams::Judgement,
    /// Panics and lost records of all sidecars.
    pub troubles: f64,
    /// What each sidecar has allocated.
    pub memory: [Memory; 3],
    /// How each sidecar ended.
    pub statuses: Vec<ExitStatus>,
}

impl Report<'_> {
    /// Prints the figures and the verdict; whether it is a pass.
    pub fn print(&self) -> bool {
        tally::print(&self.tallies(), self.seconds);
        self.rest();
        println!();
        let mut pass = true;
        for (holds, what) in self.conditions() {
            println!("  {}  {what}", if holds { "pass" } else { "FAIL" });
            pass &= holds;
        }
        println!("\n{}", if pass { "PASS" } else { "FAIL" });
        pass
    }

    fn tallies(&self) -> [(&'static str, &Tally); 4] {
        [("HTTP/1.1", self.http1), ("HTTP/2", self.http2), ("flipping path", self.flipping), ("new connections", self.probes)]
    }

    fn rest(&self) {
        let Self { flips, rotations, counted, .. } = self;
        println!("\nrotations {}, seen by new connections {} of {}", counted.rotations, rotations.seen, rotations.seen + rotations.unseen);
        println!("handshakes {}, with a replaced certificate {}", rotations.handshakes, rotations.stale);
        println!("policy swaps {} (log lines {}), from file to force at most {:?}", counted.swaps, flips.swaps, flips.slowest_swap);
        let latest = flips.latest_old.map_or("none after the line".to_owned(), |late| format!("sent {late:?} after the line"));
        println!("flipping path: {} allowed, {} denied; last request decided by an old table: {latest}", flips.allowed, flips.denied);
        println!("allowed by the old table, forbidden and ended by the new one while under way: {}", flips.revoked);
        println!("requests counted by the sidecar {}; panics and lost records of all sidecars {}", counted.requests, self.troubles);
        let streams::Judgement { expired, finished, echoes, failures } = &self.streams;
        let expired: Vec<_> = expired.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
        println!("streams: {echoes} messages and back; ended by expiry: {}; closed by us: {finished}", expired.join(", "));
        for failure in failures.iter().take(10) {
            println!("    {failure}");
        }
        let memory = self.memory.map(|memory| format!("{} to {}", memory.early, memory.late)).join(", ");
        println!("allocated by each sidecar, from a third of the run to its end: {memory} KiB");
    }

    fn conditions(&self) -> Vec<(bool, String)> {
        let share = (self.seconds / 60.0).min(1.0);
        let expiries = (EXPIRIES * share).floor() as usize;
        let (rotations, swaps) = ((ROTATIONS * share).floor(), (SWAPS * share).floor());
        let failed: u64 = self.tallies().iter().map(|(_, tally)| tally.failed.get()).sum();
        let cut: u64 = self.tallies().iter().map(|(_, tally)| tally.cut.get()).sum();
        // HTTP/1.1 cannot end a response under way but with its connection.
        let revoked = self.flips.revoked as u64;
        let cut = cut.saturating_sub(revoked);
        let per_second = |tally: &Tally| tally.right.get() as f64 / self.seconds;
        let bound: Duration = flips::BOUND;
        let answered: u64 = self.tallies().iter().map(|(_, tally)| tally.right.get()).sum();
        vec![
            (failed == 0, format!("no request failed ({failed})")),
            (cut == 0, format!("no connection ended without a word ({cut})")),
            (self.counted.requests == (answered + revoked) as f64, format!("the sidecar decided each request once ({answered} answers)")),
            (
                self.counted.failures == self.counted.revoked && self.counted.revoked >= revoked as f64,
                format!(
                    "the sidecar ended no request but what a new table forbade ({} of {})",
                    self.counted.revoked, self.counted.failures
                ),
            ),
            (per_second(self.http1) >= RATE, format!("HTTP/1.1: at least {RATE} requests/s")),
            (per_second(self.http2) >= RATE, format!("HTTP/2: at least {RATE} requests/s")),
            (self.counted.rotations >= rotations, format!("at least {rotations} certificate rotations in the metrics")),
            (self.rotations.unseen == 0 && self.rotations.stale == 0, "new connections show the new certificate, each of them".into()),
            (self.counted.swaps >= swaps, format!("at least {swaps} policy swaps in the metrics")),
            (self.flips.allowed > 0 && self.flips.denied > 0, "the flipping rule was seen both ways".into()),
            (self.flips.stale == 0, format!("no answer of the old table {bound:?} after the swap's line ({})", self.flips.stale)),
            (self.troubles == 0.0, "no panic, no lost record".into()),
            (
                self.memory.iter().all(|memory| memory.late <= memory.early + GROWTH),
                format!("no sidecar grew by more than {GROWTH} KiB once it was warm"),
            ),
            (
                self.streams.failures.is_empty(),
                format!(
                    "gRPC streams and WebSockets ended only by their connections' expiry, on HTTP/2 announced ({} did not)",
                    self.streams.failures.len()
                ),
            ),
            (self.streams.expired.iter().all(|(_, count)| *count >= expiries), format!("at least {expiries} of each lived until then")),
            (self.statuses.iter().all(ExitStatus::success), "the sidecars drained and ended with 0".into()),
        ]
    }
}
