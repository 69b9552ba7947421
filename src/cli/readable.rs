//! Records as a person reads them: one line each.

use super::terminal::{Style, printable};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Starts of sidecars that are remembered by name.
const BOOTS: usize = 1_024;

/// Makes records readable; remembers what earlier ones said of their sidecars.
#[derive(Debug, Default)]
pub struct Reader {
    /// The workload whose tables are told of; `None`: every one.
    deciding: Option<String>,
    boots: HashMap<String, Boot>,
}

/// A start of a sidecar.
#[derive(Debug, Default)]
struct Boot {
    workload: Option<String>,
    /// Hashes of its tables, by what they are for.
    tables: HashMap<String, String>,
}

impl Reader {
    /// Tells of new tables of this workload alone.
    pub fn deciding(workload: &str) -> Self {
        Self { deciding: Some(workload.to_owned()), ..Self::default() }
    }

    /// One record on one line; `None` for records that tell of nothing that happened to anybody.
    pub fn readable(&mut self, line: &str, style: Style) -> Option<String> {
        let record: Value = serde_json::from_str(line).ok()?;
        if let Some(count) = record["left_out"].as_u64() {
            return Some(style.yellow(&format!("{:<8}  {count} records came too fast to be shown here", "")));
        }
        match record["kind"].as_str()? {
            "boot" => {
                self.boot(&record)?.workload = record["workload"].as_str().map(str::to_owned);
                None
            }
            "decision" => Some(self.decision(&record, style)),
            "handshake" => Some(handshake(&record, style)),
            "policy" => self.policy(&record, style),
            "checkpoint" | "footer" => None,
            kind => Some(style.yellow(&other(kind, &record))),
        }
    }

    fn boot(&mut self, record: &Value) -> Option<&mut Boot> {
        let boot = record["boot"].as_str()?;
        if self.boots.len() >= BOOTS && !self.boots.contains_key(boot) {
            self.boots.clear();
        }
        Some(self.boots.entry(boot.to_owned()).or_default())
    }

    /// A table that replaces another one.
    fn policy(&mut self, record: &Value, style: Style) -> Option<String> {
        let hash = text(&record["policy_sha256"]);
        let part = record["part"].as_str().unwrap_or("own");
        let deciding = self.deciding.clone();
        let boot = self.boot(record)?;
        let before = boot.tables.insert(part.to_owned(), hash.clone())?;
        let is_told = deciding.is_none() || deciding == boot.workload;
        let line =
            format!("{}  the new table is in force: {} ({})", clock(record), text(&record["policy"]), hash.get(..12).unwrap_or(&hash));
        (before != hash && is_told).then(|| style.yellow(&line))
    }

    fn decision(&self, record: &Value, style: Style) -> String {
        let (http, allowed) = (&record["http"], record["decision"] == "allow");
        let outbound = record["dir"] == "outbound";
        let workload = || record["boot"].as_str().and_then(|boot| self.boots.get(boot)).and_then(|boot| boot.workload.as_deref());
        let caller = match record["src"]["id"].as_str() {
            Some(id) => printable(id),
            // The app's own sidecar knows its app by where it is.
            None => workload().filter(|_| outbound).map_or_else(|| text(&record["src"]["ip"]), printable),
        };
        let rule = text(&record["rule"]);
        let mut why = match (allowed, record["rule"].is_null()) {
            (true, _) => format!("rule {rule}"),
            (false, true) => text(&record["reason"]),
            (false, false) => format!("{}, rule {rule}", text(&record["reason"])),
        };
        if let Some(upstream) = rule.strip_prefix("upstream:") {
            why = format!("the peer is {}", record["dst"]["id"].as_str().map_or_else(|| upstream.to_owned(), printable));
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
}

fn handshake(record: &Value, style: Style) -> String {
    let end = if record["dir"] == "inbound" { &record["src"] } else { &record["dst"] };
    let who = end["id"].as_str().map_or_else(|| "nobody".to_owned(), printable);
    let reason = text(&record["reason"]);
    columns(&clock(record), &style.yellow("refuse"), &text(&record["dir"]), &who, "(handshake)", "none", &reason)
}

/// A record that is about no single request.
fn other(kind: &str, record: &Value) -> String {
    let mut line = format!("{}  {}", clock(record), printable(kind));
    let fields = ["count", "decision", "reason", "cause", "detector", "action", "rule", "first_seq", "last_seq", "connections"];
    let named = fields.iter().map(|name| (*name, &record[*name]));
    let ends = [("from", &record["src"]["id"]), ("to", &record["dst"]["id"])];
    for (name, value) in named.chain(ends).filter(|(_, value)| value.is_string() || value.is_number()) {
        let _ = write!(line, "  {name} {}", text(value));
    }
    line
}

/// The columns of a record's line.
pub fn columns(time: &str, verdict: &str, side: &str, caller: &str, request: &str, status: &str, why: &str) -> String {
    // The verdict has six visible characters, and colours that padding would count.
    let verdict = if verdict.is_empty() { "      " } else { verdict };
    format!("{time:<8}  {verdict}  {side:<8}  {caller:<30}  {request:<16}  {status:<6}  {why}")
}

/// The time of day in UTC.
fn clock(record: &Value) -> String {
    record["time"].as_str().and_then(|time| time.get(11..19)).map_or_else(|| "--:--:--".to_owned(), printable)
}

/// A value in a line.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".into(),
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WEB: &str = "spiffe://dev.example/sa/web";
    const ORDERS: &str = "spiffe://dev.example/sa/orders";

    fn line(record: &Value) -> Option<String> {
        Reader::default().readable(&record.to_string(), Style::PLAIN)
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
        assert_eq!(line(&json!({ "kind": "checkpoint" })), None);
        let gap = json!({ "kind": "gap", "time": time, "count": 3, "cause": "ring_full" });
        assert_eq!(line(&gap).unwrap(), "10:11:12  gap  count 3  cause ring_full");
        assert!(line(&json!({ "left_out": 12 })).unwrap().contains("12 records came too fast"));
    }

    #[test]
    fn an_app_is_called_by_its_workload() {
        let mut reader = Reader::default();
        assert_eq!(reader.readable(&json!({ "kind": "boot", "boot": "b", "workload": WEB }).to_string(), Style::PLAIN), None);
        let asked = json!({ "kind": "decision", "boot": "b", "dir": "outbound", "decision": "allow", "rule": "upstream:orders", "dst": { "id": ORDERS } });
        let text = reader.readable(&asked.to_string(), Style::PLAIN).unwrap();
        assert!(text.contains(WEB) && text.ends_with(&format!("the peer is {ORDERS}")), "{text}");
    }

    #[test]
    fn only_changes_of_the_deciding_table_are_shown() {
        let mut reader = Reader::deciding(ORDERS);
        let mut read = |record: Value| reader.readable(&record.to_string(), Style::PLAIN);
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
