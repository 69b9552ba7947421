//! What a fleet's certificates will cost. Pure.

use super::budget::Ceilings;
use super::settings::Renew;
use std::time::Duration;

/// Thirty days.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What certificates are issued by, and for how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// From issue to the end of a certificate.
    pub validity: Duration,
    /// When it is renewed.
    pub renew: Renew,
    /// What one sidecar may ask for at most.
    pub ceilings: Ceilings,
    /// The price of one certificate.
    pub price: f64,
}

/// A month of a fleet that runs through; each start of a task adds one certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Certificates that the schedule asks for, on average.
    pub issues: f64,
    /// What they cost.
    pub cost: f64,
    /// What the ceilings allow to be spent, whatever goes wrong.
    pub at_most: f64,
}

impl Terms {
    /// The forecast for a month of `tasks` sidecars.
    pub fn month(&self, tasks: u32) -> Forecast {
        let between = self.validity.as_secs_f64() * (self.renew.after + self.renew.jitter / 2.0);
        let issues = f64::from(tasks) * MONTH.as_secs_f64() / between;
        let most = f64::from(tasks) * f64::from(self.ceilings.per_day) * 30.0;
        Forecast { issues, cost: issues * self.price, at_most: most * self.price }
    }

    /// The most issues of one sidecar within `window` that its schedule alone asks for.
    pub fn needed(&self, window: Duration) -> u32 {
        let between = self.validity.mul_f64(self.renew.after).max(Duration::from_millis(1));
        (window.as_secs_f64() / between.as_secs_f64()).ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(hours: u64) -> Terms {
        let validity = Duration::from_secs(hours * 3_600);
        Terms { validity, renew: Renew::default(), ceilings: Ceilings::default(), price: 0.058 }
    }

    #[test]
    fn two_hundred_tasks() {
        // 200 × 720 h / (24 h × 0.6) = 10,000.
        let day = terms(24).month(200);
        assert_eq!((day.issues.round(), day.cost.round(), day.at_most.round()), (10_000.0, 580.0, 16_704.0));
        assert_eq!(terms(1).month(200).issues.round(), 240_000.0);
        assert_eq!(terms(168).month(200).cost.round(), 83.0);
    }

    #[test]
    fn the_schedule_needs_what_its_earliest_renewals_need() {
        let day = Duration::from_secs(86_400);
        assert_eq!((terms(24).needed(day), terms(1).needed(day), terms(1).needed(day / 24)), (2, 48, 2));
        assert_eq!(terms(168).needed(day), 1);
    }
}
