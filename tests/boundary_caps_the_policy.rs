//! What the boundary does not allow is refused, whatever the service's own table says.

use crate::support::setup::replace;
use crate::support::{ALICE, App, Peer, Setup, eventually, policy};

#[tokio::test]
async fn a_request_needs_both_tables() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let boundary = setup.path("platform.toml");
    std::fs::write(&boundary, policy(&[("platform", ALICE, "/orders/**")])).unwrap();
    setup.set("policy.boundary", &format!("'{}'", boundary.display()));
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    for peer in [&mut http1, &mut http2] {
        assert_eq!(peer.get("/orders/1").await.status, 200, "{}", peer.name());
        let denied = peer.get("/users/1").await;
        assert_eq!(denied.status, 403, "{}", peer.name());
        let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
        assert_eq!((&record["decision"], &record["reason"], record.get("rule")), (&"deny".into(), &"boundary".into(), None));
        assert_eq!(record["boundary_sha256"], sidecar.status().await.unwrap()["policy_boundary"]["sha256"]);
    }

    // A boundary with a mistake changes nothing; a good one reaches open connections.
    replace(&boundary, "schema = 1");
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"failed\""], 1.0).await;
    assert_eq!(http2.get("/orders/1").await.status, 200);
    let deny = policy(&[("platform", ALICE, "/**")])
        + &policy(&[("no-orders", ALICE, "/orders/**")]).replace("schema = 1\nname = 'test'\n", "").replace("allow", "deny");
    replace(&boundary, &deny);
    eventually("the new boundary", async || (http1.get("/orders/1").await.status == 403).then_some(())).await;
    let denied = http2.get("/orders/1").await;
    let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
    assert_eq!((&record["reason"], &record["rule"]), (&"boundary".into(), &"no-orders".into()));
    assert_eq!(http2.get("/users/1").await.status, 200);
}

#[tokio::test]
async fn without_its_boundary_nothing_is_allowed() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let boundary = setup.path("platform.toml");
    setup.set("policy.boundary", &format!("'{}'", boundary.display())).in_front_of(app.address);
    let sidecar = crate::support::Sidecar::start_unready(&setup).await;
    sidecar.log_line("there is no policy: every request is denied until it is there").await;
    let status = sidecar.status().await.unwrap();
    assert!(status["policy"].is_null() && status["ready"] == false, "{status}");
    replace(&boundary, &policy(&[("platform", ALICE, "/**")]));
    eventually("readiness", async || sidecar.status().await.filter(|status| status["ready"] == true)).await;
}
