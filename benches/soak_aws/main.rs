//! Certificates of twenty seconds from the double of AWS, under load, while AWS fails by turns: two sidecars, one in front of an app and one that calls
//! it, and clients without retries. `make soak-aws`; `SOAK_SECONDS` (600), `SOAK_RATE` (requests a second of each load), `COUNTERSIGN` (another binary).
//!
//! It fails when a request does, when a certificate is issued that is not used, when new connections show an old one, or when memory or open
//! descriptors grow.

#[path = "../soak/certificates.rs"]
mod certificates;
mod double;
mod faults;
#[path = "../load/mod.rs"]
mod load;
#[path = "../measure/process.rs"]
#[allow(dead_code, reason = "only memory is of interest here")]
mod process;
mod report;
mod setting;
mod vitals;

use certificates::Certificates;
use double::Double;
use faults::{Faults, rotations};
use http::uri::{Authority, PathAndQuery};
use load::{Check, Load, Pace, Protocol, Sidecar, Slots, Tally, Target, Until, Wallet, app};
use report::Report;
use setting::Setting;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;
use vitals::Vitals;

/// From the start of a sidecar to its readiness, and for everything else that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections of the HTTP/1.1 loads.
const HTTP1: usize = 8;
/// Connections of the HTTP/2 load, and streams on each.
const HTTP2: (usize, usize) = (2, 8);

fn main() -> ExitCode {
    load::verdict("soak-aws", soak())
}

async fn soak() -> anyhow::Result<bool> {
    let seconds = load::number("SOAK_SECONDS", 600)?.max(50);
    let rate = load::number("SOAK_RATE", 500)?.max(1) as f64;
    let double = Double::start()?;
    let authority = double.authority().await?;
    let setting = Setting::new(&double, &authority)?;
    let orders = Sidecar::start(setting.orders(app::start(None)?)?, PATIENCE).await?;
    let caller = Sidecar::start(setting.caller(orders.inbound)?, PATIENCE).await?;
    let client = Wallet::open_believing(&setting.client_authority(), setting::CLIENT, Duration::from_secs(3_600), &setting.roots())?;
    println!(
        "soak-aws: {seconds} s, {rate} requests/s in each of HTTP/1.1, HTTP/2 and through two sidecars, certificates of {:?}",
        setting::VALIDITY
    );

    let vitals = [&orders, &caller].map(|sidecar| Vitals::of(sidecar.id()));
    let idle = [vitals[0].descriptors()?, vitals[1].descriptors()?];
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let [http1, http2, through] = [(); 3].map(|()| Rc::new(Tally::default()));
    let load = |streams| Load { streams, pace: Pace::Open(rate), check: Check::Nonce, until: Until::Time(end) };
    let loads = async {
        let first = Rc::new(Slots::new(Target::mutual(orders.inbound, &client, Protocol::Http1), HTTP1));
        let second = Rc::new(Slots::new(Target::mutual(orders.inbound, &client, Protocol::Http2), HTTP2.0));
        let plain =
            Target { address: caller.outbound, protocol: Protocol::Http1, authority: Authority::from_static(setting::HOST), wallet: None };
        let third = Rc::new(Slots::new(plain, HTTP1));
        tokio::join!(
            first.drive(PathAndQuery::from_static("/always/1"), load(1), &http1),
            second.drive(PathAndQuery::from_static("/always/2"), load(HTTP2.1), &http2),
            third.drive(PathAndQuery::from_static("/always/3"), load(1), &through)
        );
    };
    let (faults, shown) = (Faults::default(), Certificates::default());
    let busy = async {
        let ((), (), troubled, first, second) = tokio::join!(
            loads,
            shown.probe(orders.inbound, &client, end),
            faults.by_turns(&double, [&orders, &caller], end),
            vitals[0].follow(end),
            vitals[1].follow(end),
        );
        troubled.and(first).and(second)
    };
    tokio::select! {
        done = busy => done?,
        renewed = client.renew() => return Err(renewed.err().unwrap_or_else(|| anyhow::anyhow!("the client renews no more"))),
    }

    let (issued, in_force) = settled(&double, [&orders, &caller]).await?;
    let lines = orders.lines();
    let handshakes = [&http1, &http2, &shown.tally].map(|tally| tally.handshakes.borrow().clone()).concat();
    // Once everything was there for a while, and right before the end: a certificate's life each, so that all its connections have come and gone.
    let warm = begun + (end - begun).div_f64(10.0).max(setting::VALIDITY / 2);
    let early = (warm, warm + setting::VALIDITY);
    let late = (end - setting::VALIDITY, end);
    let mut sidecars = Vec::new();
    for (index, (name, sidecar)) in [("orders", orders), ("caller", caller)].into_iter().enumerate() {
        let (vitals, idle, rotations) = (&vitals[index], idle[index], in_force[index]);
        let memory = (vitals.least(early.0, early.1), vitals.least(late.0, late.1));
        let descriptors = (idle, vitals.gives_back(idle, PATIENCE).await?);
        sidecars.push(judged(name, sidecar, rotations, memory, descriptors).await?);
    }
    let Ok(sidecars) = sidecars.try_into() else { anyhow::bail!("there are two sidecars") };
    let report = Report {
        seconds: seconds as f64,
        rate,
        loads: [("HTTP/1.1", &http1), ("HTTP/2", &http2), ("through two sidecars", &through), ("new connections", &shown.tally)],
        shown: certificates::judge(&lines, &handshakes),
        survived: faults.survived(),
        issued,
        sidecars,
    };
    Ok(report.print())
}

/// Waits until as many certificates were in force as were issued, or for as long as an issue may take; gives how many were issued, and how many each had.
async fn settled(double: &Double, sidecars: [&Sidecar; 2]) -> anyhow::Result<(u64, [f64; 2])> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let in_force = [rotations(sidecars[0]).await?, rotations(sidecars[1]).await?];
        let issued = double.issued().await?;
        if issued as f64 == in_force.iter().sum::<f64>() || Instant::now() >= patience {
            return Ok((issued, in_force));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reads what a sidecar counted, and ends it.
async fn judged(
    name: &'static str,
    sidecar: Sidecar,
    rotations: f64,
    memory: (u64, u64),
    descriptors: (usize, usize),
) -> anyhow::Result<report::Sidecar> {
    let mut troubles = 0.0;
    for (metric, labels) in [
        ("countersign_panics_total", ""),
        ("countersign_audit_lost_total", ""),
        ("countersign_issue_count_errors_total", ""),
        ("countersign_certificate_cache_total", "result=\"failed\""),
    ] {
        troubles += sidecar.metric(metric, labels).await?;
    }
    let probes = sidecar.metric("countersign_self_probes_total", "").await?;
    let well = sidecar.metric("countersign_self_probes_total", "result=\"ok\"").await?;
    Ok(report::Sidecar {
        name,
        rotations,
        failed: sidecar.metric("countersign_rotations_total", "result=\"failed\"").await?,
        misshown: probes - well,
        troubles,
        memory,
        descriptors,
        status: sidecar.stop(Duration::from_secs(15)).await?,
    })
}
