//! `countersign policy explain` names what kept a denied request from passing, by its id, by its record and by flags.

use crate::support::sidecar::{run, run_for, run_with_input};
use crate::support::{ALICE, App, BOB, Peer, Setup, client};
use serde_json::Value;

const RULES: &str = "schema = 1
name = 'orders'
version = '7'

[[rule]]
id = 'alice-reads'
effect = 'allow'
from = { spiffe = ['spiffe://test.example/alice'] }
methods = ['GET']
paths = ['/orders/{id}']
headers = [{ name = 'x-tenant', in = ['eu-1', 'eu-2'] }]

[[rule]]
id = 'no-admin'
effect = 'deny'
from = { any_authenticated = true }
paths = ['/admin/**']
";

async fn denied(peer: &mut Peer, path: &str, tenant: Option<&str>) -> String {
    let mut request = client::get(path);
    if let Some(tenant) = tenant {
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
    }
    let answer = peer.send(request).await.unwrap();
    assert_eq!(answer.status, 403, "{path}");
    answer.header("x-countersign-decision").to_owned()
}

#[tokio::test]
async fn a_denied_request_is_told_by_its_id() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(RULES);
    let sidecar = setup.start(&app).await;
    let [mut alice, mut bob] =
        [Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await, Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await];
    let by_path = denied(&mut alice, "/users/1", Some("eu-1")).await;
    let by_header = denied(&mut alice, "/orders/1", Some("us-1")).await;
    let by_identity = denied(&mut bob, "/orders/1", Some("eu-2")).await;
    let by_rule = denied(&mut bob, "/admin/x", None).await;
    let place = |line: usize| format!("{}:{line}", setup.path("policy.toml").display());

    for (id, first, why) in [
        (&by_path, "DENIED  implicit_deny", "paths: wanted /orders/{id}, found /users/1"),
        (
            &by_header,
            "DENIED  implicit_deny",
            "header:x-tenant: wanted {\"header\":{\"in\":[\"eu-1\",\"eu-2\"],\"name\":\"x-tenant\"}}, found recorded: it did not hold",
        ),
        (&by_identity, "DENIED  implicit_deny", "from: wanted spiffe://test.example/alice, found spiffe://test.example/bob"),
        (&by_rule, "DENIED  explicit_deny, rule no-admin", "from: wanted spiffe://test.example/alice, found spiffe://test.example/bob"),
    ] {
        sidecar.record_of(id).await;
        let (code, said) = run_for(&setup, &["policy", "explain", id]).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with(first), "{said}");
        let nearest = said.split_once("nearest allow\n").expect(&said).1;
        assert!(nearest.starts_with(&format!("  alice-reads (allow)  {}\n", place(5))), "{said}");
        assert!(nearest.lines().nth(1).is_some_and(|line| line.trim() == why), "{said}");
    }
    let (_, said) = run_for(&setup, &["policy", "explain", &by_rule]).await;
    assert!(said.contains(&format!("decided by no-admin  ({})", place(13))), "{said}");

    // The same from the line alone, and with another table.
    let line = sidecar.record_of(&by_path).await.to_string();
    let other = setup.path("other.toml");
    std::fs::write(&other, RULES.replace("/orders/{id}", "/users/{id}")).unwrap();
    let arguments = ["policy", "explain", "--log", "-", "--policy", other.to_str().unwrap(), "--format", "json"];
    let (code, said) = run_with_input(&arguments, setup.dir.path(), &line).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, &said["record"]["same_table"]), (1, &false.into()), "{said:#}");
    // The header was not looked at then, so that nobody knows.
    assert_eq!((&said["outcome"]["reason"], &said["rules"][0]["standing"]), (&"undecidable".into(), &"fails".into()), "{said:#}");
}

#[tokio::test]
async fn a_request_that_never_was_is_told_by_flags() {
    let setup = Setup::new();
    let table = setup.path("policy.toml");
    std::fs::write(&table, RULES).unwrap();
    let table = table.to_str().unwrap();
    let ask = ["policy", "explain", "--policy", table, "--from", ALICE, "--method", "GET"];
    for (more, code, says) in [
        (&["--path", "/orders/1", "--header", "x-tenant=eu-2"][..], 0, "ALLOWED  rule\n"),
        (&["--path", "/orders/1"], 1, "found absent"),
        (&["--path", "/orders/../x"], 1, "DENIED  malformed:"),
        (&["--path", "/admin/x"], 1, "decided by no-admin"),
        (&["--path", "/orders/1", "--at", "tomorrow"], 2, "--at: `tomorrow` is no time"),
        (&["--path", "/orders/1", "--source-ip", "here"], 2, "--source-ip: `here` is no address"),
        (&["--path", "/orders/1", "--header", "x-tenant"], 2, "write NAME=VALUE"),
        (&[], 2, "path: is missing"),
    ] {
        let (actual, said) = run(&[&ask[..], more].concat(), setup.dir.path()).await;
        assert_eq!(actual, code, "{more:?}: {said}");
        assert!(said.contains(says), "{more:?}: {said}");
    }
}

#[tokio::test]
async fn who_can_and_the_matrix_name_everybody() {
    let setup = Setup::new();
    let table = setup.path("policy.toml");
    std::fs::write(&table, format!("{RULES}\n[[rule]]\nid = 'all-read'\neffect = 'allow'\nwhy = 'x'\nfrom = {{ spiffe = ['spiffe://test.example/**'] }}\nmethods = ['GET']\npaths = ['/admin/x', '/free']\n")).unwrap();
    let ask = async |more: &[&str]| {
        let arguments = [&["policy", "explain", "--policy", table.to_str().unwrap()][..], more].concat();
        run(&arguments, setup.dir.path()).await
    };
    let (code, said) = ask(&["--who-can", "GET /orders/1"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("who may GET /orders/1\n  spiffe://test.example/alice  by alice-reads"), "{said}");
    assert!(said.contains("if      {\"header\":"), "{said}");
    let (_, said) = ask(&["--who-can", "GET /admin/x"]).await;
    assert_eq!(said, "nobody may GET /admin/x\n  all-read lets nobody do it: no-admin takes it back\n");
    let (_, said) = ask(&["--matrix"]).await;
    let rows: Vec<&str> = said.lines().take(5).collect();
    assert_eq!(
        rows,
        [
            "| caller                      | /orders/{id} | /admin/** | /admin/x | /free |",
            "| --------------------------- | ------------ | --------- | -------- | ----- |",
            "| spiffe://test.example/alice | GET?         | -         | -        | GET   |",
            "| spiffe://test.example/**    | -            | -         | -        | GET   |",
            "| anybody else                | -            | -         | -        | -     |",
        ]
    );
    assert_eq!(ask(&["--who-can", "orders"]).await.0, 2);
}
