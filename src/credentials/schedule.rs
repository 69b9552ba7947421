//! When to renew, when to try again, when to be no longer ready. Pure; the fleet's simulation drives this very code.

use super::settings::Renew;
use std::time::{Duration, SystemTime};

/// The life of a certificate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When we got it; the schedule counts from here, not from `not_before`, which CAs set back.
    pub issued_at: SystemTime,
    /// The end of its validity.
    pub not_after: SystemTime,
}

impl Life {
    /// When to renew: at issue + validity × (after + random × jitter), where validity runs from issue to the end; `random` is in 0..1.
    pub fn renew_at(self, renew: &Renew, random: f64) -> SystemTime {
        let share = (renew.after + random * renew.jitter).clamp(0.0, 1.0);
        self.issued_at.checked_add(self.validity().mul_f64(share)).unwrap_or(self.issued_at)
    }

    /// From when on we are not ready with it: the end less `readiness_lead` or a tenth of the validity, whichever is less.
    pub fn not_ready_before(self, renew: &Renew) -> SystemTime {
        let lead = renew.readiness_lead.min(self.validity() / 10);
        self.not_after.checked_sub(lead).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// From `now` to its end; `None`: it is over.
    pub fn left(self, now: SystemTime) -> Option<Duration> {
        self.not_after.duration_since(now).ok().filter(|left| !left.is_zero())
    }

    fn validity(self) -> Duration {
        self.not_after.duration_since(self.issued_at).unwrap_or_default()
    }
}

/// Why an attempt gave no certificate, as far as the pause before the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// Nobody was asked for a certificate: files, the development CA, or one that is under way.
    Here,
    /// A CA elsewhere refused, failed or was not reached. Whoever still has a certificate need not hurry, and a fleet that does not keeps
    /// a CA that comes back from being asked by everybody at once.
    Elsewhere,
    /// A CA elsewhere has more requests than it takes: others wait too, and nobody knows how many.
    Throttled,
}

/// The attempts of one sidecar since its last certificate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempts {
    failures: u32,
    throttles: u32,
}

impl Attempts {
    /// From the start to the first attempt: up to `spread`, at random; `random` is in 0..1.
    pub fn first(spread: Duration, random: f64) -> Duration {
        spread.mul_f64(random.clamp(0.0, 1.0))
    }

    /// There is a certificate.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// From this failure to the next attempt: anything up to a ceiling that grows; `left` is the life of the certificate in force, `random` in 0..1.
    pub fn failed(&mut self, setback: Setback, left: Option<Duration>, random: f64) -> Duration {
        let ceiling = match setback {
            Setback::Throttled => {
                self.throttles = self.throttles.saturating_add(1);
                let grown = grown(2, 8, self.throttles).min(MAX_THROTTLED);
                left.map_or(grown, |left| grown.min(share(left)))
            }
            Setback::Here | Setback::Elsewhere => {
                self.failures = self.failures.saturating_add(1);
                match left.filter(|_| setback == Setback::Elsewhere) {
                    Some(left) => grown(30, 32, self.failures).min(share(left)),
                    None => grown(1, 2, self.failures).min(MAX_HURRIED),
                }
            }
        };
        // Never zero: a failing source must not spin.
        ceiling.mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_millis(50))
    }
}

/// The longest pause of one who has no certificate, while nobody says that others wait too.
const MAX_HURRIED: Duration = Duration::from_secs(60);

/// The longest pause after a throttle: within it a CA that issues 25 a second serves 25,600.
const MAX_THROTTLED: Duration = Duration::from_secs(1_024);

/// The longest pause with this much life left: several more attempts fit into it, however many there were.
fn share(left: Duration) -> Duration {
    (left / 4).max(Duration::from_secs(1))
}

/// `seconds`, times `factor` for each time after the first.
fn grown(seconds: u64, factor: u64, times: u32) -> Duration {
    Duration::from_secs(factor.saturating_pow(times.saturating_sub(1)).saturating_mul(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// The first pauses after setbacks of one kind, with the longest luck.
    fn pauses(setback: Setback, left: Option<Duration>) -> Vec<u64> {
        let mut attempts = Attempts::default();
        (0..8).map(|_| attempts.failed(setback, left, 1.0).as_secs()).collect()
    }

    #[test]
    fn pauses_grow_to_their_ceilings() {
        assert_eq!(pauses(Setback::Here, None), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Setback::Here, Some(12 * HOUR)), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Setback::Elsewhere, None), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Setback::Elsewhere, Some(12 * HOUR))[..4], [30, 960, 10_800, 10_800]);
        assert_eq!(pauses(Setback::Throttled, None)[..5], [2, 16, 128, 1_024, 1_024]);
    }

    #[test]
    fn the_less_life_is_left_the_shorter_the_pause() {
        for setback in [Setback::Elsewhere, Setback::Throttled] {
            assert_eq!(pauses(setback, Some(Duration::from_secs(40)))[7], 10);
            assert_eq!(pauses(setback, Some(Duration::from_secs(2)))[7], 1);
        }
    }

    #[test]
    fn pauses_are_at_random_and_never_none() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.failed(Setback::Throttled, None, 0.5), Duration::from_secs(1));
        assert_eq!(attempts.failed(Setback::Throttled, None, 0.0), Duration::from_millis(50));
        attempts.succeeded();
        assert_eq!(attempts.failed(Setback::Throttled, None, 1.0), Duration::from_secs(2));
        assert_eq!(Attempts { failures: u32::MAX, throttles: u32::MAX }.failed(Setback::Here, None, 1.0), MAX_HURRIED);
        assert_eq!(Attempts::first(Duration::from_secs(2), 0.5), Duration::from_secs(1));
    }

    #[test]
    fn the_schedule_counts_from_issue() {
        let (issued_at, renew) = (SystemTime::UNIX_EPOCH + HOUR, Renew::default());
        let life = Life { issued_at, not_after: issued_at + HOUR };
        assert_eq!(life.renew_at(&renew, 0.0), issued_at + HOUR.mul_f64(0.5));
        assert_eq!(life.renew_at(&renew, 1.0), issued_at + HOUR.mul_f64(0.7));
        assert_eq!(life.not_ready_before(&renew), life.not_after - HOUR / 10);
        let short = Renew { readiness_lead: Duration::from_secs(7), ..renew };
        assert_eq!(life.not_ready_before(&short), life.not_after - Duration::from_secs(7));
        assert_eq!(life.left(life.not_after), None);
        assert_eq!(life.left(issued_at), Some(HOUR));
    }
}
