//! Which log, and what of it.

use crate::audit::Sink;
use crate::audit::query::{Field, Filter, moment, near_field};
use crate::audit::read::{Input, inputs};
use crate::cli::ConfigSource;
use crate::config::{self, Survey};
use anyhow::{Context as _, anyhow, bail};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// Which log.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LogSource {
    /// The decision log: files, directories, or - for standard input, plain or compressed with Zstandard. Default: that of the configuration, or standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigSource,
}

/// When.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct When {
    /// Only what was decided then or later: a time as in 2026-07-01T12:00:00Z, or an age as in 15m
    #[arg(long, value_name = "TIME", value_parser = at)]
    since: Option<SystemTime>,
    /// Only what was decided before
    #[arg(long, value_name = "TIME", value_parser = at)]
    until: Option<SystemTime>,
}

fn at(text: &str) -> Result<SystemTime, String> {
    moment(text, SystemTime::now())
        .ok_or_else(|| "write a time as in 2026-07-01T12:00:00Z, or an age as in 30s, 15m, 2h, 7d or 4w".to_owned())
}

impl When {
    /// Reads a filter and bounds it.
    pub(super) fn filter(&self, text: &str) -> anyhow::Result<Filter> {
        Ok(Filter::parse(text, SystemTime::now())?.between(self.since, self.until))
    }
}

impl LogSource {
    /// The streams to read, in order.
    ///
    /// # Errors
    /// Something is not there, or nothing is named anywhere.
    pub(super) fn inputs(&self) -> anyhow::Result<Vec<Input>> {
        if !self.paths.is_empty() {
            return Ok(inputs(&self.paths)?);
        }
        if let Some(directory) = self.configured() {
            return inputs(&[directory]).context("the log of the configuration");
        }
        if std::io::stdin().is_terminal() {
            bail!("which log? Give files or directories, a --config with [audit] dir, or a log on standard input");
        }
        Ok(inputs(&[PathBuf::from("-")])?)
    }

    /// The one directory that is read, if it is one: its files are followed by others.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        match self.paths.as_slice() {
            [] => self.configured(),
            [path] => Some(path.clone()).filter(|path| path.is_dir()),
            _ => None,
        }
    }

    /// The control socket of the configuration, where its log is on standard output.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let Survey { loaded, .. } = config::survey_source(&self.config.config);
        let config = loaded.ok().filter(|_| self.paths.is_empty())?.config;
        (config.audit.sink == Sink::Stdout).then_some(config.admin.socket)
    }

    /// The directory of the configuration's log.
    pub(super) fn configured(&self) -> Option<PathBuf> {
        let Survey { loaded, .. } = config::survey_source(&self.config.config);
        match loaded.ok()?.config.audit.sink {
            Sink::File(directory) => Some(directory),
            Sink::Stdout | Sink::None => None,
        }
    }
}

/// Reads names of fields with commas between them.
///
/// # Errors
/// There is no such field.
pub(super) fn fields(text: &str) -> anyhow::Result<Vec<Field>> {
    let one = |name: &str| {
        let hint = || near_field(name).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        Field::named(name).ok_or_else(|| anyhow!("there is no field {name:?}{}", hint()))
    };
    text.split(',').map(|name| one(name.trim())).collect()
}
