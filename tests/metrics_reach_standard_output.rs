//! With `[metrics] emf = true` standard output carries records and metrics, each line whole, and the metrics add up to what was asked and to `/metrics`.

use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar};
use http::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

const REQUESTS: u64 = 300;

/// Runs what follows with its standard output in a file.
const INTO_A_FILE: [&str; 4] = ["sh", "-c", "exec \"$@\" >stdout", "sh"];

/// The records and the metrics of a standard output.
fn read(dir: &Path) -> (Vec<Value>, Vec<Value>) {
    let text = std::fs::read_to_string(dir.join("stdout")).unwrap();
    assert!(text.ends_with('\n'));
    let lines = text.lines().map(|line| (line, serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))));
    let (metrics, records): (Vec<_>, Vec<_>) = lines.partition(|(line, _)| line.starts_with(r#"{"_aws":{"#));
    (records.into_iter().map(|(_, record)| record).collect(), metrics.into_iter().map(|(_, line)| line).collect())
}

/// The sum of a counter over all lines with these dimensions.
fn sum(metrics: &[Value], name: &str, dimensions: &[(&str, &str)]) -> u64 {
    let chosen = metrics.iter().filter(|line| dimensions.iter().all(|(name, value)| line[*name] == *value));
    chosen.filter_map(|line| line[name].as_u64()).sum()
}

async fn ask(sidecar: &Sidecar, setup: &Setup) {
    for (id, status, times) in [(ALICE, StatusCode::OK, REQUESTS), (BOB, StatusCode::FORBIDDEN, REQUESTS / 3)] {
        let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(id)).await;
        for _ in 0..times {
            assert_eq!(peer.get("/orders/1").await.status, status);
        }
    }
}

async fn assert_complete(sidecar: &mut Sidecar, setup: &Setup) {
    ask(sidecar, setup).await;
    let shown = sidecar.metric("countersign_requests_total", &["inbound"]).await as u64;
    sidecar.signal(Signal::TERM);
    assert!(sidecar.exit().await.success());
    let (_, metrics) = read(setup.dir.path());
    let inbound = |decision| [("direction", "inbound"), ("decision", decision), ("workload", "spiffe://test.example/orders")];
    let (allowed, denied) =
        (sum(&metrics, "countersign_requests_total", &inbound("allow")), sum(&metrics, "countersign_requests_total", &inbound("deny")));
    assert_eq!((allowed, denied, allowed + denied), (REQUESTS, REQUESTS / 3, shown));
    let durations = metrics.iter().filter_map(|line| line["countersign_request_duration_seconds"]["Count"].as_f64());
    assert_eq!(durations.sum::<f64>(), REQUESTS as f64);
}

#[tokio::test]
async fn between_the_records() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.unset("audit").set("audit.sink", "'stdout'").set("metrics.emf", "true").in_front_of(app.address);
    let mut sidecar = Sidecar::start_through(&setup, &INTO_A_FILE).await;
    assert_complete(&mut sidecar, &setup).await;
    let (records, _) = read(setup.dir.path());
    let numbers = records.iter().map(|record| record["seq"].as_u64().unwrap());
    assert!(numbers.eq(0..records.len() as u64), "a metric is no record and takes no number");
    assert!(records.len() as u64 >= REQUESTS + REQUESTS / 3);
}

#[tokio::test]
async fn alone_where_records_go_to_files() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("metrics.emf", "true").in_front_of(app.address);
    let mut sidecar = Sidecar::start_through(&setup, &INTO_A_FILE).await;
    assert_complete(&mut sidecar, &setup).await;
    let (records, metrics) = read(setup.dir.path());
    assert!(records.is_empty() && !metrics.is_empty());
    assert!(sidecar.records().iter().all(|record| record.get("_aws").is_none()));
}

#[tokio::test]
async fn only_where_asked() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.unset("audit").set("audit.sink", "'stdout'").in_front_of(app.address);
    let mut sidecar = Sidecar::start_through(&setup, &INTO_A_FILE).await;
    ask(&sidecar, &setup).await;
    sidecar.signal(Signal::TERM);
    assert!(sidecar.exit().await.success());
    let (records, metrics) = read(setup.dir.path());
    assert!(metrics.is_empty() && !records.is_empty());
}
