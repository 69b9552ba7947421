//! The figures, and whether they are good enough.

use crate::certificates;
use crate::faults::Fault;
use crate::load::Tally;
use crate::load::tally;
use std::process::ExitStatus;

/// What each sidecar must reach in ten minutes; less in a shorter run.
const ROTATIONS: f64 = 40.0;
/// How often each fault must have come and gone in ten minutes.
const FAULTS: f64 = 5.0;
/// KiB: two blocks of the allocator. A leak of 20 bytes a request would be more in ten minutes.
const GROWTH: u64 = 8_192;

/// One sidecar.
pub struct Sidecar {
    /// As the report calls it.
    pub name: &'static str,
    /// Certificates that were in force, the first one included.
    pub rotations: f64,
    /// Attempts that gave none.
    pub failed: f64,
    /// Handshakes with its own listener that did not show the certificate in force.
    pub misshown: f64,
    /// Panics, lost records, and what could not be kept on disk.
    pub troubles: f64,
    /// The least that it had allocated once it was warm, and at the end of the load, KiB.
    pub memory: (u64, u64),
    /// What it had open before the load, and after it.
    pub descriptors: (usize, usize),
    /// How it ended.
    pub status: ExitStatus,
}

/// Everything that was seen.
pub struct Report<'a> {
    /// The length of the run.
    pub seconds: f64,
    /// Requests a second that each load wanted.
    pub rate: f64,
    /// The loads and their requests.
    pub loads: [(&'static str, &'a Tally); 4],
    /// What new connections showed.
    pub shown: certificates::Judgement,
    /// How often each fault was met and survived.
    pub survived: [(Fault, u32); 5],
    /// The certificates that the double issued.
    pub issued: u64,
    /// Both sidecars.
    pub sidecars: [Sidecar; 2],
}

impl Report<'_> {
    /// Prints the figures and the verdict; whether it is a pass.
    pub fn print(&self) -> bool {
        tally::print(&self.loads, self.seconds);
        let survived: Vec<_> = self.survived.iter().map(|(fault, count)| format!("{} {count}", fault.name())).collect();
        println!("\nrotations that met a fault: {}", survived.join(", "));
        for Sidecar { name, rotations, failed, memory, descriptors, .. } in &self.sidecars {
            println!(
                "{name}: {rotations} certificates, {failed} attempts without one; allocated {} to {} KiB, descriptors {} to {}",
                memory.0, memory.1, descriptors.0, descriptors.1
            );
        }
        let certificates::Judgement { seen, unseen, stale, handshakes } = self.shown;
        println!("certificates issued {}; of orders', seen by new connections {seen} of {}", self.issued, seen + unseen);
        println!("handshakes {handshakes}, with a replaced certificate {stale}\n");
        let mut pass = true;
        for (holds, what) in self.conditions() {
            println!("  {}  {what}", if holds { "pass" } else { "FAIL" });
            pass &= holds;
        }
        println!("\n{}", if pass { "PASS" } else { "FAIL" });
        pass
    }

    fn conditions(&self) -> Vec<(bool, String)> {
        let share = (self.seconds / 600.0).min(1.0);
        let (rotations, faults) = ((ROTATIONS * share).floor(), (FAULTS * share).floor());
        let count = |of: fn(&Tally) -> u64| -> u64 { self.loads.iter().map(|(_, tally)| of(tally)).sum() };
        let (failed, cut, misused) =
            (count(|tally| tally.failed.get()), count(|tally| tally.cut.get()), count(|tally| tally.after_told.get()));
        let met: u32 = self.survived.iter().map(|(_, count)| count).sum();
        let in_force: f64 = self.sidecars.iter().map(|sidecar| sidecar.rotations).sum();
        let all = |holds: fn(&Sidecar) -> bool| self.sidecars.iter().all(holds);
        let reached = |tally: &Tally| tally.right.get() as f64 >= 0.9 * self.rate * self.seconds;
        vec![
            (failed == 0, format!("no request failed ({failed})")),
            (cut == 0, format!("no connection ended without a word ({cut})")),
            (self.loads.iter().take(3).all(|(_, tally)| reached(tally)), format!("each load had nine tenths of {} requests/s", self.rate)),
            (self.sidecars.iter().all(|sidecar| sidecar.rotations > rotations), format!("each sidecar rotated at least {rotations} times")),
            (self.issued as f64 == in_force, format!("one certificate issued for each that was in force ({} for {in_force})", self.issued)),
            (
                met >= 3 && self.survived.iter().all(|(_, count)| f64::from(*count) >= faults),
                format!("rotations met three faults or more, each fault at least {faults} times"),
            ),
            (self.shown.unseen == 0 && self.shown.stale == 0, "new connections show the new certificate, each of them".into()),
            (all(|sidecar| sidecar.misshown == 0.0), "so did the sidecars' own listeners".into()),
            (
                all(|sidecar| sidecar.memory.1 <= sidecar.memory.0 + GROWTH),
                format!("no sidecar grew by more than {GROWTH} KiB once it was warm"),
            ),
            (all(|sidecar| sidecar.descriptors.1 <= sidecar.descriptors.0), "each descriptor was given back after the load".into()),
            (all(|sidecar| sidecar.troubles == 0.0), "no panic, no lost record, nothing that could not be kept".into()),
            (all(|sidecar| sidecar.status.success()), "the sidecars drained and ended with 0".into()),
            (misused <= 50, format!("requests that came after a GOAWAY, the client's own fault: few ({misused})")),
        ]
    }
}
