//! The gate for pull requests of deploy/gate: a table that lets more pass, or that decides recorded requests otherwise, goes no further unless somebody says so.

use crate::support::{ALICE, App, BOB, Peer, Setup, policy};
use http::StatusCode;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the gate in `dir`, with these words of whoever may say that something is meant.
fn gate(dir: &Path, arguments: &[&str], meant: &[(&str, &str)]) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gate/policy-gate.sh");
    let mut command = Command::new(script);
    command.args(arguments).current_dir(dir).env("COUNTERSIGN", env!("CARGO_BIN_EXE_countersign")).envs(meant.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test]
async fn each_step_stops_it_and_what_is_meant_passes() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let old = policy(&[("alice", ALICE, "/orders/{id}"), ("bob", BOB, "/stock")]);
    setup.write_policy(&old);
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(peer.get("/stock").await.status, StatusCode::OK);
    sidecar.record("the request", |record| record["http"]["path"] == "/stock").await;

    let dir = setup.dir.path();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("old.toml", &old);
    let of = |code: i32, said: &str, (exit, text): (Option<i32>, String)| {
        assert!(exit == Some(code) && text.contains(said), "wanted {code} and {said:?}\n{exit:?}\n{text}");
    };

    write("same.toml", &format!("# said in another way\n{}", policy(&[("b", BOB, "/stock"), ("a", ALICE, "/orders/{id}")])));
    of(0, "0 would be denied", gate(dir, &["same.toml", "old.toml", "decisions"], &[]));

    write("slip.toml", &policy(&[("alice", ALICE, "/orders/{id}"), ("bob", BOB, "/stock"), ("again", BOB, "/stock")]));
    of(1, "dead-rule", gate(dir, &["slip.toml", "old.toml"], &[]));

    let case = "[[case]]\nname = 'bob'\nfrom = 'spiffe://test.example/bob'\nmethod = 'GET'\npath = '/stock'\nexpect = 'deny'\n";
    write("case.toml", &format!("{old}\n{case}"));
    of(2, "expects deny", gate(dir, &["case.toml", "old.toml"], &[]));

    write("wider.toml", &policy(&[("alice", ALICE, "/orders/{id}"), ("bob", BOB, "/stock"), ("more", BOB, "/orders/{id}")]));
    of(1, "/orders/", gate(dir, &["wider.toml", "old.toml", "decisions"], &[]));
    of(0, "this is meant", gate(dir, &["wider.toml", "old.toml", "decisions"], &[("POLICY_WIDER", "allow")]));

    write("narrower.toml", &policy(&[("alice", ALICE, "/orders/{id}")]));
    of(0, "narrower", gate(dir, &["narrower.toml", "old.toml"], &[]));
    of(1, "1 would be denied", gate(dir, &["narrower.toml", "old.toml", "decisions"], &[]));
    of(0, "this is meant", gate(dir, &["narrower.toml", "old.toml", "decisions"], &[("POLICY_REPLAY", "allow")]));

    of(2, "missing.toml", gate(dir, &["missing.toml", "old.toml"], &[("POLICY_WIDER", "allow"), ("POLICY_REPLAY", "allow")]));
    of(2, "usage", gate(dir, &["old.toml"], &[]));
}
