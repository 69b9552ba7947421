//! A full disk under the decision log costs no request. It is said and counted, and once there is room the log says itself what it lacks.

use crate::support::disk::{can_mount, fill};
use crate::support::sidecar::run;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, get, within};
use http::StatusCode;
use serde_json::Value;
use std::fs::{File, remove_file};
use std::path::Path;
use tokio::task::JoinSet;

/// More requests than ring and writer hold together.
const MOST: usize = 20_000;

#[tokio::test]
async fn requests_go_on_and_the_gap_is_counted() {
    if !can_mount() {
        // As root this is a fault of the machine; for others there is no disk that could be filled.
        assert!(!rustix::process::geteuid().is_root(), "root cannot mount a tmpfs here: nothing proves what a full disk does");
        eprintln!("SKIPPED: only root can mount the disk that this test fills");
        return;
    }
    let (app, mut setup) = (App::start().await, Setup::new());
    let disk = setup.path("disk");
    std::fs::create_dir(&disk).unwrap();
    setup.in_front_of(app.address).set("audit.dir", &format!("'{}'", disk.display())).set("runtime.shards", "1");
    let script = format!("mount -t tmpfs -o size=64m none '{}' && exec \"$@\"", disk.display());
    let sidecar = Sidecar::start_through(&setup, &["unshare", "--mount", "sh", "-c", &script, "sh"]).await;
    // The disk as the process sees it.
    let disk = sidecar.proc("root").join(disk.strip_prefix("/").unwrap());
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(alice.get("/before").await.status, StatusCode::OK);
    eventually("a first record", async || find(&sidecar, &disk, "/before")).await;

    let filler = fill(&disk);
    let mut allowed = 1;
    is_refused(&sidecar, &mut alice, &mut allowed).await;
    assert_eq!(bob.get("/denied").await.status, StatusCode::FORBIDDEN);
    let mut lost = 0.0;
    for _ in 0..MOST / 100 {
        let mut answers = JoinSet::new();
        (0..100).for_each(|_| drop(answers.spawn(alice.begin(get("/meanwhile")))));
        let answers = within("a hundred answers", answers.join_all()).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::OK)), "{answers:?}");
        allowed += answers.len();
        lost = sidecar.metric("countersign_audit_lost_total", &[]).await;
        if lost > 0.0 {
            break;
        }
    }
    assert!(lost > 0.0, "{allowed} records still wait for room");
    assert_eq!(sidecar.is_ready().await, Some(true), "traffic goes on");

    remove_file(filler).unwrap();
    let gap = eventually("a gap record", async || sidecar.records_in(&disk).into_iter().find(|record| record["kind"] == "gap")).await;
    assert!(
        gap["count"].as_u64().unwrap() >= 1 && gap["cause"].is_string() && gap["first"].is_string() && gap["last"].is_string(),
        "{gap}"
    );
    assert_eq!(alice.get("/after").await.status, StatusCode::OK);
    allowed += 1;
    eventually("records again", async || find(&sidecar, &disk, "/after")).await;

    // Nothing is missing that is not counted: what was lost, and every denial is there.
    let records = sidecar.records_in(&disk);
    let written = records.iter().filter(|record| record["decision"] == "allow").count();
    let gaps: u64 = records.iter().filter(|record| record["kind"] == "gap").filter_map(|record| record["count"].as_u64()).sum();
    assert_eq!(written as u64 + gaps, allowed as u64, "{gaps} in gaps");
    let counted = sidecar.metric("countersign_audit_lost_total", &[]).await;
    assert!(counted >= lost && counted == gaps as f64, "{counted} counted, {gaps} in gaps");
    assert!(find(&sidecar, &disk, "/denied").is_some());
    let seqs = records.iter().map(|record| record["seq"].as_u64().unwrap());
    assert!(seqs.eq(0..records.len() as u64), "the numbers have holes");
}

/// Nothing is forwarded without a log, so without a place for it nothing starts.
#[tokio::test]
async fn a_directory_that_cannot_be_made_ends_the_start() {
    let mut setup = Setup::new();
    let file = setup.path("a-file");
    File::create(&file).unwrap();
    setup.set("audit.dir", &format!("'{}'", file.join("decisions").display()));
    let config = setup.write_config();
    let (code, said) = run(&["run", "--config", config.to_str().unwrap()], setup.dir.path()).await;
    assert!(code != 0 && said.contains("audit"), "{code}: {said}");
}

/// Asks until the sink's refusal is counted and said.
async fn is_refused(sidecar: &Sidecar, alice: &mut Peer, allowed: &mut usize) {
    eventually("an error of the sink", async || {
        assert_eq!(alice.get("/meanwhile").await.status, StatusCode::OK);
        *allowed += 1;
        (sidecar.metric("countersign_audit_sink_errors_total", &[]).await >= 1.0).then_some(())
    })
    .await;
    let line = sidecar.log_line("the decision log cannot be written").await;
    assert!(line.contains("ERROR") && line.contains("No space left on device"), "{line}");
}

fn find(sidecar: &Sidecar, disk: &Path, path: &str) -> Option<Value> {
    sidecar.records_in(disk).into_iter().find(|record| record["http"]["path"] == path)
}
