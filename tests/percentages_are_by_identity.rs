//! A rule or table that is enforced for a share of identities is enforced for the same ones on every connection, and tried for the others.

use crate::support::{App, Peer, Setup, policy};

/// Of `printf 'spiffe://test.example/sa/N\0no' | sha256sum`, the first 16 digits modulo 100, below 50 and not.
const IN: &str = "spiffe://test.example/sa/1";
const OUT: &str = "spiffe://test.example/sa/2";

#[tokio::test]
async fn a_deny_for_half_of_them() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let deny = "[[rule]]\nid = 'no'\neffect = 'deny'\nfrom = { any_authenticated = true }\npaths = ['/**']\nenforce_percent = 50\n";
    setup.write_policy(&(policy(&[("in", IN, "/**"), ("out", OUT, "/**")]) + deny));
    let sidecar = setup.start(&app).await;
    for _ in 0..2 {
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(IN)).await {
            let denied = peer.get("/").await;
            assert_eq!(denied.status, 403);
            let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
            assert_eq!((&record["reason"], &record["rule"]), (&"explicit_deny".into(), &"no".into()));
        }
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(OUT)).await {
            assert_eq!(peer.get("/").await.status, 200);
        }
    }
    let record = sidecar.record("the trial", |record| record["would"] == "deny").await;
    assert_eq!((&record["rule"], &record["would_rule"], &record["src"]["id"]), (&"out".into(), &"no".into(), &OUT.into()));
    sidecar.metric_reaches("countersign_would_deny_total", &["direction=\"inbound\""], 4.0).await;
}

#[tokio::test]
async fn a_table_for_half_of_them() {
    let (app, mut setup) = (App::start().await, Setup::new());
    // The table's name is hashed, and it is called as the rule above.
    setup.write_policy("schema = 1\nname = 'no'\nenforce_percent = 50\n");
    let sidecar = setup.start(&app).await;
    for (id, status) in [(IN, 403), (OUT, 200)] {
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(id)).await {
            assert_eq!(peer.get("/").await.status, status, "{id}");
        }
    }
    let record = sidecar.record("the trial", |record| record["would"] == "deny").await;
    assert_eq!((&record["reason"], &record["src"]["id"]), (&"shadow".into(), &OUT.into()));
}
