//! What a request costs: instructions, CPU time, system calls, memory. `make bench`; docs/performance.md has the method and the figures.
//!
//! The sidecar runs on core 0 with one shard; load and app run on core 1. `COUNTERSIGN` names the binary to measure, `BENCH_REQUESTS` the
//! requests of a round, `BENCH_OUT` the directory for `instructions.json`.

#[path = "../load/mod.rs"]
mod load;
#[path = "../measure/mod.rs"]
mod measure;

mod report;

use http::uri::PathAndQuery;
use load::{Check, Load, Offer, Pace, Protocol, Sidecar, Slots, Tally, Target, Until, Wallet};
use measure::{Callgrind, Cpu, Instructions, Method, Perf, Setting, Sink, process, setting, syscalls};
use report::{Figures, Round};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Requests before anything is measured: pools are filled, buffers have their size.
const WARM_UP: u64 = 3_000;
/// Rounds of CPU time; their median counts.
const ROUNDS: usize = 5;
/// Requests under callgrind, which is about fifty times slower, and under strace.
const SLOW: u64 = 20_000;
/// The longest time that one measurement may take.
const LONGEST: Duration = Duration::from_secs(300);

/// One kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// Which HTTP.
    pub protocol: Protocol,
    /// Open connections.
    pub connections: usize,
    /// Requests at a time on each.
    pub streams: usize,
    /// Where decisions are recorded.
    pub sink: Sink,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario { name: "S1", protocol: Protocol::Http1, connections: 16, streams: 1, sink: Sink::File },
    Scenario { name: "S1 without a log", protocol: Protocol::Http1, connections: 16, streams: 1, sink: Sink::None },
    Scenario { name: "S2", protocol: Protocol::Http2, connections: 4, streams: 16, sink: Sink::File },
];

fn main() -> ExitCode {
    if !load::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    match load::block_on(bench()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> anyhow::Result<()> {
    process::pin_self()?;
    let binary = std::env::var_os("COUNTERSIGN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_countersign")), PathBuf::from);
    let out = std::env::var_os("BENCH_OUT").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&out)?;
    let requests = load::number("BENCH_REQUESTS", 50_000)?.max(1_000);
    let method = Method::choose();
    let mut all = Vec::new();
    let only = std::env::var("BENCH_ONLY").ok();
    for scenario in SCENARIOS.into_iter().filter(|scenario| only.as_ref().is_none_or(|only| scenario.name == only)) {
        eprintln!("{}: {requests} requests a round", scenario.name);
        let figures = tokio::time::timeout(LONGEST, measure(scenario, &binary, requests, method, &out)).await;
        all.push(figures.map_err(|_| anyhow::anyhow!("{}: not done within {LONGEST:?}", scenario.name))??);
    }
    report::write(&all, method, &binary, &out.join("instructions.json"))
}

/// Everything about one scenario.
async fn measure(scenario: Scenario, binary: &Path, requests: u64, method: Method, out: &Path) -> anyhow::Result<Figures> {
    let app = load::app::start(Some(setting::CLIENT))?;
    let setting = Setting::new((Ipv4Addr::LOCALHOST, 0).into(), app, scenario.sink)?;
    let run = Run::start(scenario, &setting, process::pinned([binary])).await?;
    let idle = process::memory(run.sidecar.id())?;
    run.requests(WARM_UP).await?;
    let mut rounds = Vec::new();
    let mut counted = None;
    for _ in 0..ROUNDS {
        let perf = if method == Method::Perf { Some(Perf::attach(run.sidecar.id()).await?) } else { None };
        let (before, begun) = (Cpu::of(run.sidecar.id())?, Instant::now());
        run.requests(requests).await?;
        rounds.push(Round { cpu: Cpu::of(run.sidecar.id())?.since(before), took: begun.elapsed(), requests });
        if let Some(perf) = perf {
            counted = Some(perf.finish()?.per(requests));
        }
    }
    let busy = process::memory(run.sidecar.id())?;
    let syscalls = syscalls::count(run.sidecar.id(), out, run.requests(SLOW)).await?;
    run.stop().await?;
    if method == Method::Callgrind {
        counted = Some(callgrind(scenario, &setting, binary, out).await?);
    }
    Ok(Figures { scenario, rounds, instructions: counted, syscalls: syscalls.map(|calls| calls.per(SLOW)), idle, busy })
}

/// The same work once more under callgrind.
async fn callgrind(scenario: Scenario, setting: &Setting, binary: &Path, out: &Path) -> anyhow::Result<Instructions> {
    let dump = out.join(format!("callgrind.{}.out", scenario.name.replace(' ', "-")));
    let run = Run::start(scenario, setting, Callgrind::command([binary], &dump)).await?;
    run.requests(WARM_UP).await?;
    let mut callgrind = Callgrind::attach(run.sidecar.id(), &dump)?;
    run.requests(SLOW).await?;
    let counted = callgrind.counted()?;
    callgrind.stop()?;
    run.stop().await?;
    Ok(counted.per(SLOW))
}

/// A sidecar under load.
struct Run {
    scenario: Scenario,
    sidecar: Sidecar,
    slots: Rc<Slots>,
}

impl Run {
    async fn start(scenario: Scenario, setting: &Setting, mut command: std::process::Command) -> anyhow::Result<Self> {
        command.arg("run").arg("--config").arg(setting.configuration());
        let sidecar = Sidecar::start(command, Duration::from_secs(60)).await?;
        let wallet = Wallet::open(&setting.certificates(), setting::CLIENT, Duration::from_secs(86_400), Offer::Same)?;
        let slots = Rc::new(Slots::new(Target::mutual(sidecar.inbound, &wallet, scenario.protocol), scenario.connections));
        Ok(Self { scenario, sidecar, slots })
    }

    async fn requests(&self, count: u64) -> anyhow::Result<()> {
        let tally = Rc::new(Tally::default());
        let load = Load { streams: self.scenario.streams, pace: Pace::Closed, check: Check::Nonce, until: Until::Requests(count) };
        self.slots.drive(PathAndQuery::from_static(setting::PATH), load, &tally).await;
        anyhow::ensure!(
            tally.right.get() == count,
            "{} of {count} requests were answered: {:?}",
            tally.right.get(),
            tally.failures.borrow()
        );
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<()> {
        let Self { sidecar, slots, .. } = self;
        drop(slots);
        let status = sidecar.stop(Duration::from_secs(30)).await?;
        anyhow::ensure!(status.success(), "the sidecar ended with {status}");
        Ok(())
    }
}
