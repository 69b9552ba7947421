//! A candidate decides every request beside the table in force, changes nothing, and takes its place when somebody says so.

use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use std::path::PathBuf;

/// A sidecar whose candidate lets alice have `/new` alone and bob everything.
async fn start(app: &App) -> (Setup, Sidecar, PathBuf) {
    let mut setup = Setup::new();
    let candidate = setup.path("candidate.toml");
    std::fs::write(&candidate, policy(&[("alice-new", ALICE, "/new"), ("bob-all", BOB, "/**")])).unwrap();
    setup.set("policy.candidate", &format!("'{}'", candidate.display()));
    let sidecar = setup.start(app).await;
    (setup, sidecar, candidate)
}

#[tokio::test]
async fn differences_are_counted_and_recorded_and_nothing_is_enforced() {
    let app = App::start().await;
    let (setup, sidecar, _) = start(&app).await;
    let mut alice = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!([alice.get("/old").await.status, alice.get("/new").await.status], [200, 200]);
    let denied = bob.get("/old").await;
    assert_eq!(denied.status, 403);

    let candidate = sidecar.status().await.unwrap()["policy_candidate"]["sha256"].clone();
    let record = sidecar.record("a request that the candidate would deny", |record| record["would"] == "deny").await;
    assert_eq!((&record["rule"], record.get("would_rule"), &record["would_sha256"]), (&"alice".into(), None, &candidate));
    let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
    assert_eq!((&record["would"], &record["would_rule"], record.get("rule")), (&"allow".into(), &"bob-all".into(), None));
    assert_eq!(
        sidecar.records().iter().filter(|record| record.get("would").is_some()).count(),
        2,
        "where both say the same, nothing is said"
    );

    let name = "countersign_candidate_differences_total";
    sidecar.metric_reaches(name, &["decision=\"allow\"", "rule=\"alice\"", "candidate_rule=\"(none)\""], 1.0).await;
    sidecar.metric_reaches(name, &["decision=\"deny\"", "rule=\"(none)\"", "candidate_rule=\"bob-all\""], 1.0).await;
}

#[tokio::test]
async fn a_promotion_renames_the_file_and_reaches_open_connections() {
    let app = App::start().await;
    let (setup, sidecar, candidate) = start(&app).await;
    let mut alice = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    let (own, tried) = (std::fs::read(setup.path("policy.toml")).unwrap(), std::fs::read(&candidate).unwrap());
    let sha256 = sidecar.status().await.unwrap()["policy_candidate"]["sha256"].clone();

    let answer = sidecar.post("/policy/promote").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!([alice.get("/old").await.status, alice.get("/new").await.status, bob.get("/old").await.status], [403, 200, 200]);
    let status = sidecar.status().await.unwrap();
    assert!(status["policy"]["sha256"] == sha256 && status["policy_candidate"].is_null(), "{status}");
    assert_eq!(std::fs::read(setup.path("policy.toml")).unwrap(), tried);
    assert_eq!(std::fs::read(setup.path("policy.toml.previous")).unwrap(), own);
    assert!(!candidate.exists());

    let again = sidecar.post("/policy/promote").await;
    assert!(again.status == 422 && again.body.contains("there is no candidate"), "{}", again.body);
    // What the files say now is what is in force: reading them again changes nothing.
    assert_eq!(sidecar.post("/reload").await.status, 200);
    assert_eq!(sidecar.status().await.unwrap()["policy"], status["policy"]);
}

#[tokio::test]
async fn what_was_not_tried_is_not_promoted() {
    let app = App::start().await;
    let (setup, sidecar, candidate) = start(&app).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    let before = sidecar.status().await.unwrap()["policy"].clone();
    std::fs::write(&candidate, "no table").unwrap();
    let answer = sidecar.post("/policy/promote").await;
    assert!(answer.status == 422 && answer.body.contains("candidate.toml:1"), "{}", answer.body);
    assert_eq!(sidecar.status().await.unwrap()["policy"], before);
    assert_eq!(bob.get("/old").await.status, 403);
    assert!(candidate.exists());
}

#[tokio::test]
async fn where_files_cannot_be_renamed_it_is_in_memory_and_says_so() {
    let app = App::start().await;
    let mut setup = Setup::new();
    // As a mounted configuration has it: a link that somebody else keeps.
    let candidate = setup.path("candidate.toml");
    std::fs::write(setup.path("data.toml"), policy(&[("bob-all", BOB, "/**")])).unwrap();
    std::os::unix::fs::symlink(setup.path("data.toml"), &candidate).unwrap();
    setup.set("policy.candidate", &format!("'{}'", candidate.display()));
    let sidecar = setup.start(&app).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;

    let answer = sidecar.post("/policy/promote").await;
    assert!(answer.status == 200 && answer.body.contains("a restart reverts it"), "{}", answer.body);
    assert_eq!(bob.get("/old").await.status, 200);
    assert_eq!(sidecar.post("/reload").await.status, 200);
    assert_eq!(bob.get("/old").await.status, 200, "files that did not change do not undo it");
    setup.write_policy(&policy(&[("bob-some", BOB, "/some")]));
    eventually("what the files say now", async || (bob.get("/old").await.status == 403).then_some(())).await;
    assert_eq!(bob.get("/some").await.status, 200);
}
