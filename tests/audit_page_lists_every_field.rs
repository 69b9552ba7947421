//! docs/audit.md tells of every field that is in a record, shows one of each kind, and its Athena table has the same columns.

use crate::support::client::is_taken;
use crate::support::{ALICE, App, BOB, Peer, Setup};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../docs/audit.md");
const KINDS: [&str; 12] =
    ["decision", "handshake", "aggregate", "gap", "boot", "policy", "trust", "finding", "action", "checkpoint", "footer", "pruned"];
/// Objects of which the table tells as a whole.
const WHOLE: [&str; 4] = ["labels", "previous", "certificate", "pruned"];

/// The first column of the table of fields.
fn told() -> BTreeSet<String> {
    let table = PAGE.split("| field | type |").nth(1).unwrap().split("\n\n").next().unwrap();
    table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

fn fields(record: &Value) -> BTreeSet<String> {
    let members = record.as_object().unwrap().iter();
    members
        .flat_map(|(name, value)| match value {
            Value::Object(inner) if !WHOLE.contains(&name.as_str()) => inner.keys().map(|inner| format!("{name}.{inner}")).collect(),
            _ => vec![name.clone()],
        })
        .collect()
}

#[test]
fn samples_are_of_each_kind_and_have_no_other_field() {
    let samples: Vec<Value> =
        PAGE.lines().filter(|line| line.starts_with("{\"v\":")).map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = samples.iter().map(|sample| sample["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, KINDS);
    for sample in &samples {
        let untold: Vec<_> = fields(sample).difference(&told()).cloned().collect();
        assert!(untold.is_empty() && sample["chain"].is_string(), "{untold:?}");
    }
}

#[tokio::test]
async fn records_have_no_other_field() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let mut sidecar = setup.set("workload.labels", "{ team = 'shop' }").start(&app).await;
    for id in [ALICE, BOB] {
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(id)).await {
            peer.get("/x").await;
        }
    }
    assert!(!is_taken(sidecar.inbound(), None).await);
    sidecar.record("the handshake", |record| record["kind"] == "handshake").await;
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    let (records, told) = (sidecar.records(), told());
    for record in &records {
        assert!(KINDS.contains(&record["kind"].as_str().unwrap()), "{record}");
        let untold: Vec<_> = fields(record).difference(&told).cloned().collect();
        assert!(untold.is_empty(), "docs/audit.md does not tell of {untold:?}");
    }
    assert!(records.iter().any(|record| record["decision"] == "deny") && records.len() >= 7, "{records:?}");
}

#[test]
fn the_athena_table_has_the_same_columns() {
    let columns = PAGE.split("CREATE EXTERNAL TABLE decisions (").nth(1).unwrap().split("\n)").next().unwrap();
    let mut found = BTreeSet::new();
    for line in columns.lines().filter(|line| !line.is_empty()) {
        let (name, kind) = line.trim().trim_end_matches(',').strip_prefix('`').unwrap().split_once("` ").unwrap();
        assert_eq!(kind.matches('<').count(), kind.matches('>').count(), "{line}");
        match kind.strip_prefix("struct<").filter(|_| !WHOLE.contains(&name)) {
            Some(inner) => {
                found.extend(inner.trim_end_matches('>').split(',').map(|field| format!("{name}.{}", field.split(':').next().unwrap())))
            }
            None => {
                found.insert(name.to_owned());
            }
        }
    }
    assert_eq!(found, told());
}
