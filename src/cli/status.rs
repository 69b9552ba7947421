//! `countersign status`: what a running sidecar says of itself.

use super::Outcome;
use super::control::Document;
use serde_json::Value;
use std::fmt::Write as _;

/// Prints it. A sidecar that is not ready is a finding.
///
/// # Errors
/// Nobody answers.
pub fn run(document: &Document) -> anyhow::Result<Outcome> {
    let status = document.print("/status", readable)?;
    Ok(if status["ready"] == Value::Bool(true) { Outcome::Fine } else { Outcome::Findings })
}

/// One line for each thing that a person asks first.
fn readable(status: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:<12} {value}");
    };
    line("id", show(&status["id"]));
    line("ready", if status["ready"] == Value::Bool(true) { "yes".into() } else { "NO".into() });
    for (what, why) in status["pending"].as_object().into_iter().flatten() {
        line("  waits for", format!("{what}: {}", show(why)));
    }
    for (what, why) in status["notes"].as_object().into_iter().flatten() {
        line("  note", format!("{what}: {}", show(why)));
    }
    let certificate = &status["certificate"];
    let until = format!(
        "until {}, serial {}, generation {}",
        show(&certificate["not_after"]),
        show(&certificate["serial"]),
        show(&certificate["generation"])
    );
    line("certificate", if certificate.is_null() { "none yet: every handshake is refused".into() } else { until });
    let policy = &status["policy"];
    line("policy", if policy.is_null() { "none yet: every request is denied".into() } else { table_line(policy) });
    for (name, key) in [("boundary", "policy_boundary"), ("candidate", "policy_candidate")] {
        if !status[key].is_null() {
            line(name, table_line(&status[key]));
        }
    }
    for bundle in status["policy_bundles"].as_array().into_iter().flatten() {
        let over = if bundle["stale"] == Value::Bool(true) { ", PAST ITS DATE" } else { "" };
        let (part, name) = (show(&bundle["part"]), show(&bundle["name"]));
        line("bundle", format!("{part}: {name}, sequence {}, until {}{over}", show(&bundle["sequence"]), show(&bundle["not_after"])));
    }
    for source in status["policy_sources"].as_array().into_iter().flatten() {
        let age = source["age_s"].as_u64().map_or_else(|| "never read".to_owned(), |age| format!("asked {age} s ago"));
        let problem = source["problem"].as_str().map(|_| format!(", now: {}", show(&source["problem"]))).unwrap_or_default();
        line("source", format!("{}: {age}{problem}", show(&source["from"])));
    }
    for direction in ["inbound", "outbound"] {
        if !status[direction].is_null() {
            let (connections, requests) = (&status["connections"][direction], &status["in_flight"][direction]);
            line(
                direction,
                format!("{}, {} connections, {} requests under way", show(&status[direction]), show(connections), show(requests)),
            );
        }
    }
    for upstream in status["upstreams"].as_array().into_iter().flatten() {
        line("upstream", upstream_line(upstream));
    }
    for list in status["revocation_lists"].as_array().into_iter().flatten() {
        line("crl", crl_line(list));
    }
    for set in status["key_sets"].as_array().into_iter().flatten() {
        line("keys", keys_line(set));
    }
    if status["quarantined"].as_u64().is_some_and(|quarantined| quarantined > 0) {
        line("quarantine", format!("{}; see countersign quarantine list", show(&status["quarantined"])));
    }
    line("health", show(&status["health"]));
    line("crypto", show(&status["crypto"]));
    line("process", format!("{}, version {}, {} shards", show(&status["pid"]), show(&status["version"]), show(&status["shards"])));
    text
}

/// Where a revocation list comes from, whose it is, and how old.
pub(super) fn crl_line(list: &Value) -> String {
    let mut text = format!("{}: ", show(&list["from"]));
    // Writing into a String cannot fail.
    let _ = match list["issuer"].as_str() {
        None => write!(text, "NOT THERE"),
        Some(_) => {
            let number = list["number"].as_str().map(|number| format!(", number {number}")).unwrap_or_default();
            write!(text, "{}{number}, of {}, next {}", show(&list["issuer"]), show(&list["this_update"]), show(&list["next_update"]))
        }
    };
    match list["age_s"].as_u64() {
        Some(age) => drop(write!(text, ", fetched {age} s ago")),
        None if list["issuer"].is_null() => text.push_str(", never fetched"),
        None => {}
    }
    if list["confirmed"] == Value::Bool(false) {
        text.push_str(", signature not seen yet");
    }
    if list["problem"].is_string() {
        let _ = write!(text, ", now: {}", show(&list["problem"]));
    }
    text
}

/// Where keys of token issuers come from, how many there are, and how old.
fn keys_line(set: &Value) -> String {
    let keys =
        set["keys"].as_u64().map_or_else(|| "NOT THERE".to_owned(), |keys| format!("{keys} {}", if keys == 1 { "key" } else { "keys" }));
    let age = set["age_s"].as_u64().map_or_else(|| ", never read".to_owned(), |age| format!(", read {age} s ago"));
    let problem = set["problem"].as_str().map(|_| format!(", now: {}", show(&set["problem"]))).unwrap_or_default();
    format!("{}: {keys}{age}{problem}", show(&set["from"]))
}

/// Its first host, its endpoints (the first few), and what DNS said last.
fn table_line(table: &Value) -> String {
    let version = table["version"].as_str().filter(|version| !version.is_empty()).map(|version| format!(" {version}")).unwrap_or_default();
    let hash = show(&table["sha256"]);
    let hash = hash.get(..12).unwrap_or(&hash);
    format!("{}{version}, sha256 {hash}, generation {}", show(&table["name"]), show(&table["generation"]))
}

fn upstream_line(upstream: &Value) -> String {
    const SHOWN: usize = 4;
    let endpoints = upstream["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut listed: Vec<String> = endpoints.iter().take(SHOWN).map(|endpoint| show(&endpoint["address"])).collect();
    if endpoints.len() > SHOWN {
        listed.push(format!("{} more", endpoints.len() - SHOWN));
    }
    let mut text = format!("{}: {}", show(&upstream["hosts"][0]), if listed.is_empty() { "NO ADDRESS".into() } else { listed.join(", ") });
    for (name, said) in upstream["names"].as_object().into_iter().flatten() {
        let age = said["age_s"].as_u64().map_or_else(|| "no answer yet".into(), |age| format!("answered {age} s ago"));
        let problem = said["problem"].as_str().map(|_| format!(", now: {}", show(&said["problem"]))).unwrap_or_default();
        let _ = write!(text, " ({}: {age}{problem})", show(&Value::String(name.clone())));
    }
    text
}

/// A value without JSON's quotes; control characters of a string do not reach the terminal.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_ready_sidecar_is_described() {
        let status = json!({
            "id": "spiffe://d/a", "version": "0.1.0", "crypto": "AWS-LC FIPS 4, version 5.0.0", "pid": 7, "ready": true, "pending": {},
            "inbound": "[::]:8443", "outbound": null, "health": "[::]:9900",
            "certificate": { "serial": "0a", "sha256": "ff", "not_after": "2026-11-21T10:00:00Z", "generation": 3 },
            "policy": { "name": "orders", "version": "7", "sha256": "0123456789abcdef", "generation": 2 },
            "policy_candidate": { "name": "orders", "version": "", "sha256": "fedcba9876543210", "generation": 3 },
            "policy_bundles": [{ "part": "own", "name": "orders", "sequence": 7, "not_after": "2026-12-21T00:00:00Z", "stale": true }],
            "policy_sources": [{ "from": "https://tables.example/orders.json", "age_s": 7, "problem": null }],
            "connections": { "inbound": 4, "outbound": 0 }, "in_flight": { "inbound": 1, "outbound": 0 }, "shards": 2,
        });
        assert_eq!(
            readable(&status),
            "id           spiffe://d/a\n\
             ready        yes\n\
             certificate  until 2026-11-21T10:00:00Z, serial 0a, generation 3\n\
             policy       orders 7, sha256 0123456789ab, generation 2\n\
             candidate    orders, sha256 fedcba987654, generation 3\n\
             bundle       own: orders, sequence 7, until 2026-12-21T00:00:00Z, PAST ITS DATE\n\
             source       https://tables.example/orders.json: asked 7 s ago\n\
             inbound      [::]:8443, 4 connections, 1 requests under way\n\
             health       [::]:9900\n\
             crypto       AWS-LC FIPS 4, version 5.0.0\n\
             process      7, version 0.1.0, 2 shards\n"
        );
    }

    #[test]
    fn upstreams_are_listed_with_what_dns_said() {
        let addresses: Vec<Value> = (1..=6).map(|host| json!({ "address": format!("10.0.0.{host}:8443"), "name": "p.internal" })).collect();
        let status = json!({ "id": "a", "ready": true, "notes": { "app_exposed": "the app listens on 0.0.0.0:80" }, "upstreams": [
            { "hosts": ["payments", "p"], "endpoints": addresses, "names": { "p.internal": { "age_s": 7, "problem": null } } },
            { "hosts": ["billing"], "endpoints": [], "names": { "b.internal": { "age_s": null, "problem": "there is no such name" } } },
        ] });
        let text = readable(&status);
        let expected = [
            "  note       app_exposed: the app listens on 0.0.0.0:80\n",
            "upstream     payments: 10.0.0.1:8443, 10.0.0.2:8443, 10.0.0.3:8443, 10.0.0.4:8443, 2 more (p.internal: answered 7 s ago)\n",
            "upstream     billing: NO ADDRESS (b.internal: no answer yet, now: there is no such name)\n",
        ];
        assert!(expected.iter().all(|line| text.contains(line)), "{text}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = readable(&json!({ "id": "a\u{1b}[2J", "ready": false, "pending": { "policy": "no such file" } }));
        assert!(text.contains("ready        NO\n  waits for  policy: no such file\n"), "{text}");
        assert!(text.contains("none yet: every handshake is refused") && text.contains("none yet: every request is denied"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
