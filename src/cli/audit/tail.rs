//! `countersign audit tail`: the log as it is written.

use super::source::LogSource;
use super::walk::complain;
use super::write::{Out, visible};
use crate::admin::client;
use crate::audit::query::{Filter, Scan};
use crate::audit::read::{Input, Piece, Place, Reader, inputs};
use crate::cli::Outcome;
use crate::cli::control::answered;
use crate::cli::readable;
use crate::cli::terminal::Style;
use anyhow::{Context as _, bail};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// From one look at a file that has nothing new to the next.
const LOOK: Duration = Duration::from_millis(100);

/// What a line of the control socket begins with that stands for records which came too fast.
const LEFT_OUT: &[u8] = b"{\"left_out\":";

/// What `audit tail` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which records, as `audit query` has them
    #[arg(long, value_name = "FILTER", default_value = "")]
    filter: String,
    #[command(flatten)]
    log: LogSource,
    /// The control socket of a sidecar, whose records are shown as they come; default where its configuration has no [audit] dir
    #[arg(long, value_name = "PATH", conflicts_with = "paths")]
    socket: Option<PathBuf>,
    /// How many records of the files are shown first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    lines: usize,
    /// Shows the records that are there, and ends
    #[arg(long)]
    no_follow: bool,
    /// Prints the records as they are
    #[arg(long)]
    json: bool,
}

/// Shows records until somebody ends it.
///
/// # Errors
/// The filter cannot be read, there is no log, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let filter = Filter::parse(&args.filter, SystemTime::now())?;
    let mut show = Show {
        scan: Scan::new(filter, &[]),
        reader: readable::Reader::default(),
        style: if args.json { None } else { Some(Style::of_stdout()) },
        waiting: VecDeque::new(),
        most: args.lines,
        is_live: false,
        out: Out::new(),
    };
    let socket = match &args.socket {
        Some(socket) => Some(socket.clone()),
        None => args.log.socket(),
    };
    let result = match socket {
        Some(_) if args.no_follow => bail!("--no-follow needs files: over the control socket there is nothing but what is still to come"),
        Some(socket) => from_socket(&socket, &mut show),
        None => from_files(args, &mut show),
    };
    complain(show.scan.unreadable());
    result?;
    show.out.end(Outcome::Fine)
}

/// What is shown of lines.
struct Show {
    scan: Scan,
    reader: readable::Reader,
    /// How; `None` as they are.
    style: Option<Style>,
    /// The last ones of what was there at the beginning.
    waiting: VecDeque<String>,
    most: usize,
    is_live: bool,
    out: Out,
}

impl Show {
    fn lines(&mut self, lines: &[u8]) -> ControlFlow<()> {
        let Self { scan, reader, style, waiting, most, is_live, out } = self;
        scan.lines(lines, |hit| {
            let text = match style {
                None => Some(String::from_utf8_lossy(&visible(hit.line)).into_owned()),
                Some(style) => reader.readable(&String::from_utf8_lossy(hit.line), *style),
            };
            let Some(text) = text else { return ControlFlow::Continue(()) };
            if *is_live {
                return out.write_now(format!("{text}\n").as_bytes());
            }
            waiting.push_back(text);
            if waiting.len() > *most {
                waiting.pop_front();
            }
            ControlFlow::Continue(())
        })
    }

    /// Shows a line that is no record.
    fn line(&mut self, line: &[u8]) -> ControlFlow<()> {
        let line = String::from_utf8_lossy(line);
        let text = match self.style {
            None => Some(line.into_owned()),
            Some(style) => self.reader.readable(&line, style),
        };
        text.map_or(ControlFlow::Continue(()), |text| self.out.write_now(format!("{text}\n").as_bytes()))
    }

    fn piece(&mut self, piece: &Piece<'_>) -> ControlFlow<()> {
        match piece {
            Piece::Lines(lines) => self.lines(lines.bytes),
            Piece::Torn { bytes, .. } => self.lines(&[bytes, b"\n".as_slice()].concat()),
            Piece::TooLong { .. } => ControlFlow::Continue(()),
        }
    }

    /// What was there is read: shows the last of it, and from now on everything.
    fn go_live(&mut self) -> ControlFlow<()> {
        self.is_live = true;
        for text in std::mem::take(&mut self.waiting) {
            self.out.write_now(format!("{text}\n").as_bytes())?;
        }
        ControlFlow::Continue(())
    }
}

fn from_socket(socket: &Path, show: &mut Show) -> anyhow::Result<()> {
    let stream = answered(client::stream(socket, "/audit/tail"))?;
    let _ = show.go_live();
    let mut reader = Reader::new(socket.display().to_string(), stream)?;
    while let Some(piece) = reader.next()? {
        let Piece::Lines(lines) = piece else { continue };
        for (_, line) in lines.iter() {
            // The sidecar's word that it left some out is no record, and for whatever filter.
            let flow = if line.starts_with(LEFT_OUT) { show.line(line) } else { show.lines(&[line, b"\n"].concat()) };
            if flow.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn from_files(args: &Args, show: &mut Show) -> anyhow::Result<()> {
    let directory = args.log.directory();
    let mut files: VecDeque<Input> = args.log.inputs()?.into();
    // What is shown of the past is in the last file, unless that has just begun; standard input is read as it comes.
    if let Some(newest) = files.len().checked_sub(2) {
        files.drain(..newest);
    }
    let is_stream = files.front().is_some_and(|file| file.place == Place::Stdin);
    if is_stream && show.go_live().is_break() {
        return Ok(());
    }
    while let Some(file) = files.pop_front() {
        let mut reader = file.open()?;
        loop {
            let follows = files.is_empty() && !is_stream && !args.no_follow;
            let piece = if follows { reader.next_whole()? } else { reader.next()? };
            match piece {
                Some(piece) if show.piece(&piece).is_break() => return Ok(()),
                Some(_) => {}
                None if !follows => break,
                None => {
                    if !show.is_live && show.go_live().is_break() {
                        return Ok(());
                    }
                    files = newer(directory.as_deref(), &file)?;
                    if files.is_empty() {
                        crate::cli::pause(LOOK);
                    }
                }
            }
        }
    }
    let _ = show.go_live();
    Ok(())
}

/// The files of the directory that come after this one.
fn newer(directory: Option<&Path>, file: &Input) -> anyhow::Result<VecDeque<Input>> {
    let Some(directory) = directory else { return Ok(VecDeque::new()) };
    let all = inputs(&[directory.to_owned()]).context("looking for the next file")?;
    Ok(all.into_iter().filter(|other| other.comes_after(file)).collect())
}
