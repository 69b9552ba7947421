//! How often each rule decided is counted exactly, whatever is sampled, and outlives restarts; `policy unused` tells which rules nobody needs.

use crate::support::expiry::MovedClock;
use crate::support::sidecar::{run, run_for};
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use countersign::admin::client;
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// What a running sidecar has counted.
async fn live(sidecar: &Sidecar) -> Value {
    let socket = sidecar.socket();
    let answer = tokio::task::spawn_blocking(move || client::get(&socket, "/usage")).await.unwrap().unwrap();
    serde_json::from_str(&answer.body).unwrap()
}

fn kept(setup: &Setup) -> Value {
    let text = std::fs::read_to_string(setup.path("decisions/state/usage.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn hits(document: &Value, rule: &str) -> u64 {
    document["tables"][0]["rules"][rule]["used"]["hits"].as_u64().unwrap_or(0)
}

/// Waits until a running sidecar has counted so many.
async fn counted(sidecar: &Sidecar, rule: &str, least: u64) -> Value {
    eventually(&format!("{least} hits of {rule}"), async || Some(live(sidecar).await).filter(|document| hits(document, rule) >= least))
        .await
}

async fn ask(sidecar: &Sidecar, setup: &Setup, id: &str, times: u64) {
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(id)).await {
        for _ in 0..times {
            peer.get("/").await;
        }
    }
}

#[tokio::test]
async fn what_the_log_leaves_out_is_counted() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("audit.sample", "0.0");
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let mut sidecar = setup.start(&app).await;
    ask(&sidecar, &setup, ALICE, 100).await;
    ask(&sidecar, &setup, BOB, 1).await;
    counted(&sidecar, "alice", 200).await;
    let document = counted(&sidecar, "bob", 2).await;
    assert_eq!([hits(&document, "alice"), hits(&document, "bob")], [200, 2]);
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    assert_eq!([hits(&kept(&setup), "alice"), hits(&kept(&setup), "bob")], [200, 2]);
    let logged = sidecar.records().iter().filter(|record| record["rule"] == "alice").count();
    assert!(logged < 100, "the log has {logged} of 200");
}

#[tokio::test]
async fn counts_outlive_restarts_and_reloads_and_an_edited_rule_begins_anew() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    for boot in 1..=2 {
        let mut sidecar = setup.start(&app).await;
        ask(&sidecar, &setup, ALICE, 3).await;
        ask(&sidecar, &setup, BOB, 2).await;
        if boot == 2 {
            setup.write_policy(&policy(&[("bob", BOB, "/{any}/**"), ("alice", ALICE, "/**")]));
            assert_eq!(sidecar.post("/reload").await.status, 200);
            ask(&sidecar, &setup, ALICE, 1).await;
        }
        sidecar.signal(Signal::TERM);
        sidecar.exit().await;
    }
    let document = kept(&setup);
    assert_eq!([hits(&document, "alice"), hits(&document, "bob")], [14, 0]);
}

#[tokio::test]
async fn a_process_that_is_killed_forgets_no_more_than_the_last_minute() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let clock = MovedClock::of(&mut setup);
    let mut sidecar = setup.start(&app).await;
    ask(&sidecar, &setup, ALICE, 2).await;
    counted(&sidecar, "alice", 4).await;
    clock.show(SystemTime::now() + Duration::from_secs(61));
    eventually("the file", async || Some(kept(&setup)).filter(|document| hits(document, "alice") == 4)).await;
    ask(&sidecar, &setup, ALICE, 1).await;
    counted(&sidecar, "alice", 6).await;
    sidecar.signal(Signal::KILL);
    sidecar.exit().await;
    let sidecar = setup.start(&app).await;
    ask(&sidecar, &setup, ALICE, 1).await;
    assert_eq!(hits(&counted(&sidecar, "alice", 6).await, "alice"), 6, "four of the first process, two of this one");
}

#[tokio::test]
async fn a_damaged_file_is_named_and_put_aside() {
    let (app, mut setup) = (App::start().await, Setup::new());
    std::fs::create_dir_all(setup.path("decisions/state")).unwrap();
    std::fs::write(setup.path("decisions/state/usage.json"), "{\"v\":\"countersign.usage/1\",\"until\"").unwrap();
    let sidecar = setup.start(&app).await;
    let line = sidecar.log_line("counting begins anew").await;
    assert!(line.contains("usage.json") && setup.path("decisions/state/usage.json.unusable").exists(), "{line}");
    ask(&sidecar, &setup, ALICE, 1).await;
    let document = counted(&sidecar, "alice", 2).await;
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(begun - document["since"].as_u64().unwrap() < 3_600);
}

/// Two replicas of a service, of which each is asked by somebody else for forty days.
async fn replicas(app: &App, setups: &mut [Setup; 2]) {
    for (setup, id) in setups.iter_mut().zip([ALICE, BOB]) {
        setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**"), ("carol", "spiffe://test.example/carol", "/**")]));
        let clock = MovedClock::of(setup);
        let mut sidecar = setup.start(app).await;
        ask(&sidecar, setup, id, 1).await;
        let rule = if id == ALICE { "alice" } else { "bob" };
        counted(&sidecar, rule, 2).await;
        clock.show(SystemTime::now() + 20 * DAY);
        eventually("the file", async || {
            let document = kept(setup);
            Some(()).filter(|()| document["until"].as_u64() > document["since"].as_u64().map(|since| since + 19 * 86_400))
        })
        .await;
        sidecar.signal(Signal::TERM);
        sidecar.exit().await;
    }
}

async fn unused(arguments: &[&str], dir: &Path) -> (i32, Value) {
    let (code, said) = run(&[&["policy", "unused", "--format", "json"], arguments].concat(), dir).await;
    (code, serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}")))
}

#[tokio::test]
async fn a_rule_is_unused_where_no_replica_needs_it() {
    let (app, mut setups) = (App::start().await, [Setup::new(), Setup::new()]);
    replicas(&app, &mut setups).await;
    let [one, two] = &setups;
    std::fs::create_dir(one.path("fleet")).unwrap();
    for (setup, name) in setups.iter().zip(["a.json", "b.json"]) {
        std::fs::copy(setup.path("decisions/state/usage.json"), one.path("fleet").join(name)).unwrap();
    }
    let named = |document: &Value| {
        let rules = document["tables"][0]["unused"].as_array().unwrap();
        rules.iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let dir = one.dir.path();
    // Alone each knows half of it; the configuration leads to the table and to the file.
    let (code, said) = run_for(two, &["policy", "unused", "--days", "19"]).await;
    assert!(code == 1 && said.contains("alice") && said.contains("carol"), "{code} {said}");
    let both = ["--policy", "policy.toml", "--merge", "fleet"];
    let (code, document) = unused(&[&both[..], &["--days", "21"]].concat(), dir).await;
    assert_eq!((code, &document["answer"]), (2, &"not_known".into()), "{document}");
    let (code, document) = unused(&[&both[..], &["--days", "19"]].concat(), dir).await;
    assert_eq!(
        (code, named(&document)),
        (1, vec!["alice".to_owned(), "bob".to_owned(), "carol".to_owned()]),
        "all were used twenty days ago"
    );
    let used = &document["tables"][0]["unused"];
    assert_eq!([&used[0]["use"]["hits"], &used[1]["use"]["hits"], &used[2]["use"]["last"]], [&2.into(), &2.into(), &Value::Null]);
    // One file is one replica, however often it is given.
    let file = ["--usage", "fleet/a.json", "--usage", "fleet/a.json"];
    let (_, document) = unused(&[&both[..], &file, &["--days", "19"]].concat(), dir).await;
    assert_eq!(document["tables"][0]["unused"][0]["use"]["hits"], 2, "{document}");

    // What a file says steers no terminal.
    let mut hostile = kept(one);
    (hostile["observer"], hostile["workload"]) = ("\u{1b}[2J\n".into(), "\u{202e}x".into());
    hostile["since"] = hostile["until"].clone();
    std::fs::write(one.path("fleet/c.json"), hostile.to_string()).unwrap();
    let (code, said) = run(&[&["policy", "unused", "--days", "19"], &both[..]].concat(), dir).await;
    assert!(code == 2 && said.contains("young") && !said.contains(['\u{1b}', '\u{202e}']), "{code} {said:?}");
    let (code, _) = run(&[&["policy", "unused", "--days", "19", "--accept-young"], &both[..]].concat(), dir).await;
    assert_eq!(code, 1);

    // None is left out because it cannot be read.
    std::fs::write(one.path("fleet/c.json"), "{}").unwrap();
    let (code, said) = run(&[&["policy", "unused"], &both[..]].concat(), dir).await;
    assert!(code == 2 && said.contains("c.json"), "{code} {said}");
}

#[tokio::test]
async fn a_sidecar_without_a_file_is_asked() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.unset("audit").set("audit.sink", "'none'");
    let clock = MovedClock::of(&mut setup);
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let sidecar = setup.start(&app).await;
    clock.show(SystemTime::now() + 2 * DAY);
    setup.own_certificate(&countersign::testing::pki::LeafOptions::id(crate::support::ORDERS));
    let (code, said) = run_for(&setup, &["policy", "usage"]).await;
    let collected: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert!(code == 0 && hits(&collected, "alice") == 0);
    let (code, said) = run_for(&setup, &["policy", "unused", "--days", "1"]).await;
    assert!(code == 1 && said.contains("alice") && said.contains("bob"), "{code} {said}");
    drop(sidecar);
}
