//! A disk of the soak's own, which it can fill: a tmpfs that no other process sees.

use crate::load::Sidecar;
use crate::mixed::Mixed;
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Where the process that has mounts of its own finds its disk.
const VARIABLE: &str = "SOAK_AUDIT_DISK";

/// Room for the log of the longest soak, uncompressed.
const SIZE: &str = "2g";

/// From one look at the load to the next.
const LOOK: Duration = Duration::from_millis(5);

/// Runs this very program with mounts of its own and a disk there; `None` for the process that has them. Where only root can mount, others are told so and
/// nothing is run.
pub fn inside_of_own_mounts() -> Option<ExitCode> {
    if std::env::var_os(VARIABLE).is_some() {
        return None;
    }
    Some(match run_inside() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("soak-audit: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run_inside() -> anyhow::Result<ExitCode> {
    let directory = tempfile::tempdir()?;
    let inside = |then: &str| {
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let script = format!("mount -t tmpfs -o size={SIZE} none \"${VARIABLE}\" && {then}");
        unshare.args(["--mount", "sh", "-c", &script, "sh"]).env(VARIABLE, directory.path());
        unshare
    };
    if !inside("true").status().context("unshare, of util-linux")?.success() {
        anyhow::ensure!(!rustix::process::geteuid().is_root(), "root cannot mount a tmpfs here");
        eprintln!("soak-audit: SKIPPED: only root can mount the disk that it fills");
        return Ok(ExitCode::SUCCESS);
    }
    let status = inside("exec \"$@\"").arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The disk.
pub struct Disk(PathBuf);

impl Disk {
    /// The one that this process was given.
    ///
    /// # Errors
    /// It was given none.
    pub fn mounted() -> anyhow::Result<Self> {
        std::env::var_os(VARIABLE).map(|path| Self(path.into())).context("no disk")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the log is.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Forgets the log so far.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn empty(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.log()).context("the log so far")
    }

    /// Leaves no byte from a quarter of the load on until allows are lost, or nine tenths of it are through; says how many were lost.
    ///
    /// # Errors
    /// It cannot be filled, or the metrics cannot be read.
    pub async fn full_for_a_while(&self, sidecar: &Sidecar, mixed: &Mixed) -> anyhow::Result<f64> {
        while mixed.progress() < 0.25 {
            tokio::time::sleep(LOOK).await;
        }
        let filler = self.fill()?;
        let mut lost = 0.0;
        while mixed.progress() < 0.9 && lost < 1_000.0 {
            tokio::time::sleep(LOOK).await;
            lost = sidecar.metric("countersign_audit_lost_total", "").await?;
        }
        fs::remove_file(filler)?;
        anyhow::ensure!(lost > 0.0, "the disk was full and nothing was lost: it was no fault, or SOAK_REQUESTS is too small");
        sidecar.metric("countersign_audit_lost_total", "").await
    }

    fn fill(&self) -> anyhow::Result<PathBuf> {
        let path = self.0.join("filler");
        let mut file = File::create(&path)?;
        for size in [1 << 20, 1 << 12, 1] {
            loop {
                match file.write(&vec![0; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(path)
    }
}
