//! Countersign beside other proxies, in the same run: instructions, CPU time, system calls, throughput, latency at a fixed rate.
//! `make compare`; docs/performance.md has the method and the figures, benches/peers the peers' configurations and how to get them.
//!
//! Each proxy runs alone on core 0 while it is measured; load and app run on core 1. Rounds go through all proxies in turn, so that whatever
//! else this machine does meets all of them. `COMPARE_ONLY=S1,S2`, `COMPARE_PROXIES=nginx` (those whose name contains it), `COMPARE_REQUESTS`
//! (a round's), `COMPARE_ROUNDS`, `COMPARE_RATE` (requests per second of the latency rounds), `COUNTERSIGN` (the binary), `PEERS_DIR`,
//! `COMPARE_OUT`. `make compare-emulated` counts instructions only, inside an emulated machine (benches/emulated).

#[path = "../bare/mod.rs"]
mod bare;
#[path = "../load/mod.rs"]
mod load;
#[path = "../measure/mod.rs"]
mod measure;

mod emulated;
mod peers;
mod report;
mod rounds;

use anyhow::Context as _;
use load::app;
use measure::program::free_address;
use measure::{Callers, Method, Program, Setting, Sink, process, setting, work};
use rounds::Plan;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if !load::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    let outcome = match bare::asked_for() {
        Some(proxy) => load::block_on(proxy),
        None => load::block_on(compare()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn compare() -> anyhow::Result<()> {
    let method = emulated::method()?.unwrap_or_else(Method::choose);
    if !matches!(method, Method::Clock { .. }) {
        process::pin_self()?;
    }
    let binary = std::env::var_os("COUNTERSIGN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_countersign")), PathBuf::from);
    let out = std::env::var_os("COMPARE_OUT").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&out)?;
    let out = std::path::absolute(&out)?;
    let only = std::env::var("COMPARE_ONLY").ok();
    let plan = Plan {
        requests: load::number("COMPARE_REQUESTS", 20_000)?.max(1_000),
        rounds: load::number("COMPARE_ROUNDS", 5)?,
        rate: load::number("COMPARE_RATE", 3_000)?.max(1) as f64,
        method,
        out: out.clone(),
    };
    let dir = tempfile::tempdir().context("a directory for the proxies")?;
    let programs = programs(&binary, dir.path())?;
    for program in &programs.all {
        eprintln!("found: {}", program.name);
    }
    let mut results = Vec::new();
    for work in
        [work::S1, work::S2].into_iter().filter(|work| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == work.name)))
    {
        let figures = match method {
            Method::Clock { nanoseconds } => emulated::run(work, &programs.all, &programs.callers, plan.requests, nanoseconds).await,
            _ => rounds::run(work, &programs.all, &programs.callers, &plan).await?,
        };
        results.push((work, figures));
    }
    report::write(&results, &plan, &out.join("compare.json"))
}

/// Everyone who takes part, and who asks them.
struct Programs {
    all: Vec<Program>,
    callers: Callers,
    // Their files are read until the end.
    _settings: [Setting; 2],
}

fn programs(binary: &Path, dir: &Path) -> anyhow::Result<Programs> {
    let (address, app_of_ours) = (free_address()?, app::start(Some(setting::CLIENT))?);
    let setting = Setting::new(address, app_of_ours, Sink::File)?;
    let ca = setting.certificates();
    let callers = Callers::new(&ca)?;
    let ours = setting.program(binary, address)?;
    let address = free_address()?;
    let silent = setting.without_log(address, app_of_ours)?;
    let unrecorded = silent.program(binary, address)?;
    let unrecorded = Program { name: format!("{}, no log", unrecorded.name), ..unrecorded };
    // The others need not tell the app who calls.
    let app = app::start(None)?;
    let mut all = vec![ours, unrecorded, bare::program(free_address()?, app, &ca, &dir.join("bare"))?];
    for peer in peers::find(&peers::directory()?)? {
        all.push(peer.configure(app, &ca, dir)?);
    }
    let wanted = std::env::var("COMPARE_PROXIES").unwrap_or_default();
    all.retain(|program| program.name.contains(&wanted));
    Ok(Programs { all, callers, _settings: [setting, silent] })
}
