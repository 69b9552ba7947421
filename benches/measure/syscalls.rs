//! System calls, counted by strace, which slows the proxy down: more requests are waiting whenever it looks.

use super::counters::interrupt;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Calls by name.
#[derive(Debug, Clone, Default)]
pub struct Calls(pub BTreeMap<String, f64>);

/// Calls that move bytes.
const IO: [&str; 12] =
    ["read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg", "sendmmsg", "splice", "sendfile", "pread64"];

impl Calls {
    /// For one request of so many.
    pub fn per(self, requests: u64) -> Self {
        Self(self.0.into_iter().map(|(name, count)| (name, count / requests as f64)).collect())
    }

    /// Those that move bytes.
    pub fn io(&self) -> f64 {
        self.0.iter().filter(|(name, _)| IO.contains(&name.as_str())).map(|(_, count)| count).sum()
    }

    /// All of them.
    pub fn all(&self) -> f64 {
        self.0.values().sum()
    }
}

/// Counts the calls of a process while `work` runs; `None` where there is no strace.
///
/// # Errors
/// It cannot be attached, or what `work` says.
pub async fn count(id: u32, out: &Path, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Option<Calls>> {
    if !Command::new("strace").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    let table = out.join("strace.txt");
    let mut command = Command::new("strace");
    command.args(["-c", "-f", "-p", &id.to_string(), "-o"]).arg(&table).stderr(Stdio::null());
    let mut strace = command.spawn().context("strace")?;
    let outcome = match attached(id, &mut strace).await {
        Ok(()) => work.await,
        Err(error) => Err(error),
    };
    interrupt(&strace)?;
    strace.wait()?;
    outcome?;
    Ok(Some(parse(&fs::read_to_string(&table)?)))
}

/// Waits until every thread is traced.
async fn attached(id: u32, strace: &mut Child) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut tasks = fs::read_dir(format!("/proc/{id}/task"))?;
        let all = tasks.all(|task| {
            let status = task.and_then(|task| fs::read_to_string(task.path().join("status")));
            status.is_ok_and(|status| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
        });
        if all {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < end && strace.try_wait()?.is_none(), "strace cannot attach");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lines such as `25.0  0.1  2  12345  67 read`: the fourth column counts, the last one names.
fn parse(table: &str) -> Calls {
    let line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (name, count) = (*columns.last()?, columns.get(3)?.parse().ok()?);
        (name != "total").then(|| (name.to_owned(), count))
    };
    Calls(table.lines().filter_map(line).collect())
}
