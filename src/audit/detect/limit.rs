//! How many findings a detector may make.

use super::window::Tick;

/// Findings of one detector in [`PERIOD`]; more are counted.
const MOST: u32 = 10;

/// From the first finding of a period to the next period, milliseconds.
const PERIOD: u64 = 60_000;

/// One detector's allowance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limit {
    begun: Tick,
    made: u32,
    suppressed: u64,
}

impl Limit {
    /// Whether a finding may be made at `now`; then with the number of those that were left out before it.
    pub(super) fn admit(&mut self, now: Tick) -> Option<u64> {
        if self.made == 0 || now.saturating_sub(self.begun) >= PERIOD {
            (self.begun, self.made) = (now, 0);
        }
        if self.made >= MOST {
            self.suppressed += 1;
            return None;
        }
        self.made += 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// The number of findings that were left out, once the period is over and nobody else has told of them.
    pub(super) fn owed(&mut self, now: Tick) -> Option<u64> {
        let due = self.suppressed > 0 && now.saturating_sub(self.begun) >= PERIOD;
        due.then(|| self.admit(now)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_exactly_and_told_once() {
        let mut limit = Limit::default();
        let admitted = (0..1_000).filter(|n| limit.admit(n * 10).is_some()).count() as u64;
        assert_eq!(admitted, u64::from(MOST));
        assert_eq!(limit.owed(PERIOD - 1), None);
        assert_eq!(limit.owed(PERIOD), Some(1_000 - admitted));
        assert_eq!(limit.owed(3 * PERIOD), None);
        assert_eq!(limit.admit(3 * PERIOD), Some(0));
    }
}
