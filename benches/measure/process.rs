//! A process from outside: cores, CPU time, memory.

use anyhow::Context as _;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// The proxy's core, and that of load and app.
const CORES: (&str, &str) = ("0", "1");

/// The clock tick of /proc: 100 Hz on every Linux that is in use.
const TICK: Duration = Duration::from_millis(10);

/// Moves this process, whose threads are still to come, to the load's core.
///
/// # Errors
/// taskset is missing, or there is one core only.
pub fn pin_self() -> anyhow::Result<()> {
    let output = Command::new("taskset").args(["-cp", CORES.1, &std::process::id().to_string()]).output().context("taskset")?;
    anyhow::ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs a program, with the words that it begins with, on the proxy's core; it is killed when this process ends in whatever way.
pub fn pinned<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", CORES.0]).args(words);
    command
}

/// CPU time of a process with all its threads.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// As the scheduler knows it, to the nanosecond.
    pub total: Duration,
    /// In user space, in ticks of 10 ms.
    pub user: Duration,
    /// In the kernel, likewise.
    pub system: Duration,
}

impl Cpu {
    /// Until now.
    ///
    /// # Errors
    /// The process is gone.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name stands in parentheses and may hold anything; the fields behind it begin with the third.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| anyhow::Ok(TICK * fields.get(field - 3).context("/proc/stat")?.parse::<u32>()?);
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{id}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            total += Duration::from_nanos(text.split(' ').next().context("/proc/schedstat")?.parse()?);
        }
        Ok(Self { total, user: ticks(14)?, system: ticks(15)? })
    }

    /// What came since.
    pub fn since(self, before: Self) -> Self {
        Self { total: self.total - before.total, user: self.user - before.user, system: self.system - before.system }
    }
}

/// Memory of a process, KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Everything that is in memory, with the pages of the binary.
    pub resident: u64,
    /// What it allocated.
    pub anonymous: u64,
}

/// The memory of a process.
///
/// # Errors
/// The process is gone.
pub fn memory(id: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("/proc/status: no {name}"))?;
        line.trim().trim_end_matches(" kB").parse().context("/proc/status")
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}
