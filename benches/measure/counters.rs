//! Retired instructions: from the processor's counters where they are, from callgrind otherwise.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How instructions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `perf stat`: user and kernel.
    Perf,
    /// `valgrind --tool=callgrind`: user space only, and no AVX-512, which valgrind's processor does not have.
    Callgrind,
    /// The scheduler's clock on an emulated machine, where each instruction takes so many nanoseconds and nothing else takes time: user and kernel.
    Clock {
        /// How many.
        nanoseconds: u32,
    },
    /// Not at all.
    Nothing,
}

impl Method {
    /// The best one that this machine has.
    pub fn choose() -> Self {
        let output = Command::new("perf").args(["stat", "-x,", "-e", "instructions:u,instructions:k", "true"]).output();
        let counts = output.is_ok_and(|output| output.status.success() && parse(&String::from_utf8_lossy(&output.stderr)).is_some());
        match () {
            () if counts => Self::Perf,
            () if Self::has_callgrind() => Self::Callgrind,
            () => Self::Nothing,
        }
    }

    /// Whether valgrind and its remote control are installed.
    pub fn has_callgrind() -> bool {
        let found = |tool: &str| Command::new(tool).arg("--help").output().is_ok_and(|output| output.status.success());
        found("valgrind") && found("vgdb")
    }

    /// What the report says of it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Perf => "perf stat, user and kernel",
            Self::Callgrind => "callgrind, user space only (this machine has no instruction counters)",
            Self::Clock { .. } => "the clock of an emulated machine, user and kernel",
            Self::Nothing => "none (neither instruction counters nor valgrind)",
        }
    }
}

/// Instructions; `kernel` is `None` where nobody counts them.
#[derive(Debug, Clone, Copy)]
pub struct Instructions {
    /// In user space.
    pub user: f64,
    /// In the kernel.
    pub kernel: Option<f64>,
}

impl Instructions {
    /// For one request of so many.
    pub fn per(self, requests: u64) -> Self {
        Self { user: self.user / requests as f64, kernel: self.kernel.map(|kernel| kernel / requests as f64) }
    }
}

/// A running `perf stat`.
pub struct Perf(Child);

impl Perf {
    /// Counts a process from now on.
    ///
    /// # Errors
    /// perf cannot be started.
    pub async fn attach(id: u32) -> anyhow::Result<Self> {
        let mut command = Command::new("perf");
        command.args(["stat", "-x,", "-e", "instructions:u,instructions:k", "-p", &id.to_string()]).stderr(Stdio::piped());
        let child = command.spawn().context("perf stat")?;
        // It does not say when it has begun; an idle proxy adds next to nothing meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Self(child))
    }

    /// Stops counting.
    ///
    /// # Errors
    /// perf gave no counts.
    pub fn finish(self) -> anyhow::Result<Instructions> {
        interrupt(&self.0)?;
        let output = self.0.wait_with_output()?;
        parse(&String::from_utf8_lossy(&output.stderr)).context("perf stat gave no counts")
    }
}

/// Lines such as `1234,,instructions:u,…`.
fn parse(text: &str) -> Option<Instructions> {
    let count = |event: &str| {
        let line = text.lines().find(|line| line.split(',').nth(2) == Some(event))?;
        line.split(',').next()?.parse::<f64>().ok()
    };
    Some(Instructions { user: count("instructions:u")?, kernel: Some(count("instructions:k")?) })
}

/// Asks a child to end as Ctrl-C does.
pub fn interrupt(child: &Child) -> anyhow::Result<()> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the child's id")?;
    Ok(kill_process(id, Signal::INT)?)
}

/// A proxy under callgrind.
pub struct Callgrind {
    id: u32,
    dump: PathBuf,
    dumps: u32,
}

impl Callgrind {
    /// Runs a program, with the words that it begins with, under callgrind on the proxy's core, not counting yet.
    pub fn command<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>, dump: &Path) -> Command {
        let mut command = super::process::pinned(["valgrind"]);
        // valgrind counts each byte of `rep movsb` as an instruction; a processor does not.
        command.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS").args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
        command.arg(format!("--callgrind-out-file={}", dump.display())).args(words);
        command
    }

    /// Counts from now on.
    ///
    /// # Errors
    /// vgdb cannot reach it.
    pub fn attach(id: u32, dump: &Path) -> anyhow::Result<Self> {
        let callgrind = Self { id, dump: dump.to_owned(), dumps: 0 };
        callgrind.tell(&["instrumentation", "on"])?;
        Ok(callgrind)
    }

    /// What was counted since the last time, or since it was attached.
    ///
    /// # Errors
    /// vgdb cannot reach it, or it wrote no counts.
    pub fn counted(&mut self) -> anyhow::Result<Instructions> {
        self.dumps += 1;
        let file = self.dump.with_extension(format!("out.{}", self.dumps));
        let _ = fs::remove_file(&file);
        self.tell(&["dump"])?;
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: ")).context("callgrind wrote no totals")?;
        Ok(Instructions { user: totals.trim().parse()?, kernel: None })
    }

    /// Counts no more.
    ///
    /// # Errors
    /// vgdb cannot reach it.
    pub fn stop(self) -> anyhow::Result<()> {
        self.tell(&["instrumentation", "off"])
    }

    fn tell(&self, words: &[&str]) -> anyhow::Result<()> {
        let output = Command::new("vgdb").arg(format!("--pid={}", self.id)).args(words).output().context("vgdb")?;
        anyhow::ensure!(output.status.success(), "vgdb {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
