//! Counts over a sliding window, and what is usual.

/// Parts of a window. A count slides by a part: what is older than the window leaves it up to a sixth of it early.
const PARTS: usize = 6;

/// How much of a part that leaves the window goes into the baseline: eight windows are what is usual.
const SHARE: f32 = 1.0 / (8.0 * PARTS as f32);

/// Milliseconds since the writer began, by a clock that nobody sets.
pub(super) type Tick = u64;

/// A count over the last window, in 40 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sliding {
    parts: [u32; PARTS],
    /// The number of the part that is counted into.
    current: u64,
    /// What left the window, for a whole window, on average.
    baseline: f32,
}

impl Sliding {
    /// Counts `count` at `now` in a window of `window` milliseconds; gives the count of the window.
    pub(super) fn add(&mut self, count: u64, now: Tick, window: u64) -> u64 {
        self.roll(now, window);
        let part = &mut self.parts[self.current as usize % PARTS];
        *part = part.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.total()
    }

    /// The count of the window at `now`.
    pub(super) fn count(&mut self, now: Tick, window: u64) -> u64 {
        self.roll(now, window);
        self.total()
    }

    /// What was counted last, without a look at the clock.
    pub(super) fn total(&self) -> u64 {
        self.parts.iter().copied().map(u64::from).sum()
    }

    /// The usual count of a window, of what is no longer in this one.
    pub(super) fn baseline(&self) -> f32 {
        self.baseline
    }

    fn roll(&mut self, now: Tick, window: u64) {
        let part = now / (window / PARTS as u64).max(1);
        let passed = part.saturating_sub(self.current);
        for _ in 0..passed.min(PARTS as u64) {
            self.current += 1;
            let leaving = std::mem::take(&mut self.parts[self.current as usize % PARTS]);
            self.baseline += (leaving as f32 * PARTS as f32 - self.baseline) * SHARE;
        }
        let idle = passed.saturating_sub(PARTS as u64);
        self.current += idle;
        self.baseline *= (1.0 - SHARE).powi(i32::try_from(idle).unwrap_or(i32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_window_slides() {
        let mut count = Sliding::default();
        assert_eq!(count.add(3, 0, MINUTE), 3);
        assert_eq!(count.add(2, 59_999, MINUTE), 5);
        assert_eq!(count.count(60_000, MINUTE), 2, "the first ten seconds have left");
        assert_eq!(count.count(119_999, MINUTE), 0, "a part early at most");
        assert_eq!(count.add(u64::MAX, 200_000, MINUTE), u64::from(u32::MAX));
    }

    #[test]
    fn what_goes_on_becomes_usual_and_is_forgotten_again() {
        let mut count = Sliding::default();
        for second in 0..3_600 {
            count.add(1, second * 1_000, MINUTE);
        }
        assert!((55.0..61.0).contains(&count.baseline()), "{}", count.baseline());
        count.count(2 * 3_600_000, MINUTE);
        assert!(count.baseline() < 1.0, "{}", count.baseline());
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_changes_nothing() {
        let mut count = Sliding::default();
        assert_eq!(count.add(1, 70_000, MINUTE), 1);
        assert_eq!(count.add(1, 10_000, MINUTE), 2);
    }
}
