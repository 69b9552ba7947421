//! Rows on standard output, in one of three shapes. A reader that goes away ends it quietly.

use super::Format;
use crate::cli::Outcome;
use crate::cli::terminal::printable;
use std::borrow::Cow;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write as _};
use std::ops::ControlFlow;

/// Rows of a table that are seen before its columns' widths are set: it goes on while it is read.
const SEEN: usize = 200;
/// The widest column, letters; what is longer moves what follows it.
const WIDEST: usize = 60;

/// Standard output.
pub(super) struct Out {
    stdout: BufWriter<StdoutLock<'static>>,
    /// Rows are to be seen at once.
    is_terminal: bool,
    failed: Option<io::Error>,
}

impl Out {
    pub(super) fn new() -> Self {
        Self { stdout: BufWriter::with_capacity(64 << 10, io::stdout().lock()), is_terminal: io::stdout().is_terminal(), failed: None }
    }

    /// Writes, or says that nobody takes it any more.
    pub(super) fn write(&mut self, text: &[u8]) -> ControlFlow<()> {
        let flushed = |stdout: &mut BufWriter<_>| if self.is_terminal { stdout.flush() } else { Ok(()) };
        match self.stdout.write_all(text).and_then(|()| flushed(&mut self.stdout)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Writes what is to be seen at once.
    pub(super) fn write_now(&mut self, text: &[u8]) -> ControlFlow<()> {
        self.write(text)?;
        match self.stdout.flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// What a command ends with.
    ///
    /// # Errors
    /// Something was not written, and not because the reader had enough.
    pub(super) fn end(mut self, outcome: Outcome) -> anyhow::Result<Outcome> {
        let result = self.failed.map_or_else(|| self.stdout.flush(), Err);
        match result {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(anyhow::Error::new(error).context("standard output")),
            _ => Ok(outcome),
        }
    }
}

/// Rows with a head.
pub(super) struct Rows {
    format: Format,
    head: Vec<String>,
    /// Rows of a table that wait for its widths.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    out: Out,
}

impl Rows {
    /// Of these columns. Without a format it is a table on a terminal and JSON elsewhere.
    pub(super) fn new(format: Option<Format>, head: Vec<String>) -> Self {
        let format = format.unwrap_or(if io::stdout().is_terminal() { Format::Table } else { Format::Json });
        let mut rows = Self { format, head, waiting: Vec::new(), widths: None, out: Out::new() };
        if format == Format::Csv {
            let head = csv(&rows.head);
            let _ = rows.out.write(head.as_bytes());
        }
        rows
    }

    /// Writes one; `json` is its line where that is wanted.
    pub(super) fn row(&mut self, values: impl FnOnce() -> Vec<String>, json: impl FnOnce() -> Vec<u8>) -> ControlFlow<()> {
        match self.format {
            Format::Json => {
                let line = json();
                self.out.write(&visible(&line))?;
                self.out.write(b"\n")
            }
            Format::Csv => self.out.write(csv(&values()).as_bytes()),
            Format::Table => {
                let row = values().iter().map(|value| printable(value)).collect();
                self.waiting.push(row);
                if self.widths.is_some() || self.waiting.len() == SEEN { self.table() } else { ControlFlow::Continue(()) }
            }
        }
    }

    fn table(&mut self) -> ControlFlow<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut text = String::new();
        let widths = self.widths.get_or_insert_with(|| {
            let all = std::iter::once(&self.head).chain(&waiting);
            let mut widths = vec![0; self.head.len()];
            for row in all {
                widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count().min(WIDEST)));
            }
            text = padded(&self.head, &widths);
            widths
        });
        waiting.iter().for_each(|row| text.push_str(&padded(row, widths)));
        self.out.write(text.as_bytes())
    }

    /// Writes what waits; says how it ends.
    ///
    /// # Errors
    /// As [`Out::end`].
    pub(super) fn end(mut self, outcome: Outcome) -> anyhow::Result<Outcome> {
        if self.format == Format::Table && self.out.failed.is_none() {
            let _ = self.table();
        }
        self.out.end(outcome)
    }
}

fn padded(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// One record (RFC 4180). What a spreadsheet would take for a formula has a ' before it.
fn csv(row: &[String]) -> String {
    let cell = |value: &String| {
        let value = printable(value);
        let formula = if value.starts_with(['=', '+', '-', '@']) && value != "-" { "'" } else { "" };
        if value.contains([',', '"']) { format!("\"{formula}{}\"", value.replace('"', "\"\"")) } else { format!("{formula}{value}") }
    };
    format!("{}\r\n", row.iter().map(cell).collect::<Vec<_>>().join(","))
}

/// A line of JSON as it is, but for what a terminal obeys: a record of ours has no such letter, and one that was forged is the same JSON afterwards.
pub(super) fn visible(line: &[u8]) -> Cow<'_, [u8]> {
    let obeyed = |c: char| c.is_control() && c != '\t';
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains(obeyed) => Cow::Borrowed(line),
        _ => {
            let mut text = String::new();
            for letter in String::from_utf8_lossy(line).chars() {
                match letter {
                    // Between values: inside a text JSON has it escaped.
                    '\r' | '\n' => text.push(' '),
                    letter if obeyed(letter) => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
                    letter => text.push(letter),
                }
            }
            Cow::Owned(text.into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_cells() {
        let row: Vec<String> = ["a,b", "say \"x\"", "=1+1", "@x,y", "-", "\u{1b}[2J\r\n"].map(str::to_owned).into();
        assert_eq!(csv(&row), "\"a,b\",\"say \"\"x\"\"\",'=1+1,\"'@x,y\",-,\u{fffd}[2J\u{fffd}\u{fffd}\r\n");
    }

    #[test]
    fn json_stays_the_same_and_steers_nothing() {
        assert!(matches!(visible("{\"a\":\"ü\"}".as_bytes()), Cow::Borrowed(_)));
        let shown = visible("{\"a\":\"\u{9b}2J\u{7f}\"}\r".as_bytes()).into_owned();
        assert_eq!(shown, b"{\"a\":\"\\u009b2J\\u007f\"} ");
        assert!(std::str::from_utf8(&visible(b"{\"a\":\"\xff\x9b\"}")).unwrap().chars().all(|c| !c.is_control()));
    }
}
