//! The wall clock, as a seam: certificates' lives are tested without waiting for them.

use std::time::{Duration, SystemTime};

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The system's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Sleeps until the wall clock says `at`; reads it again at least every minute, so that a suspended machine or a stepped clock does not oversleep.
///
/// # Cancel safety
/// Nothing is lost when dropped.
pub async fn sleep_until(clock: &dyn Clock, at: SystemTime) {
    const LONGEST: Duration = Duration::from_secs(60);
    while let Ok(left) = at.duration_since(clock.now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST)).await;
    }
}
