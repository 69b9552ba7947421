//! Instructions per request by difference: two portions of the same work, where what only happens once cancels out.

use super::{Callers, Callgrind, Cpu, Instructions, Perf, Program, Running, Work};
use std::path::Path;

/// Requests before anything is counted: pools are filled, buffers have their size.
const WARM_UP: u64 = 1_000;
/// Requests of the two portions under callgrind, which is about fifty times slower.
const SLOW: (u64, u64) = (1_000, 11_000);
/// Requests of the two portions under perf.
const FAST: (u64, u64) = (5_000, 55_000);

/// In user space, by callgrind.
///
/// # Errors
/// The proxy does not start, or answers wrongly; valgrind cannot be asked.
pub async fn by_callgrind(work: Work, program: &Program, callers: &Callers, out: &Path) -> anyhow::Result<Instructions> {
    let name: String = program.name.chars().map(|character| if character.is_alphanumeric() { character } else { '-' }).collect();
    let dump = out.join(format!("callgrind.{}.{name}.out", work.name));
    let running = program.start_counted(&dump, callers).await?;
    let slots = running.slots(work, &callers.known);
    work.closed(&slots, WARM_UP).await?;
    let mut callgrind = Callgrind::attach(running.id(), &dump)?;
    work.closed(&slots, SLOW.0).await?;
    let small = callgrind.counted()?;
    work.closed(&slots, SLOW.1).await?;
    let large = callgrind.counted()?;
    callgrind.stop()?;
    drop(slots);
    running.stop().await?;
    Ok(Instructions { user: (large.user - small.user) / (SLOW.1 - SLOW.0) as f64, kernel: None })
}

/// In user space and in the kernel, by the processor.
///
/// # Errors
/// The proxy does not start, or answers wrongly; perf gives no counts.
pub async fn by_perf(work: Work, program: &Program, callers: &Callers) -> anyhow::Result<Instructions> {
    let running = program.start(callers).await?;
    let slots = running.slots(work, &callers.known);
    work.closed(&slots, WARM_UP).await?;
    let portion = async |count| -> anyhow::Result<Instructions> {
        let perf = Perf::attach(running.id()).await?;
        work.closed(&slots, count).await?;
        perf.finish()
    };
    let (small, large) = (portion(FAST.0).await?, portion(FAST.1).await?);
    let each = |small: f64, large: f64| (large - small) / (FAST.1 - FAST.0) as f64;
    drop(slots);
    Running::stop(running).await?;
    Ok(Instructions { user: each(small.user, large.user), kernel: small.kernel.zip(large.kernel).map(|(small, large)| each(small, large)) })
}

/// In user space and in the kernel, by the scheduler's clock; this machine is emulated and takes so many nanoseconds for each instruction. The sum is exact.
/// Its parts are as the timer's ticks found them, of which there should be thousands: it takes many requests, or many nanoseconds.
///
/// # Errors
/// The proxy does not start, or answers wrongly.
pub async fn by_clock(work: Work, program: &Program, callers: &Callers, requests: u64, nanoseconds: u32) -> anyhow::Result<Instructions> {
    let running = program.start(callers).await?;
    let slots = running.slots(work, &callers.known);
    work.closed(&slots, WARM_UP).await?;
    let portion = async |count| -> anyhow::Result<Cpu> {
        let before = Cpu::of(running.id())?;
        work.closed(&slots, count).await?;
        Ok(Cpu::of(running.id())?.since(before))
    };
    let (small, large) = (portion(requests / 5).await?, portion(requests + requests / 5).await?);
    drop(slots);
    running.stop().await?;
    let each = large.total.saturating_sub(small.total).as_nanos() as f64 / f64::from(nanoseconds) / requests as f64;
    let ticks = large.user + large.system;
    let user = if ticks.is_zero() { 0.0 } else { large.user.as_secs_f64() / ticks.as_secs_f64() };
    Ok(Instructions { user: each * user, kernel: Some(each * (1.0 - user)) })
}
