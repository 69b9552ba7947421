//! Does a request still cost what it did? Instructions per request of two fixed kinds of work, as a ratio to those of a bare hyper and rustls
//! proxy (benches/bare) under the same load in the same run, so that compilers, libraries and processors cancel out as far as they can.
//!
//! Beside that, S1 under a policy of 100,000 rules against S1 under one of 10.
//!
//! It fails when a ratio is more than 3 % above the one in baseline.toml. `make guard`; `GUARD_RENEW=1 make guard` writes the file anew. Where the
//! processor counts instructions for us and the file has ratios of that kind, kernel instructions are in; otherwise callgrind counts user space only.

#[path = "../bare/mod.rs"]
mod bare;
#[path = "../load/mod.rs"]
mod load;
#[path = "../measure/mod.rs"]
mod measure;

mod baseline;

use anyhow::Context as _;
use baseline::Baseline;
use load::app;
use measure::program::free_address;
use measure::{Callers, Method, Program, Setting, Sink, Work, count, setting, work};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a request costs under 100,000 rules, as a multiple of what it costs under 10, at most.
const LARGE: f64 = 1.05;

/// The longest time that counting one proxy may take.
const LONGEST: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    if !load::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    let outcome = match bare::asked_for() {
        Some(proxy) => load::block_on(proxy).map(|()| true),
        None => load::block_on(guard()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("guard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn guard() -> anyhow::Result<bool> {
    let mut baseline = Baseline::read()?;
    let renew = std::env::var_os("GUARD_RENEW").is_some();
    let method = match Method::choose() {
        Method::Perf if !renew && !baseline.has(Method::Perf) && Method::has_callgrind() => Method::Callgrind,
        Method::Nothing => anyhow::bail!("neither instruction counters nor valgrind; .ci/needs installs valgrind"),
        method => method,
    };
    println!("guard: instructions by {}", method.text());
    let dir = tempfile::tempdir().context("a directory for the proxies")?;
    let address = free_address()?;
    let setting = Setting::new(address, app::start(Some(setting::CLIENT))?, Sink::File)?;
    let callers = Callers::new(&setting.certificates())?;
    let ours = setting.program(Path::new(env!("CARGO_BIN_EXE_countersign")), address)?;
    let bare = bare::program(free_address()?, app::start(None)?, &setting.certificates(), &dir.path().join("bare"))?;
    let mut holds = true;
    for work in [work::S1, work::S2] {
        let counted = async |program: &Program| one(work, program, &callers, method, dir.path()).await;
        let (own, floor) = (counted(&ours).await?, counted(&bare).await?);
        println!("guard: {}: {own:.0} instructions per request, the bare proxy {floor:.0}: ratio {:.3}", work.name, own / floor);
        if renew {
            baseline.set(method, work.name, own / floor);
        } else {
            holds &= baseline.judge(method, work.name, own / floor)?;
        }
    }
    if renew {
        baseline.write()?;
    }
    Ok(holds & large_table(method, dir.path()).await?)
}

/// Whether a request costs the same under a table of 100,000 rules as under one of 10.
async fn large_table(method: Method, out: &Path) -> anyhow::Result<bool> {
    let mut costs = Vec::new();
    for rules in [10, 100_000] {
        let address = free_address()?;
        // Without a directory for the log: the counts of all rules are written there once a minute, which is no matter of requests, and callgrind's minutes
        // have few of those.
        let setting = Setting::with_rules(rules, address, app::start(Some(setting::CLIENT))?, Sink::None)?;
        let callers = Callers::new(&setting.certificates())?;
        let program = setting.program(Path::new(env!("CARGO_BIN_EXE_countersign")), address)?;
        let program = Program { name: format!("{rules} rules"), ..program };
        costs.push(one(work::S1, &program, &callers, method, out).await?);
    }
    let [small, large] = costs[..] else { anyhow::bail!("two tables") };
    let holds = large / small <= LARGE;
    let verdict = if holds { "pass" } else { "FAIL" };
    println!(
        "guard: {verdict}: S1: {small:.0} instructions per request under 10 rules, {large:.0} under 100,000: {:.3}, at most {LARGE}",
        large / small
    );
    Ok(holds)
}

async fn one(work: Work, program: &Program, callers: &Callers, method: Method, out: &Path) -> anyhow::Result<f64> {
    let counted = async {
        match method {
            Method::Perf => count::by_perf(work, program, callers).await,
            _ => count::by_callgrind(work, program, callers, out).await,
        }
    };
    let counted =
        tokio::time::timeout(LONGEST, counted).await.with_context(|| format!("{}: not done within {LONGEST:?}", program.name))??;
    Ok(counted.user + counted.kernel.unwrap_or(0.0))
}
