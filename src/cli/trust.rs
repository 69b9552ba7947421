//! `countersign trust`: whom a running sidecar believes, and what depends on it.

use super::Outcome;
use super::control::Document;
use super::status::{crl_line, show};
use serde_json::Value;
use std::fmt::Write as _;

/// What is asked of trust.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows which peers with open connections need which root
    Report(Document),
}

/// Prints the report.
///
/// # Errors
/// Nobody answers.
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Report(document) = command;
    document.print("/trust", readable)?;
    Ok(Outcome::Fine)
}

/// Each root, what ends without it, and whose.
fn readable(report: &Value) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    for root in report["roots"].as_array().into_iter().flatten() {
        let hash = show(&root["sha256"]);
        let hash = hash.get(..16).unwrap_or(&hash);
        let _ = writeln!(text, "{}  {}, sha256 {hash}, until {}", show(&root["domain"]), show(&root["subject"]), show(&root["not_after"]));
        for direction in ["inbound", "outbound"] {
            side(&mut text, direction, &root[direction]);
        }
    }
    if text.is_empty() {
        text.push_str("no trust bundle is in force yet\n");
    }
    for list in report["revocation_lists"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "{}  crl {}", show(&list["domain"]), crl_line(list));
    }
    text
}

fn side(text: &mut String, direction: &str, side: &Value) {
    const SHOWN: usize = 20;
    let (peers, connections, ending) = (&side["peers"], &side["connections"], &side["ending"]);
    if peers == &Value::from(0) {
        let _ = writeln!(text, "  {direction:<9} nobody");
        return;
    }
    let _ = writeln!(text, "  {direction:<9} {connections} connections of {peers} peers; {ending} would end without it");
    for peer in side["most"].as_array().into_iter().flatten().take(SHOWN) {
        let (certificates, connections, ending) = (&peer["certificates"], &peer["connections"], &peer["ending"]);
        let _ = writeln!(text, "    {}  {connections} connections, {certificates} certificates, {ending} would end", show(&peer["id"]));
    }
    let more = peers.as_u64().unwrap_or_default().saturating_sub(SHOWN as u64);
    if more > 0 {
        let _ = writeln!(text, "    and {more} more peers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_end_is_said_for_each_root() {
        let none = json!({ "peers": 0, "connections": 0, "ending": 0, "most": [] });
        let most = json!([{ "id": "spiffe://d/a\u{1b}", "certificates": 1, "connections": 3, "ending": 2 }]);
        let report = json!({ "generation": 1, "roots": [{
            "domain": "d", "subject": "CN=old", "sha256": "0123456789abcdef0123", "not_after": "2027-01-01T00:00:00Z",
            "inbound": { "peers": 25, "connections": 30, "ending": 2, "most": most }, "outbound": none,
        }] });
        assert_eq!(
            readable(&report),
            "d  CN=old, sha256 0123456789abcdef, until 2027-01-01T00:00:00Z\n  \
             inbound   30 connections of 25 peers; 2 would end without it\n    \
             spiffe://d/a   3 connections, 1 certificates, 2 would end\n    \
             and 5 more peers\n  \
             outbound  nobody\n"
        );
        let lists = json!([
            { "domain": "d", "from": "/etc/a.crl", "issuer": "CN=a", "number": "7", "confirmed": true,
              "this_update": "2027-01-01T00:00:00Z", "next_update": "2027-01-08T00:00:00Z", "age_s": null, "problem": null },
            { "domain": "d", "from": "http://c/b.crl", "issuer": "CN=b", "number": null, "confirmed": false,
              "this_update": "2027-01-01T00:00:00Z", "next_update": "2027-01-08T00:00:00Z", "age_s": 7, "problem": null },
            { "domain": "d", "from": "http://c/c.crl", "age_s": null, "problem": "the server answers 404" },
        ]);
        assert_eq!(
            readable(&json!({ "roots": [], "revocation_lists": lists })),
            "no trust bundle is in force yet\n\
             d  crl /etc/a.crl: CN=a, number 7, of 2027-01-01T00:00:00Z, next 2027-01-08T00:00:00Z\n\
             d  crl http://c/b.crl: CN=b, of 2027-01-01T00:00:00Z, next 2027-01-08T00:00:00Z, fetched 7 s ago, signature not seen yet\n\
             d  crl http://c/c.crl: NOT THERE, never fetched, now: the server answers 404\n"
        );
    }
}
