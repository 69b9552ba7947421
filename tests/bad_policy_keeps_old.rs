//! A policy table with any mistake is refused as a whole, and the one before stays in force.

use crate::support::{ALICE, App, BOB, Peer, Setup, eventually, policy};

#[tokio::test]
async fn each_bad_table_is_refused_and_said() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    let table = sidecar.status().await.unwrap()["policy"].clone();

    let open = policy(&[("alice", ALICE, "/only"), ("bob", BOB, "/**")]);
    let case = "[[case]]\nname = 'no'\nfrom = 'spiffe://test.example/bob'\nmethod = 'GET'\npath = '/'\nexpect = 'deny'\n";
    let bad = [
        ("no TOML", format!("{open}[[rule]\n")),
        ("an empty file", String::new()),
        ("half of a file", open[..open.len() - 20].to_owned()),
        ("an unknown field", open.replace("why =", "because =")),
        ("an unknown effect", open.replacen("'allow'", "'permit'", 1)),
        ("a rule id twice", open.replace("id = 'bob'", "id = 'alice'")),
        ("a principal that is none", open.replace(BOB, "spiffe://test.example/")),
        ("a path without a slash", open.replace("'/only'", "'only'")),
        ("a case that does not hold", format!("{open}{case}")),
        ("another schema", open.replace("schema = 1", "schema = 2")),
    ];
    for (refused, (name, text)) in (1..).zip(bad) {
        setup.write_policy(&text);
        sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"failed\""], f64::from(refused)).await;
        for peer in [&mut http1, &mut http2] {
            assert_eq!(peer.get("/orders").await.status, 200, "{name}: {} by the old table", peer.name());
        }
        assert_eq!(bob.get("/orders").await.status, 403, "{name}: nothing of it is in force");
        assert_eq!(sidecar.status().await.unwrap()["policy"], table, "{name}");
    }
    let said = sidecar.log().lines().filter(|line| line.contains("the policy table was not replaced")).count();
    assert_eq!(said, 10, "each once");
    assert_eq!(sidecar.post("/reload").await.status, 422, "a command hears of it as well");

    std::fs::remove_file(setup.path("policy.toml")).unwrap();
    sidecar.log_line("the policy table cannot be read; the old one stays in force").await;
    assert_eq!(http2.get("/orders").await.status, 200);
    assert_eq!(sidecar.ask(sidecar.health, "/ready").await.status, 200);

    setup.write_policy(&open);
    eventually("the good table", async || (bob.get("/orders").await.status == 200).then_some(())).await;
    assert_eq!(http1.get("/orders").await.status, 403);
}
