//! `countersign dev`: a certificate authority, an app, and a sidecar on either side of it, in one process and without any argument.
//!
//! [`Setup`] writes what `countersign run` would be given, `Pair` starts two real sidecars from it; [`requests`] are the four that a newcomer tries,
//! which [`once`] sends itself, and [`show`] makes decision records readable.

mod app;
mod once;
mod pair;
mod requests;
mod setup;
mod show;
mod tls;
mod traffic;

use super::Outcome;
use super::readable::Reader;
use super::terminal::Style;
use crate::runtime::surroundings;
use crate::telemetry::log;
use anyhow::bail;
use pair::Pair;
use requests::Request;
use setup::{ORDERS, Setup};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use tokio::signal::unix::{SignalKind, signal};

/// What `dev` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Puts your own app behind the sidecar, not the built-in one
    #[arg(long, value_name = "HOST:PORT")]
    app: Option<String>,
    /// Sends the four requests itself, prints what happened, and ends
    #[arg(long)]
    once: bool,
    /// Four callers ask all the time, under a table that is empty and in shadow: a beginning for docs/policy-afternoon.md
    #[arg(long, conflicts_with_all = ["once", "app"])]
    traffic: bool,
    /// Where certificates, configurations, logs and control sockets go
    #[arg(long, default_value = "certs-dev")]
    dir: PathBuf,
    /// The process log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "error", value_parser = log::LEVELS)]
    log: String,
}

/// Decision records that wait for the terminal.
const LINES: usize = 1_024;

/// Runs until Ctrl-C, or through the four requests.
///
/// # Errors
/// Something cannot be made or started; nothing is left running.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if let Some(variable) = surroundings::production() {
        bail!("`countersign dev` is for a laptop, and {variable} says that this is production; `countersign run` is for here");
    }
    let level = log::install(&log::Settings { level: args.log.clone(), format: log::Format::Text })?;
    let interrupts = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let setup = Setup::new(&args.dir, args.app.as_deref(), args.traffic)?;
    setup.write()?;
    let (tap, lines) = sync_channel(LINES);
    let pair = Pair::start(&setup, level, tap)?;
    let (requests, style) = (Request::all(&setup), Style::of_stdout());
    if args.once {
        let outcome = once::run(&setup, &requests, &lines, style)?;
        pair.end();
        println!("{}", once::closing(&setup, style));
        return Ok(outcome);
    }
    print!("{}", show::banner(&setup, &requests, style));
    let traffic = args.traffic.then(|| traffic::start(&setup)).transpose()?;
    let asked = setup.clone();
    let printer = std::thread::Builder::new().name("decisions".into()).spawn(move || print(&lines, &asked, style))?;
    interrupts.block_on(async {
        let (mut interrupt, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = term.recv() => {}
        }
        Ok::<_, std::io::Error>(())
    })?;
    if let Some(traffic) = traffic {
        traffic.shutdown_background();
    }
    pair.end();
    // The sidecars were the only ones that had something to print.
    let _ = printer.join();
    println!("\n{}", show::farewell(&setup, style));
    Ok(Outcome::Fine)
}

fn print(lines: &Receiver<Arc<str>>, setup: &Setup, style: Style) {
    let mut reader = Reader::deciding(ORDERS);
    for line in lines {
        // Fifty allows a second are no news.
        let quiet = setup.traffic && line.contains("\"decision\":\"allow\"");
        if let Some(text) = reader.readable(&line, style).filter(|_| !quiet) {
            println!("{text}");
        }
        if let Some(command) = show::why(&line, setup) {
            println!("{}", style.dim(&format!("          why? {command}")));
        }
    }
}
