//! `countersign policy usage`: how often each rule decided, as a running sidecar counts it.

use crate::admin::client;
use crate::cli::Outcome;
use crate::cli::control::{ControlSocket, answered};
use anyhow::Context as _;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of an answer, as many as a file of counts may have.
const MAX_ANSWER: u64 = 256 << 20;

/// What `policy usage` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    control: ControlSocket,
}

/// Prints the counts as they would stand in the file: to be collected, and given to `policy unused`.
///
/// # Errors
/// Nobody answers.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    io::copy(&mut ask(&args.control.path()?)?, &mut io::stdout().lock()).context("the answer of the sidecar")?;
    Ok(Outcome::Fine)
}

/// The counts of the sidecar behind a control socket.
///
/// # Errors
/// Nobody answers.
pub(super) fn ask(socket: &Path) -> anyhow::Result<impl Read> {
    Ok(answered(client::stream(socket, "/usage"))?.take(MAX_ANSWER))
}
