//! The records of a log, for those who ask the rules about all of them. A log that cannot be fully read is not guessed at.

use crate::audit::ocsf;
use crate::audit::read::{Input, Lines, Piece, ReadError, inputs};
use crate::cli::audit::walk::Bar;
use crate::cli::terminal::printable;
use crate::policy::record::{Line, RecordError, SCHEMA};

use memchr::memmem;
use serde::de::IgnoredAny;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Lines that are named one by one; of further ones only the number.
const NAMED: usize = 10;

/// Which log.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Log {
    /// Decision logs: files, directories, or - for standard input, plain or compressed with Zstandard
    #[arg(value_name = "LOG", required = true)]
    paths: Vec<PathBuf>,
    /// Passes over what cannot be read, instead of refusing the log for it
    #[arg(long)]
    skip_bad: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Records, whatever they are about.
    pub(super) records: u64,
    /// Lines that something else wrote between the records, such as metrics.
    pub(super) foreign: u64,
    /// Lines that cannot be read.
    pub(super) bad: u64,
    /// The first of them, and inputs that cannot be read to their ends.
    named: Vec<String>,
}

impl Log {
    /// Gives each record to `record`; says what cannot be read. `None`: the log is refused for it.
    ///
    /// # Errors
    /// A log is not there, or not in our own format.
    pub(super) fn each(&self, mut record: impl FnMut(&Line<'_>) -> Result<(), RecordError>) -> anyhow::Result<Option<Read>> {
        let inputs = inputs(&self.paths)?;
        let mut bar = Bar::new(&inputs, false);
        let mut read = Read::default();
        for input in &inputs {
            match read.input(input, &mut bar, &mut record) {
                Err(Failure::Read(error @ ReadError::Read { .. })) => read.note(printable(&error.to_string())),
                outcome => {
                    outcome.inspect_err(|_| bar.clear())?;
                }
            }
        }
        bar.clear();
        Ok((read.said() || self.skip_bad).then_some(read))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0} is in OCSF, which is made for other tools: give the log that it was exported from, in Countersign's own format")]
    Ocsf(String),
}

impl Read {
    fn input(
        &mut self,
        input: &Input,
        bar: &mut Bar,
        record: &mut impl FnMut(&Line<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Failure> {
        let mut reader = input.open()?;
        let taken = reader.taken();
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Lines(lines) => self.lines(input, lines, record)?,
                // It may be whole but for its newline.
                Piece::Torn { number, bytes } => self.line(input, number, bytes, record)?,
                Piece::TooLong { number, length } => {
                    self.bad_line(input, number, &format!("has {length} bytes, more than any record"));
                }
            }
            bar.draw(taken.load(Ordering::Relaxed));
        }
        bar.file_done(taken.load(Ordering::Relaxed));
        Ok(())
    }

    fn lines(
        &mut self,
        input: &Input,
        lines: Lines<'_>,
        record: &mut impl FnMut(&Line<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Failure> {
        for (number, line) in lines.iter() {
            self.line(input, number, line, record)?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        input: &Input,
        number: u64,
        bytes: &[u8],
        record: &mut impl FnMut(&Line<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Failure> {
        match Line::read(bytes) {
            Ok(line) if line.is_record() => match record(&line) {
                Ok(()) => self.records += 1,
                Err(error) => self.bad_line(input, number, &error.to_string()),
            },
            Ok(_) => self.foreign(input, bytes)?,
            Err(_) if bytes.trim_ascii().is_empty() => {}
            Err(_) if is_foreign(bytes) => self.foreign(input, bytes)?,
            Err(error) => self.bad_line(input, number, &error.to_string()),
        }
        Ok(())
    }

    fn foreign(&mut self, input: &Input, bytes: &[u8]) -> Result<(), Failure> {
        if is_event(bytes) {
            return Err(Failure::Ocsf(printable(&input.name())));
        }
        self.foreign += 1;
        Ok(())
    }

    fn bad_line(&mut self, input: &Input, number: u64, what: &str) {
        self.note(format!("{}, line {number} {}", printable(&input.name()), printable(what)));
    }

    fn note(&mut self, what: String) {
        self.bad += 1;
        if self.named.len() < NAMED {
            self.named.push(what);
        }
    }

    /// Says what cannot be read; whether that is nothing.
    fn said(&self) -> bool {
        self.named.iter().for_each(|bad| eprintln!("countersign: {bad}"));
        if self.bad > self.named.len() as u64 {
            eprintln!("countersign: and {} more that cannot be read", self.bad - self.named.len() as u64);
        }
        if self.bad > 0 {
            eprintln!("countersign: {} lines of {} cannot be read; --skip-bad goes on without them", self.bad, self.bad + self.records);
        }
        self.bad == 0
    }
}

/// Whether it is JSON of something else, which may have the names of our fields for other things.
fn is_foreign(bytes: &[u8]) -> bool {
    let is_ours = memmem::find(bytes, SCHEMA.as_bytes()).is_some() && !is_event(bytes);
    !is_ours && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn is_event(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(ocsf::is_event)
}
