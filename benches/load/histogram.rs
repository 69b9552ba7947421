//! Latencies in cells whose width grows with the value, as HdrHistogram has them: each is known to better than 1 %, in a fixed amount of memory.

use std::time::Duration;

/// Cells between one power of two and the next.
const STEPS: u64 = 128;
/// Powers of two above `STEPS` ns: the last cell ends beyond 18 minutes.
const POWERS: u64 = 34;

/// How often each latency was seen.
#[derive(Debug, Clone)]
pub struct Histogram {
    cells: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { cells: vec![0; ((POWERS + 1) * STEPS) as usize], count: 0 }
    }
}

impl Histogram {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let last = self.cells.len() - 1;
        if let Some(cell) = self.cells.get_mut(index(nanos).min(last)) {
            *cell += 1;
            self.count += 1;
        }
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += more;
        }
        self.count += other.count;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that this share of all did not exceed; zero where there is none.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.cells.iter().position(|cell| {
            seen += cell;
            seen >= wanted
        });
        Duration::from_nanos(found.map_or(0, end))
    }
}

/// The cell of a value: below `STEPS` one for each, then `STEPS` for each power of two.
fn index(nanos: u64) -> usize {
    let power = (nanos / STEPS).checked_ilog2().map_or(0, |power| u64::from(power) + 1);
    let step = if power == 0 { nanos } else { (nanos >> (power - 1)) - STEPS };
    (power * STEPS + step) as usize
}

/// The largest value of a cell.
fn end(index: usize) -> u64 {
    let (power, step) = (index as u64 / STEPS, index as u64 % STEPS);
    if power == 0 { step } else { ((STEPS + step + 1) << (power - 1)) - 1 }
}
