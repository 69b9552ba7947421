//! What a person reads: the beginning, each decision on one line, the end.

use super::requests::{self, Request};
use super::setup::{Setup, Side};
use crate::cli::readable::{columns, text};
use crate::cli::terminal::Style;
use serde_json::Value;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// What stands at the beginning.
pub fn banner(setup: &Setup, requests: &[Request], style: Style) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{}", style.bold(&format!("Countersign {} for development. Ctrl-C ends it.", env!("CARGO_PKG_VERSION"))));
    let _ = writeln!(text, "\n{}", picture(setup));
    let _ = writeln!(text, "Try these in another terminal, from this directory:");
    for (number, request) in (1..).zip(requests) {
        let _ = writeln!(text, "\n  {}  {}\n     {}", style.bold(&number.to_string()), style.bold(request.title), request.curl(setup));
    }
    let _ = writeln!(text, "\nThen change {}: the new rules are in force at once.", setup.policy().display());
    let _ = writeln!(text, "See a sidecar's state with: {}", requests::status(setup, Side::Inbound));
    if setup.foreign_app && TcpStream::connect_timeout(&setup.app, Duration::from_secs(1)).is_err() {
        let down = format!("Nobody listens on {} yet: until your app does, allowed requests get 502 app_unreachable.", setup.app);
        let _ = writeln!(text, "{}", style.yellow(&down));
    }
    let _ = writeln!(text, "\n{}", style.bold("Decisions, as they are taken:"));
    let head = columns("time", "", "side", "caller", "request", "status", "why");
    let _ = writeln!(text, "{}", style.dim(&head));
    text
}

fn picture(setup: &Setup) -> String {
    let stations = [
        ("you".to_owned(), String::new()),
        ("web's sidecar".to_owned(), format!("127.0.0.1:{}", setup.outbound)),
        ("orders' sidecar".to_owned(), format!("[::]:{}", setup.inbound)),
        (if setup.foreign_app { "your app".to_owned() } else { "app".to_owned() }, setup.app.to_string()),
    ];
    let arrows = [" ── plain ──▶ ", " ══ mutual TLS ══▶ ", " ── plain ──▶ "];
    let (mut first, mut second) = (String::from("  "), String::from("  "));
    for (index, (name, address)) in stations.iter().enumerate() {
        let width = name.chars().count().max(address.chars().count());
        let arrow = arrows.get(index).copied().unwrap_or_default();
        let _ = write!(first, "{name:<width$}{arrow}");
        let _ = write!(second, "{address:<width$}{:1$}", "", arrow.chars().count());
    }
    format!("{}\n{}\n", first.trim_end(), second.trim_end())
}

/// What stands at the end.
pub fn farewell(setup: &Setup, style: Style) -> String {
    let (log, next) = (setup.dir.join("log"), style.dim("next:"));
    format!(
        "Ended. The records are in {}/.\n{next} your own service, as README.md says; {} is a beginning.",
        log.display(),
        setup.config(Side::Inbound).display()
    )
}

/// How this program was called, for commands that can be copied.
pub fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.contains('/') && !called.contains(char::is_whitespace) { called } else { "countersign".into() }
}

/// The command that tells why a request was denied, or a handshake refused; `None` for what was allowed.
pub fn why(line: &str, setup: &Setup) -> Option<String> {
    let record: Value = serde_json::from_str(line).ok()?;
    let side = if record["dir"] == "inbound" { Side::Inbound } else { Side::Outbound };
    let asked = matches!(record["kind"].as_str(), Some("decision" | "handshake")) && record["decision"] == "deny";
    asked.then(|| format!("{} audit why {} {}", program(), text(&record["id"]), setup.log(side).display()))
}
