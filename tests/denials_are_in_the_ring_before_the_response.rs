//! When a client reads a 403, its record is already safe from whatever happens to the writer; and no flood loses one.

use crate::support::client::read;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, get, within};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;

/// More than the ring of one shard holds.
const FLOOD: usize = 5_000;

/// Connections of a flood that come at once; much less than the kernel's queue holds.
const BURST: usize = 500;

/// A sidecar of one shard whose writer stands still until the file is removed.
async fn halted(setup: &mut Setup, app: &App) -> (Sidecar, PathBuf) {
    let halt = setup.path("halt");
    std::fs::write(&halt, "").unwrap();
    setup.set("runtime.shards", "1").env("COUNTERSIGN_TEST_HALT_WRITER", halt.to_str().unwrap());
    (setup.start(app).await, halt)
}

fn decisions(sidecar: &Sidecar) -> Vec<Value> {
    sidecar.records().into_iter().filter(|record| record["kind"] == "decision").collect()
}

#[tokio::test]
async fn a_denial_waits_for_the_writer_in_the_ring() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let (sidecar, halt) = halted(&mut setup, &app).await;
    let mut ids = Vec::new();
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(BOB)).await {
        let answer = peer.get("/orders").await;
        assert_eq!(answer.status, 403, "{}", peer.name());
        ids.push(answer.header("x-countersign-decision").to_owned());
    }
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let answer = peer.send(http::Request::get("https://orders/a/../b%00").body(Default::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status, 400, "refused as malformed");
    ids.push(answer.header("x-countersign-decision").to_owned());
    assert!(decisions(&sidecar).is_empty(), "the writer stands still");

    std::fs::remove_file(halt).unwrap();
    for id in &ids {
        let record = sidecar.record_of(id).await;
        assert_eq!(record["decision"], "deny", "{record}");
        assert!(record["src"]["id"] == BOB || record["src"]["id"] == ALICE, "{record}");
    }
    assert_eq!(decisions(&sidecar).len(), ids.len(), "each once");
}

#[tokio::test]
async fn a_flood_is_counted_exactly() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let (sidecar, halt) = halted(&mut setup, &app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    let mut ids = HashSet::new();
    for _ in 0..FLOOD / 100 {
        let burst: Vec<_> = (0..100).map(|_| peer.begin(get("/orders"))).collect();
        for sent in burst {
            let answer = within("a denial", async { read(sent.await.unwrap()).await.unwrap() }).await;
            assert_eq!(answer.status, 403);
            assert!(ids.insert(answer.header("x-countersign-decision").to_owned()), "an id twice");
        }
    }
    assert_eq!(app.seen().len(), 0);
    assert!(decisions(&sidecar).is_empty());

    std::fs::remove_file(halt).unwrap();
    eventually("every denial in the log", async || (counted(&sidecar) >= FLOOD as u64).then_some(())).await;
    exact(&sidecar, &ids);
}

#[tokio::test]
async fn a_flood_is_counted_exactly_by_a_process_that_ends() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let (mut sidecar, halt) = halted(&mut setup, &app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    let mut ids = HashSet::new();
    for _ in 0..FLOOD / 100 {
        let burst: Vec<_> = (0..100).map(|_| peer.begin(get("/orders"))).collect();
        for sent in burst {
            let answer = within("a denial", async { read(sent.await.unwrap()).await.unwrap() }).await;
            ids.insert(answer.header("x-countersign-decision").to_owned());
        }
    }
    drop(peer);
    sidecar.signal(Signal::TERM);
    sidecar.log_line("drain begins").await;
    std::fs::remove_file(halt).unwrap();
    assert_eq!(sidecar.exit().await.code(), Some(0));
    exact(&sidecar, &ids);
}

/// Nobody comes after the flood who would bring what the shard has counted to the writer.
#[tokio::test]
async fn a_flood_of_refused_handshakes_is_counted_while_nobody_else_comes() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let (sidecar, halt) = halted(&mut setup, &app).await;
    let labels = ["direction=\"inbound\"", "result=\"io\""];
    for flooded in (BURST..=FLOOD).step_by(BURST) {
        let mut burst = Vec::new();
        for _ in 0..BURST {
            burst.push(tokio::net::TcpStream::connect(sidecar.inbound()).await.unwrap());
        }
        // Each ends at once, without a ClientHello. The kernel holds some of them; what it drops, nobody would count.
        drop(burst);
        sidecar.metric_reaches("countersign_handshakes_total", &labels, flooded as f64).await;
    }
    std::fs::remove_file(halt).unwrap();
    let refused = |record: &Value| match record["kind"].as_str() {
        Some("handshake") => 1,
        Some("aggregate") => record["count"].as_u64().unwrap(),
        _ => 0,
    };
    let total = async || (sidecar.records().iter().map(refused).sum::<u64>() >= FLOOD as u64).then_some(());
    eventually("every refused handshake in the log", total).await;
    assert_eq!(sidecar.records().iter().map(refused).sum::<u64>(), FLOOD as u64);
}

/// Denials in the log, one by one and folded.
fn counted(sidecar: &Sidecar) -> u64 {
    let weigh = |record: &Value| match record["kind"].as_str() {
        Some("decision") => 1,
        Some("aggregate") => record["count"].as_u64().unwrap(),
        _ => 0,
    };
    sidecar.records().iter().map(weigh).sum()
}

fn exact(sidecar: &Sidecar, ids: &HashSet<String>) {
    assert_eq!(ids.len(), FLOOD);
    assert_eq!(counted(sidecar), FLOOD as u64);
    let records = sidecar.records();
    assert!(!records.iter().any(|record| record["kind"] == "gap"), "denials leave no gaps");
    let single: Vec<_> = records.iter().filter(|record| record["kind"] == "decision").collect();
    assert!(single.len() >= 1_000 && single.len() < FLOOD, "{} of {FLOOD} were recorded one by one", single.len());
    assert!(single.iter().all(|record| ids.contains(record["id"].as_str().unwrap())), "each id was told to somebody");
    let folded: Vec<_> = records.iter().filter(|record| record["kind"] == "aggregate").collect();
    assert!(folded.iter().all(|record| record["src"]["id"] == BOB && record["of"] == "decision"), "{folded:?}");
    let numbers: Vec<_> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no record is missing in between");
}
