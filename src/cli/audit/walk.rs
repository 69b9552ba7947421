//! Walks through a log, says what was wrong with it, and how far it is.

use crate::audit::read::{Input, Piece, ReadError};
use crate::cli::Outcome;
use crate::cli::terminal::printable;
use memchr::memmem;
use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// From the beginning to the bar: what is quick needs none.
const PATIENCE: Duration = Duration::from_secs(1);
/// From one bar to the next.
const REDRAW: Duration = Duration::from_millis(100);
/// Letters of a whole bar.
const WIDTH: u64 = 30;

/// Gives all lines of the inputs to `lines`, many at once, until that says that it is enough. What cannot be read is said, and the rest is read.
pub(super) fn walk(inputs: &[Input], mut bar: Bar, mut lines: impl FnMut(&[u8]) -> ControlFlow<()>) -> Outcome {
    let mut outcome = Outcome::Fine;
    for input in inputs {
        match one(input, &mut bar, &mut lines) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => {
                bar.clear();
                eprintln!("countersign: {}", printable(&error.to_string()));
                outcome = Outcome::Unusable;
            }
        }
    }
    bar.clear();
    outcome
}

fn one(input: &Input, bar: &mut Bar, lines: &mut impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<ControlFlow<()>, ReadError> {
    let mut reader = input.open()?;
    let taken = reader.taken();
    let mut is_first = true;
    while let Some(piece) = reader.next()? {
        if std::mem::take(&mut is_first) {
            say_foreign(input, &piece);
        }
        let flow = match piece {
            Piece::Lines(many) => lines(many.bytes),
            // It may be whole but for its newline.
            Piece::Torn { bytes, .. } => lines(&[bytes, b"\n"].concat()),
            Piece::TooLong { number, length } => {
                bar.clear();
                eprintln!("countersign: {}, line {number}: passed over, it has {length} bytes", printable(&input.name()));
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            return Ok(flow);
        }
        bar.draw(taken.load(Ordering::Relaxed));
    }
    bar.file_done(taken.load(Ordering::Relaxed));
    Ok(ControlFlow::Continue(()))
}

/// Says so where a file is in OCSF: no filter would find anything in it, and nobody would know why.
pub(super) fn say_foreign(input: &Input, first: &Piece<'_>) {
    let Piece::Lines(lines) = first else { return };
    let is_ocsf = |line: &[u8]| memmem::find(line, b"\"class_uid\":").is_some() && memmem::find(line, b"\"unmapped\":").is_some();
    if lines.iter().next().is_some_and(|(_, line)| is_ocsf(line)) {
        eprintln!("countersign: {} is in OCSF, and filters name the fields of Countersign's own format", printable(&input.name()));
    }
}

/// Says how many lines were no JSON: the end of a file that was being written, or somebody else's text.
pub(super) fn complain(unreadable: u64) {
    if unreadable > 0 {
        eprintln!("countersign: passed over {unreadable} lines that are no JSON");
    }
}

/// How far it is, on standard error.
pub(in crate::cli) struct Bar {
    /// All bytes; `None` where nobody would see it, or where it is not known.
    total: Option<u64>,
    done: u64,
    begun: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar, where standard error is a terminal that nothing else is printed on meanwhile.
    pub(in crate::cli) fn new(inputs: &[Input], prints_meanwhile: bool) -> Self {
        let in_the_way = prints_meanwhile && std::io::stdout().is_terminal();
        let total = inputs.iter().map(|input| input.size).sum::<Option<u64>>();
        let total = total.filter(|total| *total > 0 && !in_the_way && std::io::stderr().is_terminal());
        Self { total, done: 0, begun: Instant::now(), drawn: None }
    }

    /// Shows that so many bytes of this input are taken.
    pub(in crate::cli) fn draw(&mut self, taken: u64) {
        let Some(total) = self.total else { return };
        if self.begun.elapsed() < PATIENCE || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        eprint!("\r{}", text(self.done + taken, total, self.begun.elapsed()));
        let _ = std::io::stderr().flush();
    }

    /// Goes on to the next input.
    pub(in crate::cli) fn file_done(&mut self, taken: u64) {
        self.done += taken;
    }

    /// Takes it away, before something else is said.
    pub(in crate::cli) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\u{1b}[K");
        }
    }
}

fn text(done: u64, total: u64, since: Duration) -> String {
    let part = |of: u64| of * done.min(total) / total.max(1);
    let full = part(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
    format!("[{bar}] {:>3} %  {:.1} GB, {:.0} MB/s ", part(100), total as f64 / 1e9, done as f64 / 1e6 / since.as_secs_f64().max(0.001))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_how_far_it_is() {
        let second = Duration::from_secs(1);
        assert_eq!(text(500_000_000, 2_000_000_000, second), "[#######.......................]  25 %  2.0 GB, 500 MB/s ");
        assert!(text(3, 2, second).starts_with("[##############################] 100 %"));
        assert!(text(0, 0, Duration::ZERO).contains("   0 %"));
    }
}
