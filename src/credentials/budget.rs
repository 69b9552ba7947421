//! How many certificates may be issued in an hour and in a day. Pure: whoever asks brings the time along.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The ceilings of one sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Issues within any 60 minutes. Default 12.
    pub per_hour: u32,
    /// Issues within any 24 hours. Default 48.
    pub per_day: u32,
}

impl Ceilings {
    /// The key of [`Ceilings::per_hour`].
    pub const PER_HOUR: &'static str = "max_issues_per_hour";
    /// The key of [`Ceilings::per_day`].
    pub const PER_DAY: &'static str = "max_issues_per_day";
}

/// What a validity of 24 h needs in a day, two, is far below; what a loop could spend is bounded at a few dollars.
impl Default for Ceilings {
    fn default() -> Self {
        Self { per_hour: 12, per_day: 48 }
    }
}

/// A ceiling that is reached; nothing is issued before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the issuing budget is used up: {ceiling} certificates within {}; the next one at {}. Look for what asks so often, or raise {key}",
    if *.key == Ceilings::PER_HOUR { "an hour" } else { "a day" },
    super::standing::humane(*.until)
)]
pub struct Exhausted {
    /// The ceiling's key: `max_issues_per_hour` or `max_issues_per_day`.
    pub key: &'static str,
    /// The ceiling.
    pub ceiling: u32,
    /// When the oldest issue that counts leaves the window.
    pub until: SystemTime,
}

/// The issues of the last 24 hours, oldest first; never more than the day's ceiling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    ceilings: Ceilings,
    issues: VecDeque<SystemTime>,
    /// The newest of them was taken and is not spent yet.
    taken: bool,
}

impl Budget {
    /// These were issued before.
    pub fn new(ceilings: Ceilings, issues: impl IntoIterator<Item = SystemTime>) -> Self {
        let mut issues: VecDeque<_> = issues.into_iter().collect();
        issues.make_contiguous().sort_unstable();
        // The newest are those that count longest.
        let surplus = issues.len().saturating_sub(ceilings.per_day as usize);
        issues.drain(..surplus);
        Self { ceilings, issues, taken: false }
    }

    /// Takes one issue out of the budget, before a CA is asked. What was taken and not [`Budget::spent`] is there for the next request: how often
    /// one certificate is asked for costs nothing. Who ends in between has spent it, since nobody knows what the CA did.
    ///
    /// # Errors
    /// A ceiling is reached: nothing may be asked for.
    pub fn take(&mut self, now: SystemTime) -> Result<(), Exhausted> {
        if self.taken {
            return Ok(());
        }
        self.forget(now);
        let hour = self.reached(now, Ceilings::PER_HOUR, HOUR, self.ceilings.per_hour);
        let day = self.reached(now, Ceilings::PER_DAY, DAY, self.ceilings.per_day);
        // The one that holds longer is the one to tell of.
        if let Some(exhausted) = hour.into_iter().chain(day).max_by_key(|exhausted| exhausted.until) {
            return Err(exhausted);
        }
        self.issues.push_back(now);
        self.taken = true;
        Ok(())
    }

    /// The CA has issued what was taken.
    pub fn spent(&mut self, now: SystemTime) {
        if let Some(newest) = self.issues.back_mut().filter(|_| self.taken) {
            *newest = now.max(*newest);
        }
        self.taken = false;
    }

    /// When the issues that count were taken, oldest first.
    pub fn issues(&self) -> impl Iterator<Item = SystemTime> {
        self.issues.iter().copied()
    }

    fn forget(&mut self, now: SystemTime) {
        // A clock that was set back leaves issues in the future, where they would count for longer than a day.
        for issue in self.issues.iter_mut().rev().take_while(|issue| **issue > now) {
            *issue = now;
        }
        while self.issues.front().is_some_and(|oldest| now.duration_since(*oldest).is_ok_and(|age| age >= DAY)) {
            self.issues.pop_front();
        }
    }

    /// Whether the window that ends now has as many issues as it may.
    fn reached(&self, now: SystemTime, key: &'static str, window: Duration, ceiling: u32) -> Option<Exhausted> {
        // The one that must have left the window before another may come in.
        let limiting = self.issues.len().checked_sub(ceiling as usize)?;
        let until = self.issues.get(limiting).copied().unwrap_or(now).checked_add(window)?;
        (until > now).then_some(Exhausted { key, ceiling, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Budget {
        fn issue(&mut self, now: SystemTime) -> Result<(), Exhausted> {
            self.take(now)?;
            self.spent(now);
            Ok(())
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    const CEILINGS: Ceilings = Ceilings { per_hour: 2, per_day: 3 };

    #[test]
    fn the_hour_and_the_day_both_hold() {
        let mut budget = Budget::new(CEILINGS, []);
        assert_eq!(budget.issue(at(0)), Ok(()));
        assert_eq!(budget.issue(at(100)), Ok(()));
        let stop = budget.issue(at(200)).unwrap_err();
        assert_eq!((stop.key, stop.ceiling, stop.until), (Ceilings::PER_HOUR, 2, at(3_600)));
        assert_eq!(budget.issue(at(3_600)), Ok(()));
        let stop = budget.issue(at(3_650)).unwrap_err();
        assert_eq!((stop.key, stop.until), (Ceilings::PER_DAY, at(86_400)), "it holds longer than the hour: {stop}");
        let stop = budget.issue(at(20_000)).unwrap_err();
        assert_eq!((stop.key, stop.until), (Ceilings::PER_DAY, at(86_400)));
        assert_eq!(budget.issue(at(86_400)), Ok(()));
    }

    #[test]
    fn one_certificate_is_taken_once_however_often_it_is_asked_for() {
        let mut budget = Budget::new(CEILINGS, []);
        for second in 0..10 {
            assert_eq!(budget.take(at(second)), Ok(()));
        }
        budget.spent(at(10));
        assert_eq!(budget.issues().collect::<Vec<_>>(), [at(10)]);
        // A process that ended while it asked: the next one has no part in it.
        assert_eq!(budget.take(at(20)), Ok(()));
        let mut next = Budget::new(CEILINGS, budget.issues());
        assert_eq!(next.take(at(30)).unwrap_err().until, at(3_610));
        // A lower ceiling forgets the oldest ones.
        assert_eq!(Budget::new(Ceilings { per_hour: 1, per_day: 1 }, next.issues()).issues().collect::<Vec<_>>(), [at(20)]);
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_for_no_longer_than_a_window() {
        let mut budget = Budget::new(CEILINGS, []);
        assert_eq!(budget.issue(at(1_000_000)), Ok(()));
        assert_eq!(budget.issue(at(1_000_000)), Ok(()));
        assert_eq!(budget.issue(at(0)).unwrap_err().until, at(3_600));
        assert_eq!(budget.issue(at(3_600)), Ok(()));
    }

    #[test]
    fn a_stop_says_what_to_do() {
        let stop = Exhausted { key: Ceilings::PER_DAY, ceiling: 48, until: at(0) }.to_string();
        assert_eq!(
            stop,
            "the issuing budget is used up: 48 certificates within a day; the next one at 2027-01-15T08:00:00Z. \
             Look for what asks so often, or raise max_issues_per_day"
        );
    }

    proptest! {
        /// However somebody asks, no window of an hour or a day has more than its ceiling, and memory stays bounded.
        #[test]
        fn no_window_has_more_than_its_ceiling(pauses in proptest::collection::vec(0_u64..4_000, 1..300), per_hour in 1_u32..6, more in 0_u32..20) {
            let ceilings = Ceilings { per_hour, per_day: per_hour + more };
            let mut budget = Budget::new(ceilings, []);
            let (mut now, mut taken) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                match budget.issue(at(now)) {
                    Ok(()) => taken.push(now),
                    Err(stop) => {
                        prop_assert!(stop.until > at(now));
                        let mut later = budget.clone();
                        prop_assert_eq!(later.issue(stop.until), Ok(()), "the moment that it names is the moment");
                    }
                }
                prop_assert!(budget.issues().count() <= ceilings.per_day as usize);
            }
            for (window, ceiling) in [(3_600, ceilings.per_hour), (86_400, ceilings.per_day)] {
                for (index, first) in taken.iter().enumerate() {
                    let within = taken[index..].iter().filter(|other| **other < first + window).count();
                    prop_assert!(within <= ceiling as usize);
                }
            }
        }
    }
}
