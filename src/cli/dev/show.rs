//! What a person reads: the beginning, each decision on one line, the end.

use super::requests::{self, Request};
use super::setup::{ORDERS, Setup, Side, WEB};
use crate::cli::terminal::{Style, printable};
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

/// Makes records readable.
#[derive(Debug, Default)]
pub struct Reader {
    /// The boot id of the sidecar before the app: the other one's table decides nothing here.
    deciding: Option<String>,
    /// Its table.
    table: Option<String>,
}

impl Reader {
    /// One record on one line; `None` for records that a newcomer need not see.
    pub fn readable(&mut self, line: &str, style: Style) -> Option<String> {
        let record: Value = serde_json::from_str(line).ok()?;
        match record["kind"].as_str()? {
            "boot" if record["workload"] == ORDERS => {
                self.deciding = Some(text(&record["boot"]));
                None
            }
            "decision" => Some(decision(&record, style)),
            "handshake" => Some(handshake(&record, style)),
            "policy" if self.deciding.as_deref() == record["boot"].as_str() => self.policy(&record, style),
            _ => None,
        }
    }

    /// A table that replaces another one.
    fn policy(&mut self, record: &Value, style: Style) -> Option<String> {
        let hash = text(&record["policy_sha256"]);
        let line =
            format!("{}  the new table is in force: {} ({})", clock(record), text(&record["policy"]), hash.get(..12).unwrap_or(&hash));
        let before = self.table.replace(hash.clone())?;
        (before != hash).then(|| style.yellow(&line))
    }
}

fn decision(record: &Value, style: Style) -> String {
    let (http, allowed) = (&record["http"], record["decision"] == "allow");
    let outbound = record["dir"] == "outbound";
    let caller = match record["src"]["id"].as_str() {
        Some(id) => printable(id),
        // The app's own sidecar knows its app by where it is.
        None if outbound => WEB.to_owned(),
        None => text(&record["src"]["ip"]),
    };
    let rule = text(&record["rule"]);
    let mut why = match (allowed, record["rule"].is_null()) {
        (true, _) => format!("rule {rule}"),
        (false, true) => text(&record["reason"]),
        (false, false) => format!("{}, rule {rule}", text(&record["reason"])),
    };
    if let Some(upstream) = rule.strip_prefix("upstream:") {
        why = format!("the peer is {}", record["dst"]["id"].as_str().unwrap_or(upstream));
    }
    if why == "implicit_deny" {
        why.push_str(": no rule allows it");
    }
    if let Some(reason) = record["close_reason"].as_str() {
        let _ = write!(why, "; {}", printable(reason));
    }
    let request = format!("{} {}", text(&http["method"]), http["path"].as_str().map_or_else(|| "?".into(), printable));
    let verdict = if allowed { style.green("allow ") } else { style.red("deny  ") };
    columns(&clock(record), &verdict, &text(&record["dir"]), &caller, &request, &text(&http["status"]), &why)
}

fn handshake(record: &Value, style: Style) -> String {
    let end = if record["dir"] == "inbound" { &record["src"] } else { &record["dst"] };
    let who = end["id"].as_str().map_or_else(|| "nobody".to_owned(), printable);
    let reason = text(&record["reason"]);
    columns(&clock(record), &style.yellow("refuse"), &text(&record["dir"]), &who, "(handshake)", "none", &reason)
}

/// The command that tells why a request was denied, or a handshake refused; `None` for what was allowed.
pub fn why(line: &str, setup: &Setup) -> Option<String> {
    let record: Value = serde_json::from_str(line).ok()?;
    let side = if record["dir"] == "inbound" { Side::Inbound } else { Side::Outbound };
    let asked = matches!(record["kind"].as_str(), Some("decision" | "handshake")) && record["decision"] == "deny";
    asked.then(|| format!("{} audit why {} {}", program(), text(&record["id"]), setup.log(side).display()))
}

fn columns(time: &str, verdict: &str, side: &str, caller: &str, request: &str, status: &str, why: &str) -> String {
    // The verdict has six visible characters, and colours that padding would count.
    let verdict = if verdict.is_empty() { "      " } else { verdict };
    format!("{time:<8}  {verdict}  {side:<8}  {caller:<30}  {request:<16}  {status:<6}  {why}")
}

/// The time of day in UTC.
fn clock(record: &Value) -> String {
    record["time"].as_str().and_then(|time| time.get(11..19)).unwrap_or("--:--:--").to_owned()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Style = Style::PLAIN;

    fn line(record: &Value) -> Option<String> {
        Reader::default().readable(&record.to_string(), PLAIN)
    }

    #[test]
    fn decisions_are_one_line_each() {
        let time = "2026-11-21T10:11:12.5Z";
        let allowed = json!({
            "kind": "decision", "time": time, "dir": "inbound", "decision": "allow", "reason": "allow", "rule": "web-reads",
            "src": { "id": WEB }, "http": { "method": "GET", "path": "/orders/17", "status": 200 },
        });
        assert_eq!(
            line(&allowed).unwrap(),
            "10:11:12  allow   inbound   spiffe://dev.example/sa/web     GET /orders/17    200     rule web-reads"
        );
        let denied = json!({
            "kind": "decision", "time": time, "dir": "inbound", "decision": "deny", "reason": "implicit_deny",
            "src": { "id": WEB }, "http": { "method": "GET", "path": "/\u{1b}[2J", "status": 403 },
        });
        let text = line(&denied).unwrap();
        assert!(text.ends_with("implicit_deny: no rule allows it") && !text.contains('\u{1b}'), "{text}");
        let refused = json!({ "kind": "handshake", "time": time, "dir": "inbound", "reason": "unauthenticated:no_certificate", "src": {} });
        assert!(line(&refused).unwrap().contains("refuse  inbound   nobody"));
        assert_eq!(line(&json!({ "kind": "gap" })), None);
    }

    #[test]
    fn only_changes_of_the_deciding_table_are_shown() {
        let mut reader = Reader::default();
        let mut read = |record: Value| reader.readable(&record.to_string(), PLAIN);
        assert_eq!(read(json!({ "kind": "boot", "boot": "a", "workload": ORDERS })), None);
        assert_eq!(read(json!({ "kind": "boot", "boot": "b", "workload": WEB })), None);
        let policy = |boot: &str, hash: &str| json!({ "kind": "policy", "boot": boot, "policy": "orders", "policy_sha256": hash });
        assert_eq!(read(policy("a", "1")), None);
        assert_eq!(read(policy("b", "1")), None);
        assert_eq!(read(policy("b", "2")), None);
        assert!(read(policy("a", "2")).is_some());
        assert_eq!(read(policy("a", "2")), None);
    }
}
