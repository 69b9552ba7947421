//! Is the decision log whole? A million mixed requests from three callers, while the sidecar is killed three times and the disk of the log is filled once;
//! then what the clients were told is held against what the log says. `make soak-audit`; `SOAK_REQUESTS` (1,000,000), `COUNTERSIGN` (another binary).
//!
//! It fails when a boot that was not killed lacks or invents one refusal or one allow, when a kill cost more refusals than the clients got in the last
//! interval between two syncs, when a request fails that no fault explains, or when `audit verify` finds anything but the kills.

#[path = "../load/mod.rs"]
mod load;

mod disk;
mod ledger;
mod mixed;
mod setting;

use disk::Disk;
use ledger::{Kept, Ledger};
use load::{Offer, Sidecar, Wallet, app};
use mixed::{Mixed, Told};
use serde_json::Value;
use setting::Setting;
use std::process::ExitCode;
use std::time::Duration;

/// From the start of a sidecar to its readiness, and from the wish that it ends to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests of which two thirds are more than the rings of two shards hold together, allows and denials.
const OVERFLOWING: u64 = 80_000;

/// What the clients were told by one boot of the sidecar, and how it ended.
struct Boot {
    what: &'static str,
    told: Told,
    /// Refusals in the last interval between two syncs, where it was killed.
    at_risk: Option<u64>,
}

fn main() -> ExitCode {
    if !load::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    match disk::inside_of_own_mounts() {
        Some(code) => code,
        None => load::verdict("soak-audit", soak()),
    }
}

async fn soak() -> anyhow::Result<bool> {
    let requests = load::number("SOAK_REQUESTS", 1_000_000)?.max(20_000);
    let disk = Disk::mounted()?;
    let setting = Setting::new(app::start(None)?, disk.path())?;
    // The first start makes the development CA.
    Sidecar::start(setting.command(), PATIENCE).await?.stop(PATIENCE).await?;
    let wallets = setting::CALLERS.map(|id| Wallet::open(&setting.certificates(), id, Duration::from_secs(86_400), Offer::All));
    let wallets: Vec<_> = wallets.into_iter().collect::<Result<_, _>>()?;
    disk.empty()?;
    println!("soak-audit: {requests} requests, of them about four in ten refused");
    let mut boots = Vec::new();

    let sidecar = Sidecar::start(setting.command(), PATIENCE).await?;
    let mixed = Mixed::new(sidecar.inbound, &wallets, requests * 4 / 10);
    let told = mixed.run().await?;
    sidecar.stop(PATIENCE).await?;
    boots.push(Boot { what: "ended in peace", told, at_risk: None });

    for _ in 0..3 {
        let sidecar = Sidecar::start(setting.command(), PATIENCE).await?;
        let mixed = Mixed::new(sidecar.inbound, &wallets, requests * 20 / 100);
        let (told, at_risk) = mixed.killed(sidecar).await?;
        boots.push(Boot { what: "killed", told, at_risk: Some(at_risk) });
    }

    let sidecar = Sidecar::start(setting.command(), PATIENCE).await?;
    let mixed = Mixed::new(sidecar.inbound, &wallets, (requests * 21 / 100).max(OVERFLOWING));
    let (told, filled) = tokio::join!(mixed.run(), disk.full_for_a_while(&sidecar, &mixed));
    let (told, lost) = (told?, filled?);
    println!("while the disk was full {lost} allows found no room");
    sidecar.stop(PATIENCE).await?;
    boots.push(Boot { what: "disk full", told, at_risk: None });

    let ledger = Ledger::read(&disk.log())?;
    let held = judge(&boots, &ledger)?;
    let (fine, verified) = setting.verify(&disk.log())?;
    Ok(held && says_no_more(&boots, &ledger, fine, &verified))
}

/// Prints one line a boot, and says whether all of them hold.
fn judge(boots: &[Boot], ledger: &Ledger) -> anyhow::Result<bool> {
    anyhow::ensure!(ledger.boots.len() == boots.len(), "{} boots in the log instead of {}", ledger.boots.len(), boots.len());
    println!(
        "\n{:<16}{:>10}{:>10}{:>10}{:>12}{:>10}{:>12}{:>12}  verdict",
        "boot", "200", "403", "other", "records", "counted", "allows", "in gaps"
    );
    let mut held = true;
    for (boot, kept) in boots.iter().zip(&ledger.boots) {
        let verdict = verdict(boot, kept);
        held &= verdict.is_ok();
        let Told { allowed, forbidden, malformed, .. } = boot.told;
        println!(
            "{:<16}{allowed:>10}{forbidden:>10}{malformed:>10}{:>12}{:>10}{:>12}{:>12}  {}",
            boot.what,
            kept.refused,
            kept.counted,
            kept.allowed,
            kept.missed,
            verdict.unwrap_or_else(|problem| format!("FAILED: {problem}"))
        );
    }
    println!(
        "records: denials with a record of their own. counted: denials inside aggregates. in gaps: allows that are counted and have no record."
    );
    Ok(held)
}

/// Whether `audit verify` finds nothing wrong, tells of the kills alone, and has the counts that are in the log.
fn says_no_more(boots: &[Boot], ledger: &Ledger, fine: bool, verified: &Value) -> bool {
    let count = |path: &str| verified.pointer(path).and_then(Value::as_u64);
    let ends = verified.pointer("/boundaries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let kills = ends.iter().filter(|end| end.get("went_on") == Some(&Value::Bool(false))).count();
    let wanted = [
        ("findings", u64::from(!fine), Some(0)),
        ("kills", kills as u64, Some(boots.iter().filter(|boot| boot.at_risk.is_some()).count() as u64)),
        ("allows in gaps", ledger.boots.iter().map(|kept| kept.missed).sum(), count("/gaps/count")),
        ("denials in aggregates", ledger.boots.iter().map(|kept| kept.counted).sum(), count("/aggregates/count")),
    ];
    for (what, found, wanted) in wanted.iter().filter(|(_, found, wanted)| Some(*found) != *wanted) {
        println!("FAILED: {what}: {found} instead of {wanted:?}");
    }
    wanted.iter().all(|(_, found, wanted)| Some(*found) == *wanted)
}

/// What the log of one boot proves, or what is wrong with it.
fn verdict(boot: &Boot, kept: &Kept) -> Result<String, String> {
    let Told { allowed, forbidden, malformed, failed } = boot.told;
    let refused = forbidden + malformed;
    let logged = kept.refused + kept.counted;
    let Some(at_risk) = boot.at_risk else {
        if failed > 0 {
            return Err(format!("{failed} requests failed without a fault"));
        }
        if (logged, kept.allowed + kept.missed) != (refused, allowed) {
            return Err(format!(
                "{refused} refusals were told and {logged} are in the log; {allowed} allows and {}",
                kept.allowed + kept.missed
            ));
        }
        return Ok("exactly equal".to_owned());
    };
    let missing = refused.saturating_sub(logged);
    if missing > at_risk {
        return Err(format!("{missing} refusals are missing, and the last {:?} had {at_risk}", mixed::SYNC));
    }
    Ok(format!("{missing} missing of the {at_risk} in the last {:?}", mixed::SYNC))
}
