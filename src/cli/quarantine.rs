//! `countersign quarantine …`: who is refused for a while, whatever the rules say.

use super::Outcome;
use super::control::{ControlSocket, Document, accepted};
use super::status::show;
use crate::admin::client;
use crate::config;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// What is done with the quarantine of a running sidecar.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows who is in it, until when, and why
    List(Document),
    /// Puts an identity or a certificate in; what they have under way ends
    Add(Add),
    /// Takes one out
    Remove(Remove),
}

/// What `add` is asked for.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// A whole SPIFFE id, a DNS name, or the serial number of a certificate in hex
    subject: String,
    /// For how long, such as 10m; at most 30d. A restart of the sidecar ends it too
    #[arg(long = "for", value_name = "TIME", value_parser = config::duration, default_value = "10m")]
    lasting: Duration,
    /// Why; goes into the decision log
    #[arg(long)]
    cause: String,
    #[command(flatten)]
    control: ControlSocket,
}

/// What `remove` is asked for.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// As it was put in
    subject: String,
    #[command(flatten)]
    control: ControlSocket,
}

/// Asks a running sidecar, and prints what it says.
///
/// # Errors
/// Nobody answers, or what is asked for is refused.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::List(document) => drop(document.print("/quarantine", readable)?),
        Command::Add(Add { subject, lasting, cause, control }) => {
            let body = json!({ "subject": subject, "for_s": lasting.as_secs(), "cause": cause }).to_string();
            print!("{}", accepted(client::post(&control.path()?, "/quarantine", &body))?);
        }
        Command::Remove(Remove { subject, control }) => {
            let body = json!({ "subject": subject }).to_string();
            print!("{}", accepted(client::delete(&control.path()?, "/quarantine", &body))?);
        }
    }
    Ok(Outcome::Fine)
}

/// A line for each entry, the end first.
fn readable(document: &Value) -> String {
    let mut text = String::new();
    for entry in document["entries"].as_array().into_iter().flatten() {
        let holder = entry["holder"].as_str().map(|_| format!(" of {}", show(&entry["holder"]))).unwrap_or_default();
        let [until, kind, subject, by, cause] = ["until", "kind", "subject", "by", "cause"].map(|key| show(&entry[key]));
        // Writing into a String cannot fail.
        let _ = writeln!(text, "until {until}  {kind} {subject}{holder}  by {by}: {cause}");
    }
    if text.is_empty() { "nobody is in quarantine\n".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_listed_and_steer_no_terminal() {
        assert_eq!(readable(&json!({ "entries": [] })), "nobody is in quarantine\n");
        let entries = json!({ "entries": [
            { "subject": "0a1b", "kind": "serial", "holder": "spiffe://d/a", "until": "2026-11-22T10:00:00Z", "cause": "11 paths\u{1b}[2J", "by": "detector:scanning" },
            { "subject": "spiffe://d/b", "kind": "identity", "holder": null, "until": "2026-11-22T11:00:00Z", "cause": "ticket 7", "by": "uid:0" },
        ] });
        assert_eq!(
            readable(&entries),
            "until 2026-11-22T10:00:00Z  serial 0a1b of spiffe://d/a  by detector:scanning: 11 paths [2J\n\
             until 2026-11-22T11:00:00Z  identity spiffe://d/b  by uid:0: ticket 7\n"
        );
    }
}
