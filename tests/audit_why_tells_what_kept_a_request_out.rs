//! `countersign audit why` names the dimension that failed and the nearest allow, by the table that was in force then.

use crate::support::curl::Curl;
use crate::support::sidecar::{run, run_for, run_with_input};
use crate::support::{ALICE, App, BOB, Peer, Setup, client, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

const RULES: &str = "schema = 1
name = 'orders'
version = '7'

[[rule]]
id = 'alice-reads'
effect = 'allow'
from = { spiffe = ['spiffe://test.example/alice'] }
methods = ['GET']
paths = ['/orders/{id}']
";

fn packed(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            std::fs::write(path.with_extension("ndjson.zst"), zstd::encode_all(&*std::fs::read(&path).unwrap(), 3).unwrap()).unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test]
async fn a_denied_curl_is_told_by_the_table_of_then() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(RULES);
    let mut sidecar = setup.start(&app).await;
    let curl = Curl::new(setup.dir.path(), sidecar.inbound(), Some(&setup.cert(BOB)));
    let answer = curl.ask(&[], "/orders/1").await;
    assert_eq!(answer.status, 403);
    let id = answer.header("x-countersign-decision")[0].to_owned();
    sidecar.record_of(&id).await;

    let then = setup.path("then.toml");
    std::fs::write(&then, RULES).unwrap();
    let place = format!("{}:5", setup.path("policy.toml").display());
    let told = |said: &str| {
        assert!(said.starts_with("DENIED  implicit_deny\n"), "{said}");
        assert!(said.contains(&format!("nearest allow\n  alice-reads (allow)  {place}\n")), "{said}");
        assert!(said.contains("from: wanted spiffe://test.example/alice, found spiffe://test.example/bob"), "{said}");
        assert!(!said.contains("OTHER TABLE"), "{said}");
    };
    let (code, said) = run_for(&setup, &["audit", "why", &id]).await;
    assert_eq!(code, 1, "{said}");
    told(&said);

    // Another table is in force now, and the files are compressed: the answer is the same.
    setup.write_policy(&RULES.replace("alice-reads", "bob-may").replace("alice", "bob"));
    eventually("the new table", async || (curl.ask(&[], "/orders/1").await.status == 200).then_some(())).await;
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    packed(&setup.path("decisions"));
    let directory = setup.path("decisions");
    let ask = |arguments: &[&str]| {
        let arguments: Vec<String> = ["audit", "why", &id].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        let dir = setup.dir.path().to_owned();
        async move { run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &dir).await }
    };
    let (code, said) = ask(&[directory.to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    told(&said);
    let (code, said) = ask(&[directory.to_str().unwrap(), "--format", "json"]).await;
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["nearest_allow"], &json["record"]["same_table"]), (1, &"alice-reads".into(), &true.into()));

    // As of a log on standard output: without the tables beside it.
    let (_, log) = run(&["audit", "query", "", directory.to_str().unwrap(), "--format", "json"], setup.dir.path()).await;
    std::fs::remove_dir_all(directory.join("policy")).unwrap();
    let piped = |policy: &'static str, log: String| {
        let (id, dir) = (id.clone(), setup.dir.path().to_owned());
        async move { run_with_input(&["audit", "why", &id, "-", "--policy", policy], &dir, &log).await }
    };
    let (code, said) = piped("then.toml", log.clone()).await;
    assert!(code == 1 && said.contains("nearest allow\n  alice-reads (allow)  then.toml:5\n"), "{said}");
    let (code, said) = piped("policy.toml", log).await;
    assert!(code == 2 && said.contains("policy.toml is another table: its hash is "), "{said}");
    let (code, said) = ask(&[directory.to_str().unwrap()]).await;
    assert!(code == 2 && said.contains("is not kept beside the log; give its file with --policy"), "{said}");
}

#[tokio::test]
async fn a_refused_handshake_and_an_unknown_id_are_told_as_what_they_are() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let (code, _) = Curl::new(setup.dir.path(), sidecar.inbound(), None).try_ask(&[], "/").await;
    assert_ne!(code, 0);
    let record = sidecar.record("a refused handshake", |record| record["kind"] == "handshake").await;
    let id = record["id"].as_str().unwrap();
    let (code, said) = run_for(&setup, &["audit", "why", id]).await;
    assert!(
        code == 1 && said.starts_with("DENIED  ") && said.contains("the handshake was refused, so there never was a request"),
        "{said}"
    );

    let mut alice = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(alice.send(client::get("/")).await.unwrap().status, 200);
    // One that this boot could have given: the last letter counts.
    let unknown = format!("{}{}", &id[..25], if id.ends_with('Z') { 'Y' } else { 'Z' });
    let (code, said) = run_for(&setup, &["audit", "why", &unknown]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with(&format!("There is no record with the id {unknown}.")), "{said}");
    assert!(said.contains("the sidecar of spiffe://test.example/orders") && said.contains("so it was not denied"), "{said}");
    let (code, said) = run_for(&setup, &["audit", "why", "01"]).await;
    assert!(code == 2 && said.contains("is no decision id"), "{said}");
}
