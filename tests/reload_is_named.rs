//! SIGHUP takes over what a running process can change, refuses the rest by its name, and then changes nothing.

use crate::support::client::{at, tls};
use crate::support::sidecar::run;
use crate::support::{ALICE, App, BOB, Peer, Remote, Setup, Sidecar, eventually, policy, within};
use http::StatusCode;
use rustix::process::Signal;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

/// The time-outs before the reload.
const OLD: Duration = Duration::from_secs(10);
const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn upstreams_and_time_outs_change() {
    let (_app, remote, mut setup, sidecar) = start().await;
    let mut app_side = Peer::app_http1(sidecar.outbound()).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(app_side.ask("invoices", "/").await.header("x-countersign-reason"), "unknown_host");

    setup.table("upstream", &format!("hosts = ['invoices']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    setup.set("timeouts.response_head", "'500ms'").set("timeouts.head", "'500ms'");
    let said = reload(&setup, &sidecar, "configuration reloaded").await;
    assert!(said.contains("[[upstream]]") && said.contains("[timeouts]"), "{said}");

    // On the connections that are open.
    assert_eq!(app_side.ask("invoices", "/").await.status, StatusCode::OK);
    for peer in [&mut http1, &mut http2] {
        // A shard takes new time-outs over at its next tick; a request that began before keeps the old ones.
        eventually("the new response_head", async || {
            let begun = Instant::now();
            assert_eq!(peer.get("/hold").await.status, StatusCode::GATEWAY_TIMEOUT, "{}", peer.name());
            (begun.elapsed() < OLD / 2).then_some(())
        })
        .await;
    }
    let begun = Instant::now();
    let mut silent = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["h2"]).await.unwrap();
    let _ = within("the cut of a silent connection", silent.read_to_end(&mut Vec::new())).await;
    assert!(begun.elapsed() < OLD / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_unknown() {
    let (_app, _remote, setup, sidecar) = start().await;
    let mut app_side = Peer::app_h2c(sidecar.outbound()).await;
    assert_eq!(app_side.ask("payments", "/").await.status, StatusCode::OK);
    let text = setup.config().replace("['payments']", "['payroll']");
    crate::support::setup::replace(&setup.path("countersign.toml"), &text);
    sidecar.signal(Signal::HUP);
    sidecar.log_line("configuration reloaded").await;
    assert_eq!(app_side.ask("payments", "/").await.header("x-countersign-reason"), "unknown_host");
    assert_eq!(app_side.ask("payroll", "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_under_way_end_with_their_route() {
    for (before, after) in [("['payments']", "['payroll']"), (PAYMENTS, "spiffe://test.example/billing")] {
        let (_app, remote, setup, sidecar) = start().await;
        let mut apps = Peer::app_both(sidecar.outbound()).await;
        let held = apps.each_mut().map(|app| app.begin(at("payments", "/hold")));
        eventually("two held requests", async || (remote.asked().len() == 2).then_some(())).await;
        let text = setup.config();
        assert!(text.contains(before), "{text}");
        crate::support::setup::replace(&setup.path("countersign.toml"), &text.replace(before, after));
        sidecar.signal(Signal::HUP);
        for answer in held {
            let answer = within("the end of a held request", answer).await.unwrap();
            assert_eq!(
                (answer.status(), &answer.headers()["x-countersign-reason"]),
                (StatusCode::BAD_GATEWAY, &"route_changed".parse().unwrap())
            );
        }
    }
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name_and_nothing_changes() {
    let (_app, _remote, mut setup, sidecar) = start().await;
    setup.write_policy(&policy(&[("bob", BOB, "/**")]));
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"ok\""], 2.0).await;
    let other = setup.path("other.toml");
    std::fs::write(&other, policy(&[("alice", ALICE, "/**")])).unwrap();
    // Two that cannot change, and two that could.
    setup.set("limits.in_flight", "7").set("inbound.path_params", "'allow'");
    setup.set("timeouts.response_head", "'500ms'").set("policy.file", &format!("'{}'", other.display()));
    let said = reload(&setup, &sidecar, "configuration not reloaded").await;
    for key in ["limits.in_flight", "inbound.path_params"] {
        assert!(said.contains(key), "{said}");
    }
    assert!(said.contains("restart") && said.contains("ERROR"), "{said}");
    for key in ["response_head", "policy.file"] {
        assert!(!said.contains(key), "{said}");
    }
    assert_eq!(sidecar.metric("countersign_config_reloads_total", &["result=\"failed\""]).await, 1.0);

    let [mut bob, _] = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.get("/a;b=c").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bob.get("/orders").await.status, StatusCode::OK, "the old table");

    // Put back, it is taken.
    setup.set("limits.in_flight", "4096").set("inbound.path_params", "'reject'");
    let said = reload(&setup, &sidecar, "configuration reloaded").await;
    assert!(said.contains("[policy]") && said.contains("[timeouts]"), "{said}");
    assert_eq!(bob.get("/orders").await.status, StatusCode::FORBIDDEN, "the new table");
}

#[tokio::test]
async fn what_does_not_parse_changes_nothing() {
    let (_app, remote, mut setup, sidecar) = start().await;
    setup.set("timeouts.idle", "'soon'").table("upstream", &format!("hosts = ['more']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let said = reload(&setup, &sidecar, "configuration not reloaded").await;
    assert!(said.contains("timeouts.idle"), "{said}");
    let mut app_side = Peer::app_http1(sidecar.outbound()).await;
    assert_eq!(app_side.ask("more", "/").await.header("x-countersign-reason"), "unknown_host");
    assert_eq!(app_side.ask("payments", "/").await.status, StatusCode::OK);
    // The command line says the same of the file.
    let config = setup.path("countersign.toml");
    let (code, said) = run(&["check", "--config", config.to_str().unwrap()], setup.dir.path()).await;
    assert!(code == 2 && said.contains("timeouts.idle"), "{said}");
}

async fn start() -> (App, Remote, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    setup.set("outbound.listen", "'127.0.0.1:0'").set("timeouts.response_head", "'10s'").set("timeouts.head", "'10s'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = setup.start(&app).await;
    (app, remote, setup, sidecar)
}

/// Writes the configuration, signals, and waits for the log's word on it.
async fn reload(setup: &Setup, sidecar: &Sidecar, outcome: &str) -> String {
    setup.write_config();
    sidecar.signal(Signal::HUP);
    sidecar.log_line(outcome).await
}
