//! `countersign audit export`: records for other tools.

use crate::audit::ocsf::{self, NotARecord};
use crate::audit::read::{Input, Piece, inputs};
use crate::cli::Outcome;
use anyhow::Context as _;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

/// Lines that are named one by one; of further ones only the number.
const NAMED: u64 = 10;

const NOTES: &str = "An export is a copy to look things up in. What is checked by `audit verify` is the log itself; each event has the place of its record \
    there in unmapped: boot, seq, and its chain value as source_chain.\n\nExit codes: 0 everything was exported, 1 some lines are no records, 2 a log that \
    cannot be read.";

/// What `export` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = NOTES)]
pub struct Args {
    /// As events of the Open Cybersecurity Schema Framework, version 1.8.0
    #[arg(long, required = true)]
    ocsf: bool,
    /// Logs: files, directories, or - for standard input
    #[arg(value_name = "PATH", default_value = "-")]
    paths: Vec<PathBuf>,
}

/// Prints an event for each record.
///
/// # Errors
/// A log cannot be read, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut export = Export { out: io::stdout().lock(), event: Vec::new(), unusable: 0, foreign: 0 };
    for input in inputs(&args.paths)? {
        match export.input(&input) {
            // `| head` has seen enough.
            Err(Failure::Print(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(Outcome::Fine),
            Err(Failure::Print(error)) => return Err(error).context("standard output cannot be written"),
            Err(Failure::Read(error)) => return Err(error.into()),
            Ok(()) => {}
        }
    }
    Ok(export.finish())
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Read(#[from] crate::audit::read::ReadError),
    #[error(transparent)]
    Print(#[from] io::Error),
}

/// An export on its way.
struct Export<W> {
    out: W,
    event: Vec<u8>,
    /// Lines that are nothing.
    unusable: u64,
    /// Lines that something else wrote between the records, such as metrics.
    foreign: u64,
}

impl<W: Write> Export<W> {
    fn input(&mut self, input: &Input) -> Result<(), Failure> {
        let mut reader = input.open()?;
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Lines(lines) => {
                    for (number, line) in lines.iter() {
                        self.line(line, |reason| format!("line {number} of {} {reason}", input.name()));
                    }
                    self.out.write_all(&self.event)?;
                    self.event.clear();
                }
                Piece::TooLong { number, length } => {
                    self.leave_out(&format!("line {number} of {} has {length} bytes, more than any record", input.name()));
                }
                // Of a running sidecar the rest comes, of a killed one it does not; either way it is no record.
                Piece::Torn { number, .. } => {
                    self.leave_out(&format!("line {number} of {} has no end: it is being written, or its writer was killed", input.name()));
                }
            }
        }
        Ok(self.out.flush()?)
    }

    fn line(&mut self, line: &[u8], name: impl Fn(&str) -> String) {
        let Ok(text) = std::str::from_utf8(line) else { return self.leave_out(&name("is no UTF-8")) };
        // A log that was written as events is exported already.
        if ocsf::is_event(text) {
            self.event.extend_from_slice(line);
            self.event.push(b'\n');
            return;
        }
        match ocsf::exported(text, &mut self.event) {
            Ok(()) => {}
            Err(NotARecord::Foreign) => self.foreign += 1,
            Err(NotARecord::NoObject) if text.trim().is_empty() => {}
            Err(error @ NotARecord::NoObject) => self.leave_out(&name(&error.to_string())),
        }
    }

    fn leave_out(&mut self, what: &str) {
        self.unusable += 1;
        if self.unusable <= NAMED {
            eprintln!("countersign: {what}");
        }
    }

    fn finish(self) -> Outcome {
        if self.unusable > NAMED {
            eprintln!("countersign: {} further lines are no records", self.unusable - NAMED);
        }
        if self.foreign > 0 {
            eprintln!("countersign: {} lines of something else were left out", self.foreign);
        }
        if self.unusable > 0 { Outcome::Findings } else { Outcome::Fine }
    }
}
