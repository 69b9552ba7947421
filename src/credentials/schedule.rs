//! When to renew, when to try again, when to be no longer ready. Pure.

use super::issued::Issued;
use super::settings::Renew;
use std::time::{Duration, SystemTime};

/// The longest wait between two attempts.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// When to renew: at issue + validity × (after + random × jitter), where validity runs from issue to the end; `random` is in 0..1.
pub fn renew_at(issued: &Issued, renew: &Renew, random: f64) -> SystemTime {
    let share = (renew.after + random * renew.jitter).clamp(0.0, 1.0);
    issued.issued_at.checked_add(validity(issued).mul_f64(share)).unwrap_or(issued.issued_at)
}

/// From when on we are not ready with this certificate: the end less `readiness_lead` or a tenth of the validity, whichever is less.
pub fn not_ready_before(issued: &Issued, renew: &Renew) -> SystemTime {
    let lead = renew.readiness_lead.min(validity(issued) / 10);
    issued.not_after().checked_sub(lead).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How long to wait after the `failures`th failure in a row: full jitter below 1 s doubling to 60 s; `random` is in 0..1.
pub fn back_off(failures: u32, random: f64) -> Duration {
    let ceiling = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(MAX_BACK_OFF);
    // Never zero: a failing source must not spin.
    ceiling.mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_millis(50))
}

fn validity(issued: &Issued) -> Duration {
    issued.not_after().duration_since(issued.issued_at).unwrap_or_default()
}
