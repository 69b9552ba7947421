//! Where counts come from.

use crate::cli::policy::given::{Given, TableSource};
use crate::cli::policy::usage::ask;
use crate::policy::usage::{self, Fleet};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of a directory that are united.
const REPLICAS: usize = 10_000;

/// Which counts; without any those of the configuration.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Counts {
    /// A file of counts, as state/usage.json beside the decision log, or - for standard input; may be given several times.
    /// Without it, --merge and --socket: that of the configuration, or where it has no directory for the log, the running sidecar's
    #[arg(long, value_name = "FILE")]
    usage: Vec<PathBuf>,
    /// A directory with the files of many replicas, each called *.json; what they say is added up
    #[arg(long, value_name = "DIR")]
    merge: Vec<PathBuf>,
    /// Asks the running sidecar behind this control socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Counts {
    /// Reads all of them.
    ///
    /// # Errors
    /// One cannot be used; none is left out.
    pub(super) fn read(&self, source: &TableSource, given: &Given) -> anyhow::Result<Fleet> {
        let mut fleet = Fleet::default();
        for file in &self.usage {
            add(&mut fleet, file)?;
        }
        for directory in &self.merge {
            for file in replicas(directory).with_context(|| format!("--merge {}", directory.display()))? {
                add(&mut fleet, &file)?;
            }
        }
        if let Some(socket) = &self.socket {
            live(&mut fleet, socket)?;
        }
        if self.usage.is_empty() && self.merge.is_empty() && self.socket.is_none() {
            match (&given.log, source.socket()) {
                (Some(log), _) => add(&mut fleet, &usage::file(log))?,
                (None, Some(socket)) => live(&mut fleet, &socket)?,
                (None, None) => bail!("a table alone counts nothing; give --usage, --merge or --socket"),
            }
        }
        Ok(fleet)
    }
}

fn add(fleet: &mut Fleet, file: &Path) -> anyhow::Result<()> {
    let read = if file.as_os_str() == "-" { usage::read_from(std::io::stdin().lock()) } else { usage::read(file) };
    fleet.add(read.with_context(|| file.display().to_string())?);
    Ok(())
}

fn live(fleet: &mut Fleet, socket: &Path) -> anyhow::Result<()> {
    fleet.add(usage::read_from(ask(socket)?).with_context(|| format!("what {} answers", socket.display()))?);
    Ok(())
}

/// The files of a directory, in the order of their names.
fn replicas(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
        if files.len() > REPLICAS {
            bail!("has more than {REPLICAS} files");
        }
    }
    if files.is_empty() {
        bail!("has no file that is called *.json");
    }
    files.sort_unstable();
    Ok(files)
}
