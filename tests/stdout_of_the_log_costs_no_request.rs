//! A standard output that nobody reads any more, or that is closed, costs no request and no denial; what allows it costs is counted.

use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, get, within};
use http::StatusCode;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

/// More allows, and more denials, than rings, writer and pipe hold together.
const ALLOWS: usize = 16_000;
const DENIALS: usize = 6_000;

/// A sidecar of one shard whose standard output is what `redirection` says.
async fn start(setup: &mut Setup, app: &App, redirection: &str) -> Sidecar {
    setup.in_front_of(app.address).set("runtime.shards", "1").unset("audit").set("audit.sink", "'stdout'");
    let script = format!("exec \"$@\" {redirection}");
    Sidecar::start_through(setup, &["bash", "-c", &script, "bash"]).await
}

/// Sends so many requests over HTTP/2, a hundred at a time, all of which get `status`.
async fn send(peer: &mut Peer, count: usize, status: StatusCode) {
    for _ in 0..count / 100 {
        let burst: Vec<_> = (0..100).map(|_| peer.begin(get("/orders"))).collect();
        for sent in burst {
            let answer = within("an answer", sent).await.unwrap();
            assert_eq!(answer.status(), status);
        }
    }
}

#[tokio::test]
async fn a_reader_that_stops_counts_as_a_full_disk() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let fifo = setup.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // For reading and writing, so that neither end waits for the other, and nobody reads.
    let pipe = File::options().read(true).write(true).open(&fifo).unwrap();
    let sidecar = start(&mut setup, &app, &format!("> '{}'", fifo.display())).await;
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    send(&mut alice, ALLOWS, StatusCode::OK).await;
    send(&mut bob, DENIALS, StatusCode::FORBIDDEN).await;
    assert_eq!(sidecar.is_ready().await, Some(true), "traffic goes on");
    let lost = sidecar.metric("countersign_audit_lost_total", &[]).await;
    assert!(lost > 0.0, "{ALLOWS} allows found room somewhere: nothing was full");

    let (sender, records) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let record: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            if sender.send(record).is_err() {
                return;
            }
        }
    });
    let mut tally = Tally::default();
    eventually("everything that was sent", async || {
        records.try_iter().for_each(|record| tally.add(&record));
        (tally.allowed + tally.missed >= ALLOWS as u64 && tally.denied + tally.counted >= DENIALS as u64).then_some(())
    })
    .await;
    assert_eq!(tally.allowed + tally.missed, ALLOWS as u64, "{tally:?}");
    assert_eq!(tally.missed as f64, lost, "{tally:?}");
    assert_eq!(tally.denied + tally.counted, DENIALS as u64, "{tally:?}");
    assert!(tally.counted > 0, "{tally:?}");
    assert_eq!(tally.next, tally.lines, "the numbers have holes");
}

#[tokio::test]
async fn a_closed_one_is_said_and_traffic_goes_on() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = start(&mut setup, &app, "> >(exec true)").await;
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(alice.get("/orders").await.status, StatusCode::OK);
    sidecar.metric_reaches("countersign_audit_sink_errors_total", &[], 1.0).await;
    send(&mut alice, ALLOWS, StatusCode::OK).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.get("/orders").await.status, StatusCode::FORBIDDEN);
    sidecar.metric_reaches("countersign_audit_lost_total", &["cause=\"sink_error\""], 1.0).await;
    let said = std::fs::read_to_string(setup.path("stderr")).unwrap();
    assert!(said.contains("the decision log cannot be written"), "{said}");
    assert!(Path::new(&sidecar.proc("stat")).exists(), "it lives");
}

#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    next: u64,
    allowed: u64,
    missed: u64,
    denied: u64,
    counted: u64,
}

impl Tally {
    fn add(&mut self, record: &Value) {
        self.lines += 1;
        self.next = record["seq"].as_u64().unwrap() + 1;
        let count = record["count"].as_u64().unwrap_or_default();
        match (record["kind"].as_str().unwrap(), record["decision"].as_str()) {
            ("decision", Some("allow")) => self.allowed += 1,
            ("decision", _) => self.denied += 1,
            ("aggregate", _) => self.counted += count,
            ("gap", _) => self.missed += count,
            _ => {}
        }
    }
}
