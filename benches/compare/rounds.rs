//! One kind of work, measured on every proxy in turn.

use crate::load::Slots;
use crate::load::histogram::Histogram;
use crate::measure::{self, Callers, Calls, Cpu, Instructions, Method, Perf, Program, Running, Work, syscalls};
use anyhow::Context as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Requests before anything is measured: pools are filled, buffers have their size.
const WARM_UP: u64 = 3_000;
/// Requests under strace.
const TRACED: u64 = 10_000;
/// The length of one round at a fixed rate, and how many there are.
const PACED: (Duration, u64) = (Duration::from_secs(3), 3);
/// The longest time that one step with one proxy may take.
const LONGEST: Duration = Duration::from_secs(240);

/// How much is measured, and where files go.
#[derive(Debug)]
pub struct Plan {
    /// Requests of a round.
    pub requests: u64,
    /// Rounds of CPU time; none: only instructions are counted.
    pub rounds: u64,
    /// Requests per second of the rounds at a fixed rate.
    pub rate: f64,
    /// How instructions are counted.
    pub method: Method,
    /// The directory for what the tools write.
    pub out: PathBuf,
}

/// What one kind of work cost one proxy.
#[derive(Debug, Default)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// CPU µs per request, by rounds.
    pub cpu: Vec<f64>,
    /// Requests per second, by rounds.
    pub throughput: Vec<f64>,
    /// Instructions per request.
    pub instructions: Option<Instructions>,
    /// System calls per request.
    pub calls: Option<Calls>,
    /// Latencies at the fixed rate, all rounds.
    pub latencies: Histogram,
}

/// Measures `work` on all of them, the first of which is ours; another one that does not start is named and left out.
///
/// # Errors
/// Ours does not start, or one of them answers wrongly.
pub async fn run(work: Work, programs: &[Program], callers: &Callers, plan: &Plan) -> anyhow::Result<Vec<Figures>> {
    let mut all = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        match Contender::start(work, program, callers).await {
            Ok(contender) => all.push(contender),
            Err(error) if number == 0 => return Err(error),
            Err(error) => eprintln!("left out: {error:#}"),
        }
    }
    for round in 1..=plan.rounds {
        eprintln!("{}: round {round} of {}", work.name, plan.rounds);
        for contender in &mut all {
            bounded(&contender.program.name, contender.round(plan)).await?;
        }
    }
    for round in 1..=if plan.rounds > 0 { PACED.1 } else { 0 } {
        eprintln!("{}: {} requests/s, round {round} of {}", work.name, plan.rate, PACED.1);
        for contender in &mut all {
            bounded(&contender.program.name, contender.paced(plan)).await?;
        }
    }
    let mut done = Vec::new();
    for mut contender in all {
        let program = contender.program;
        if plan.rounds > 0 {
            let traced = async { work.closed(&contender.slots, TRACED).await.map(drop) };
            let calls = bounded(&program.name, syscalls::count(contender.running.id(), &plan.out, traced)).await?;
            contender.figures.calls = calls.map(|calls| calls.per(TRACED));
        }
        let Contender { running, slots, mut figures, .. } = contender;
        drop(slots);
        running.stop().await?;
        if plan.method == Method::Callgrind {
            eprintln!("{}: {} under callgrind", work.name, program.name);
            match bounded(&program.name, measure::count::by_callgrind(work, program, callers, &plan.out)).await {
                Ok(instructions) => figures.instructions = Some(instructions),
                Err(error) => eprintln!("not counted: {error:#}"),
            }
        }
        done.push(figures);
    }
    Ok(done)
}

async fn bounded<T>(name: &str, step: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(LONGEST, step)
        .await
        .with_context(|| format!("{name}: not done within {LONGEST:?}"))?
        .with_context(|| name.to_owned())
}

/// One proxy with its connections.
struct Contender<'a> {
    work: Work,
    program: &'a Program,
    running: Running,
    slots: Rc<Slots>,
    figures: Figures,
}

impl<'a> Contender<'a> {
    async fn start(work: Work, program: &'a Program, callers: &Callers) -> anyhow::Result<Self> {
        let running = program.start(callers).await?;
        let slots = running.slots(work, &callers.known);
        work.closed(&slots, WARM_UP).await.with_context(|| program.name.clone())?;
        Ok(Self { work, program, running, slots, figures: Figures { name: program.name.clone(), ..Figures::default() } })
    }

    async fn round(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let perf = if plan.method == Method::Perf { Some(Perf::attach(self.running.id()).await?) } else { None };
        let (before, begun) = (Cpu::of(self.running.id())?, Instant::now());
        self.work.closed(&self.slots, plan.requests).await?;
        let (cpu, took) = (Cpu::of(self.running.id())?.since(before), begun.elapsed());
        self.figures.cpu.push(cpu.total.as_secs_f64() * 1e6 / plan.requests as f64);
        self.figures.throughput.push(plan.requests as f64 / took.as_secs_f64());
        if let Some(perf) = perf {
            self.figures.instructions = Some(perf.finish()?.per(plan.requests));
        }
        Ok(())
    }

    async fn paced(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let tally = self.work.paced(&self.slots, plan.rate, PACED.0).await?;
        self.figures.latencies.merge(&tally.latencies.borrow());
        Ok(())
    }
}
