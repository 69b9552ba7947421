//! `countersign drain`: asks a running sidecar to end.

use super::Outcome;
use super::control::{ControlSocket, accepted};
use crate::admin::client::{self, ClientError};
use std::path::Path;
use std::time::{Duration, Instant};

/// What `drain` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    control: ControlSocket,
    /// Waits until the sidecar is gone, at most 10 minutes
    #[arg(long)]
    wait: bool,
}

/// From the request to giving up.
const LONGEST: Duration = Duration::from_secs(600);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(100);

/// Asks; with `--wait`, a sidecar that is still there in the end is a finding.
///
/// # Errors
/// Nobody answers.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let socket = args.control.path()?;
    print!("{}", accepted(client::post(&socket, "/drain", ""))?);
    if !args.wait {
        return Ok(Outcome::Fine);
    }
    if gone(&socket, LONGEST) {
        println!("gone");
        return Ok(Outcome::Fine);
    }
    eprintln!("countersign: the sidecar still answers after {} s", LONGEST.as_secs());
    Ok(Outcome::Findings)
}

/// Waits until nobody answers on the socket.
fn gone(socket: &Path, longest: Duration) -> bool {
    let end = Instant::now() + longest;
    loop {
        match client::get(socket, "/status") {
            Err(ClientError::Connect(..)) => return true,
            _ if Instant::now() >= end => return false,
            // A process that ends may cut an answer short; the next look shows whether it is gone.
            _ => super::pause(LOOK),
        }
    }
}
