//! Everything changes and nothing fails: certificates rotate, the policy table is swapped, one rule flips each second, and meanwhile a client
//! without retries sends requests over HTTP/1.1 and HTTP/2, and keeps gRPC streams and WebSockets open. `make soak`; `SOAK_SECONDS`, `SOAK_RATE`
//! (requests a second of each protocol), `COUNTERSIGN` (another binary).
//!
//! It fails when a request does, when a new certificate is not shown to new connections, or when the old table answers a request that was
//! sent more than 100 ms after the new one was said to be in force. A request that is under way when the new table forbids it is ended, as
//! documented: that is no failure, and is counted apart. A stream may end only by its connection's expiry, over HTTP/2 announced by a GOAWAY.

#[path = "../load/mod.rs"]
mod load;
#[path = "../measure/process.rs"]
#[allow(dead_code, reason = "only memory is of interest here")]
mod process;

mod certificates;
mod echo;
mod flips;
mod grpc;
mod report;
mod setting;
mod streams;
mod tap;
mod websocket;

use certificates::Certificates;
use flips::Flips;
use http::uri::PathAndQuery;
use load::{Check, Load, Offer, Pace, Protocol, Sidecar, Slots, Tally, Target, Until, Wallet, app};
use report::Report;
use setting::Setting;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use streams::{Kind, Streams};
use tokio::time::Instant;

/// From the start of a sidecar to its readiness.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections of the HTTP/1.1 load.
const HTTP1: usize = 8;
/// Connections of the HTTP/2 load, and streams on each.
const HTTP2: (usize, usize) = (2, 8);

fn main() -> ExitCode {
    load::verdict("soak", soak())
}

async fn soak() -> anyhow::Result<bool> {
    let seconds = load::number("SOAK_SECONDS", 60)?.max(5);
    let rate = load::number("SOAK_RATE", 2_500)?.max(1);
    let setting = Setting::new(app::start(Some(setting::CLIENT))?, "http1")?;
    let sidecar = Sidecar::start(setting.command(), PATIENCE).await?;
    // The streams have sidecars of their own, since their apps speak other protocols.
    let beside = [setting.beside(echo::grpc()?, "h2c")?, setting.beside(echo::websocket()?, "http1")?];
    let calls = Sidecar::start(beside[0].command(), PATIENCE).await?;
    let sockets = Sidecar::start(beside[1].command(), PATIENCE).await?;
    let wallet = Wallet::open(setting.certificates(), setting::CLIENT, setting::VALIDITY, Offer::All)?;
    println!("soak: {seconds} s, {rate} requests/s in each of HTTP/1.1 and HTTP/2, certificates of {:?}", setting::VALIDITY);

    let before = Counters::read(&sidecar).await?;
    let mut memory = [&sidecar, &calls, &sockets].map(|sidecar| Memory { id: sidecar.id(), early: 0, late: 0 });
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let (http1, http2) = (Rc::new(Tally::default()), Rc::new(Tally::default()));
    let loads = async {
        let load = |streams| Load { streams, pace: Pace::Open(rate as f64), check: Check::Nonce, until: Until::Time(end) };
        let first = Rc::new(Slots::new(Target::mutual(sidecar.inbound, &wallet, Protocol::Http1), HTTP1));
        let second = Rc::new(Slots::new(Target::mutual(sidecar.inbound, &wallet, Protocol::Http2), HTTP2.0));
        tokio::join!(
            first.drive(PathAndQuery::from_static("/always/1"), load(1), &http1),
            second.drive(PathAndQuery::from_static("/always/2"), load(HTTP2.1), &http2)
        );
    };
    let (flips, certificates, streams) = (Flips::default(), Certificates::default(), Streams::default());
    let kept = async {
        tokio::join!(
            streams.keep(Kind::Grpc, calls.inbound, &wallet, end),
            streams.keep(Kind::Grpc, calls.inbound, &wallet, end),
            streams.keep(Kind::WebSocket, sockets.inbound, &wallet, end),
            streams.keep(Kind::WebSocket, sockets.inbound, &wallet, end),
            streams.keep(Kind::WebSocketHttp2, sockets.inbound, &wallet, end),
        )
    };
    let weighed = async {
        tokio::time::sleep_until(begun + Duration::from_secs(seconds) / 3).await;
        for memory in &mut memory {
            memory.early = process::memory(memory.id)?.anonymous;
        }
        anyhow::Ok(())
    };
    let busy = async {
        tokio::join!(
            loads,
            setting.swap_policy(end, &flips, &beside),
            flips.request(Protocol::Http1, sidecar.inbound, &wallet, end),
            flips.request(Protocol::Http2, sidecar.inbound, &wallet, end),
            certificates.probe(sidecar.inbound, &wallet, end),
            kept,
            weighed,
        )
    };
    let ((), swapped, (), (), (), _, weighed) = tokio::select! {
        done = busy => done,
        renewed = wallet.renew() => return Err(renewed.err().unwrap_or_else(|| anyhow::anyhow!("the client renews no more"))),
    };
    swapped?;
    weighed?;

    let counted = Counters::read(&sidecar).await?.since(&before);
    let mut troubles = 0.0;
    for (sidecar, memory) in [&sidecar, &calls, &sockets].into_iter().zip(&mut memory) {
        memory.late = process::memory(memory.id)?.anonymous;
        for metric in ["countersign_panics_total", "countersign_audit_lost_total"] {
            troubles += sidecar.metric(metric, "").await?;
        }
    }
    let lines = sidecar.lines();
    let handshakes = [&http1, &http2, &flips.tally, &certificates.tally].map(|tally| tally.handshakes.borrow().clone()).concat();
    let mut statuses = Vec::new();
    for sidecar in [sidecar, calls, sockets] {
        statuses.push(sidecar.stop(Duration::from_secs(15)).await?);
    }
    let judged = flips.judge(&lines);
    for failure in &judged.failures {
        flips.tally.fail(failure);
    }
    let report = Report {
        seconds: seconds as f64,
        http1: &http1,
        http2: &http2,
        flips: judged,
        flipping: &flips.tally,
        rotations: certificates::judge(&lines, &handshakes),
        probes: &certificates.tally,
        streams: streams.judge(),
        counted,
        troubles,
        memory,
        statuses,
    };
    Ok(report.print())
}

/// What a sidecar has allocated, KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    id: u32,
    /// After a third of the run.
    pub early: u64,
    /// At its end.
    pub late: u64,
}

/// What the sidecar counted.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    /// `countersign_rotations_total{result="ok"}`.
    pub rotations: f64,
    /// `countersign_policy_reloads_total{result="ok"}`.
    pub swaps: f64,
    /// `countersign_requests_total`.
    pub requests: f64,
    /// `countersign_failures_total`, all reasons.
    pub failures: f64,
    /// `countersign_failures_total{reason="policy_changed"}`.
    pub revoked: f64,
}

impl Counters {
    async fn read(sidecar: &Sidecar) -> anyhow::Result<Self> {
        Ok(Self {
            rotations: sidecar.metric("countersign_rotations_total", "result=\"ok\"").await?,
            swaps: sidecar.metric("countersign_policy_reloads_total", "result=\"ok\"").await?,
            requests: sidecar.metric("countersign_requests_total", "").await?,
            failures: sidecar.metric("countersign_failures_total", "").await?,
            revoked: sidecar.metric("countersign_failures_total", "reason=\"policy_changed\"").await?,
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            rotations: self.rotations - before.rotations,
            swaps: self.swaps - before.swaps,
            requests: self.requests - before.requests,
            failures: self.failures - before.failures,
            revoked: self.revoked - before.revoked,
        }
    }
}
