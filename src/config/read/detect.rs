//! `[detect.…]`.

use crate::audit::detect::{Burst, Settings, Watch};
use crate::config::keys::Keys;
use std::time::Duration;

/// Bounds of a window. What is counted over less than a second is noise.
const LEAST: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The most distinct paths that a threshold can ask for: they are kept, 16 bytes each, for every certificate.
const PATHS: u32 = 100;

pub(super) fn read(root: &Keys<'_>) -> Settings {
    let detect = root.table("detect");
    let default = Settings::default();
    let keys = detect.table("denial_burst");
    let denial_burst = burst(&keys, default.denial_burst, "denials", 1_000_000);
    let times_baseline = keys.within("times_baseline", default.times_baseline, 0.0..=1_000.0);
    keys.close();
    let keys = detect.table("scanning");
    let scanning = burst(&keys, default.scanning, "paths", PATHS);
    keys.close();
    let keys = detect.table("malformed_burst");
    let malformed_burst = burst(&keys, default.malformed_burst, "requests", 1_000_000);
    keys.close();
    let keys = detect.table("shared_certificate");
    let shared_certificate = watch(&keys, default.shared_certificate);
    keys.close();
    let keys = detect.table("promoted_denial");
    let promoted_denial = watch(&keys, default.promoted_denial);
    keys.close();
    let watching = |name| {
        let keys = detect.table(name);
        let mode = keys.or("mode", default.new_edge);
        keys.close();
        mode
    };
    let settings = Settings {
        denial_burst,
        times_baseline,
        scanning,
        malformed_burst,
        shared_certificate,
        promoted_denial,
        new_edge: watching("new_edge"),
        new_issuer: watching("new_issuer"),
        break_glass: watching("break_glass"),
        reload_failed: watching("reload_failed"),
        audit_gap: watching("audit_gap"),
        renewal_late: watching("renewal_late"),
    };
    detect.close();
    settings
}

/// `counted` is what the threshold counts.
fn burst(keys: &Keys<'_>, default: Burst, counted: &'static str, most: u32) -> Burst {
    Burst {
        mode: keys.or("mode", default.mode),
        threshold: keys.within(counted, default.threshold, 1..=most),
        window: keys.within("window", default.window, LEAST..=DAY),
        lasting: keys.within("quarantine", default.lasting, LEAST..=DAY),
    }
}

fn watch(keys: &Keys<'_>, default: Watch) -> Watch {
    Watch { mode: keys.or("mode", default.mode), window: keys.within("window", default.window, LEAST..=DAY) }
}
