//! `countersign policy promote`: the candidate becomes the table that is enforced.

use crate::admin::client;
use crate::cli::Outcome;
use crate::cli::control::{ControlSocket, accepted};

/// What `policy promote` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    control: ControlSocket,
}

/// Asks a running sidecar, and prints what it says.
///
/// # Errors
/// Nobody answers, or there is nothing to promote.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    print!("{}", accepted(client::post(&args.control.path()?, "/policy/promote", ""))?);
    Ok(Outcome::Fine)
}
