//! Looks for a record, and on the way for what is known where there is none.

use crate::audit::DecisionId;
use crate::audit::query::{Extract, Field, Filter, Got, Scan, moment};
use crate::audit::read::{Input, Piece, Place, ReadError};
use crate::cli::Outcome;
use crate::cli::audit::walk::say_foreign;
use memchr::memmem::Finder;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

/// Counts that may hold one decision; more are as good as none.
const MOST: usize = 20;
/// An id has the milliseconds of its time alone.
const GRAIN: Duration = Duration::from_millis(1);

/// What was found.
pub(super) enum Found {
    /// Its record, and where.
    Record(Place, String),
    /// Something else.
    Clues(Clues),
}

/// What may tell of a decision without a record.
#[derive(Debug, Default)]
pub(super) struct Clues {
    /// The start of a sidecar that gave the id: its boot and its workload.
    pub(super) boot: Option<(String, String)>,
    /// What counts the denials, or the allows, of that moment.
    pub(super) counts: Vec<Counted>,
}

/// A record that counts others.
#[derive(Debug)]
pub(super) struct Counted {
    /// Of [`COLUMNS`], in their order.
    pub(super) values: Vec<String>,
    pub(super) is_denials: bool,
}

/// What is shown of a count.
pub(super) const COLUMNS: [&str; 9] = ["id", "count", "reason", "rule", "src.id", "http.method", "first", "last", "cause"];

impl Clues {
    /// It was denied where denials of that moment are counted; otherwise nothing is known.
    pub(super) fn outcome(&self) -> Outcome {
        if self.counts.iter().any(|count| count.is_denials) { Outcome::Findings } else { Outcome::Unusable }
    }
}

/// Looks through the inputs, the newest first, until the record is found.
pub(super) fn search(id: DecisionId, inputs: &[Input]) -> Result<Found, ReadError> {
    let mut hunt = Hunt::new(id);
    for input in inputs.iter().rev() {
        let mut reader = input.open()?;
        let mut is_first = true;
        while let Some(piece) = reader.next()? {
            if std::mem::take(&mut is_first) {
                say_foreign(input, &piece);
            }
            let found = match piece {
                Piece::Lines(lines) => hunt.lines(lines.bytes),
                Piece::Torn { bytes, .. } => hunt.lines(&[bytes, b"\n"].concat()),
                Piece::TooLong { .. } => None,
            };
            if let Some(line) = found {
                return Ok(Found::Record(input.place.clone(), line));
            }
        }
    }
    Ok(Found::Clues(hunt.clues))
}

struct Hunt {
    at: SystemTime,
    boot_end: String,
    needle: Finder<'static>,
    id: Extract,
    text: String,
    boots: Scan,
    counts: Scan,
    clues: Clues,
}

fn fields(names: &[&str]) -> Vec<Field> {
    names.iter().filter_map(|name| Field::named(name)).collect()
}

fn scan(filter: &str, columns: &[&str]) -> Scan {
    // Ours, and read by a test: it has no mistake.
    let filter = Filter::parse(filter, SystemTime::UNIX_EPOCH).unwrap_or_else(|_| Filter::everything());
    Scan::new(filter, &fields(columns))
}

impl Hunt {
    fn new(id: DecisionId) -> Self {
        let text = id.to_string();
        Self {
            at: id.at(),
            boot_end: id.boot_end(),
            needle: Finder::new(&text).into_owned(),
            id: Extract::new(&fields(&["id", "kind"])),
            text,
            boots: scan("has workload", &["boot", "workload"]),
            counts: scan("kind in (aggregate, gap) and has count", &[&["boot", "kind"], &COLUMNS[..]].concat()),
            clues: Clues::default(),
        }
    }

    /// The record, where it is among these lines.
    fn lines(&mut self, lines: &[u8]) -> Option<String> {
        self.record(lines).or_else(|| {
            self.note(lines);
            None
        })
    }

    fn record(&self, lines: &[u8]) -> Option<String> {
        let mut values = Vec::new();
        self.needle.find_iter(lines).find_map(|at| {
            let start = memchr::memrchr(b'\n', lines.get(..at)?).map_or(0, |newline| newline + 1);
            let line = lines.get(start..at + memchr::memchr(b'\n', lines.get(at..)?)?)?;
            self.id.read(line, &mut values)?;
            // A path may hold the letters of an id, and an aggregate has one of its own.
            let is_it = matches!(values.as_slice(), [Got::Text(id), Got::Text(kind)] if **id == *self.text && matches!(&**kind, "decision" | "handshake" | "aggregate"));
            is_it.then(|| String::from_utf8_lossy(line).into_owned())
        })
    }

    fn note(&mut self, lines: &[u8]) {
        let Self { clues, boot_end, at, .. } = self;
        let _ = self.boots.lines(lines, |hit| {
            if let [Got::Text(boot), Got::Text(workload)] = hit.values
                && boot.ends_with(&**boot_end)
            {
                clues.boot = Some((boot.clone().into_owned(), workload.clone().into_owned()));
            }
            ControlFlow::Continue(())
        });
        let _ = self.counts.lines(lines, |hit| {
            if let [Got::Text(boot), Got::Text(kind), values @ ..] = hit.values
                && boot.ends_with(&**boot_end)
                && clues.counts.len() < MOST
            {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                if let [.., first, last, _] = values.as_slice()
                    && let (Some(first), Some(last)) = (moment(first, SystemTime::UNIX_EPOCH), moment(last, SystemTime::UNIX_EPOCH))
                    && first <= *at + GRAIN
                    && *at <= last
                {
                    clues.counts.push(Counted { is_denials: kind == "aggregate", values });
                }
            }
            ControlFlow::Continue(())
        });
    }
}
