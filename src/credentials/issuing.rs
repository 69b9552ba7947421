//! The issuing budget of this process and, where there is a directory, of those before it.

use super::budget::{Budget, Ceilings, Exhausted};
use crate::identity::SpiffeId;
use crate::runtime::clock::Clock;
use crate::runtime::files::replace;
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::read_capped;
use crate::telemetry::metrics::{self, Process};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What readiness calls a count that is not kept.
const CONDITION: &str = "issuing_budget";

/// The file in the directory.
const FILE: &str = "issues";

/// The most bytes that are read of it: what a day's ceiling can be fits.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Asked by a source before each request to a CA that is paid for.
pub struct Issuing {
    ceilings: Ceilings,
    id: SpiffeId,
    /// Where the count is kept across restarts; nowhere where there is no directory.
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    /// `None` until the first request: then the file is read.
    budget: Option<Budget>,
}

impl Issuing {
    /// The budget of the workload `id`, kept in `dir`, which belongs to this sidecar alone.
    pub fn new(ceilings: Ceilings, id: SpiffeId, dir: Option<&Path>, clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        Self { ceilings, id, file: dir.map(|dir| dir.join(FILE)), clock, readiness, budget: None }
    }

    /// Takes one issue, see [`Budget::take`]; it is on disk when this returns, so that a process that dies while it asks has spent it.
    ///
    /// # Errors
    /// A ceiling is reached: nothing may be asked for.
    pub async fn take(&mut self) -> Result<(), Exhausted> {
        let now = self.clock.now();
        let budget = match &mut self.budget {
            Some(budget) => budget,
            None => {
                let before = match &self.file {
                    Some(file) => before(file, &self.id, self.ceilings, now).await,
                    None => Vec::new(),
                };
                self.budget.insert(Budget::new(self.ceilings, before))
            }
        };
        let taken = budget.take(now);
        Process::handles().issuing_stopped.set(if taken.is_err() { 1.0 } else { 0.0 });
        taken?;
        self.keep().await;
        Ok(())
    }

    /// The CA has issued what was taken.
    pub async fn issued(&mut self) {
        Process::handles().issues.increment(1);
        if let Some(budget) = &mut self.budget {
            budget.spent(self.clock.now());
        }
        self.keep().await;
    }

    /// Writes the count. A disk that does not take it is told of and stops nothing: what this process issues is still counted.
    async fn keep(&self) {
        let (Some(file), Some(budget)) = (self.file.clone(), &self.budget) else { return };
        let text = text(&self.id, budget);
        let shown = file.display().to_string();
        let written = tokio::task::spawn_blocking(move || {
            if let Some(dir) = file.parent() {
                std::fs::create_dir_all(dir)?;
            }
            replace(&file, text.as_bytes(), 0o600)
        });
        match written.await.unwrap_or_else(|_| Err(ErrorKind::Interrupted.into())) {
            Ok(()) => self.readiness.unnote(CONDITION),
            Err(error) => {
                metrics::issue_count_failed();
                tracing::error!(file = shown, %error, "the count of issued certificates is not kept: a restart begins at an older one");
                self.readiness.note(CONDITION, format!("the count of issued certificates cannot be written to {shown}: {error}"));
            }
        }
    }
}

/// The issues of the processes before this one. A file that is damaged or another workload's may hide as many as the ceilings allow, none of them after it
/// was written: an hour's worth counts from then on. So a crash loop on a broken disk issues once an hour, and a file that broke long ago stops nobody.
/// Where no file can even be seen, as in a directory that is none, nothing says that there was ever one: that is told, and counts nothing.
async fn before(file: &Path, id: &SpiffeId, ceilings: Ceilings, now: SystemTime) -> Vec<SystemTime> {
    let problem = match read_capped(file, MAX_FILE_BYTES).await {
        Ok(bytes) => match issues(&bytes, id) {
            Some(issues) => return issues,
            None => "it is damaged, or another workload's".to_owned(),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => error.to_string(),
    };
    metrics::issue_count_failed();
    let (changed, file) = (tokio::fs::metadata(file).await.and_then(|metadata| metadata.modified()), file.display());
    let Ok(changed) = changed else {
        tracing::error!(%file, problem, "the count of issued certificates cannot be looked for; a new one begins");
        return Vec::new();
    };
    tracing::error!(%file, problem, "the count of issued certificates cannot be read; an hour's ceiling counts from its last change");
    vec![changed.min(now); ceilings.per_hour as usize]
}

/// The first line says whose issues follow and how many; each is a line, seconds since 1970.
fn text(id: &SpiffeId, budget: &Budget) -> String {
    let seconds = |issue: SystemTime| issue.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let lines: Vec<String> = budget.issues().map(seconds).collect();
    let mut text = format!("countersign issues 1 {} {id}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What [`text`] wrote for `id`; `None`: it did not.
fn issues(bytes: &[u8], id: &SpiffeId) -> Option<Vec<SystemTime>> {
    let (head, lines) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let (count, whose) = head.strip_prefix("countersign issues 1 ")?.split_once(' ')?;
    let moment = |line: &str| UNIX_EPOCH.checked_add(Duration::from_secs(line.parse().ok()?));
    let issues: Vec<SystemTime> = lines.lines().map(moment).collect::<Option<_>>()?;
    (whose == id.as_str() && count.parse() == Ok(issues.len())).then_some(issues)
}

#[cfg(all(test, feature = "testing"))]
mod tests;
