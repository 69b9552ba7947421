//! What is known of a name is kept while DNS fails, and a sidecar starts without it.

use crate::support::dns::Zone;
use crate::support::{Dns, Peer, Remote, Setup, Sidecar, eventually, within};
use http::StatusCode;

const PAYMENTS: &str = "spiffe://test.example/payments";
const NAME: &str = "payments.test.example";

#[tokio::test]
async fn the_last_good_addresses_are_used_while_nobody_answers() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["http/1.1"]).await;
    dns.at(NAME, &["127.0.0.1"], 1);
    setup.set("timeouts.pool_idle", "'1ms'");
    upstream(&mut setup, &dns, &remote);
    let sidecar = Sidecar::start(&setup).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    let cases = [
        (Zone::ServerFailure, "server_failure"),
        (Zone::NoSuchName, "no_such_name"),
        (Zone::Addresses(Vec::new(), 1), "no_address"),
        (Zone::Silence, "timeout"),
    ];
    for (zone, result) in cases {
        dns.say(NAME, zone);
        sidecar.metric_reaches("countersign_dns_resolutions_total", &[&format!("result=\"{result}\"")], 2.0).await;
        let calls = remote.calls().len();
        assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK, "{result}");
        assert_eq!(remote.calls().len(), calls + 1, "{result}: a new connection");
        let status = sidecar.status().await.unwrap();
        assert!(status["upstreams"][0]["names"][NAME]["problem"].is_string(), "{status}");
        assert_eq!((&status["ready"], &status["notes"]), (&true.into(), &serde_json::json!({})));
        dns.at(NAME, &["127.0.0.1"], 1);
        eventually("the end of the problem", async || {
            sidecar.status().await?["upstreams"][0]["names"][NAME]["problem"].is_null().then_some(())
        })
        .await;
    }
    sidecar.log_line("its last addresses are kept for a while").await;
}

#[tokio::test]
async fn a_name_without_an_address_is_no_exit() {
    for zone in [Zone::NoSuchName, Zone::ServerFailure, Zone::Silence] {
        let (dns, mut setup) = (Dns::start().await, Setup::new());
        let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
        dns.say(NAME, zone.clone());
        upstream(&mut setup, &dns, &remote);
        let sidecar = Sidecar::start_unready(&setup).await;
        // Ready all the same: two services that wait for each other's names would wait for ever. But it is said.
        eventually("readiness", async || sidecar.is_ready().await.filter(|ready| *ready)).await;
        for mut app in Peer::app_both(sidecar.outbound()).await {
            let answer = within("the refusal", app.ask("payments", "/order")).await;
            assert_eq!(
                (answer.status, answer.header("x-countersign-reason")),
                (StatusCode::SERVICE_UNAVAILABLE, "peer_no_address"),
                "{zone:?}"
            );
            let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
            assert_eq!(record["close_reason"], "peer_no_address");
        }
        let said = sidecar.ask(sidecar.health, "/ready").await.body;
        assert!(said.starts_with("ready\nupstream: no address for payments.test.example: "), "{said}");
        dns.at(NAME, &["127.0.0.1"], 60);
        let mut app = Peer::app_http1(sidecar.outbound()).await;
        eventually("an answer", async || (app.ask("payments", "/order").await.status == StatusCode::OK).then_some(())).await;
        eventually("nothing to say", async || (sidecar.ask(sidecar.health, "/ready").await.body == "ready\n").then_some(())).await;
    }
}

/// Who answers at the address must still be the peer: a name server cannot lead a request elsewhere.
#[tokio::test]
async fn a_name_that_leads_to_somebody_else_gets_nothing() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let other = Remote::start(&setup.cert("spiffe://test.example/other"), &["h2"]).await;
    dns.at(NAME, &["127.0.0.1"], 60);
    upstream(&mut setup, &dns, &other);
    let sidecar = Sidecar::start(&setup).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    let answer = app.ask("payments", "/order").await;
    assert_eq!((answer.status, answer.header("x-countersign-reason")), (StatusCode::BAD_GATEWAY, "peer_identity_mismatch"));
    assert!(other.asked().is_empty());
    // An address may have gone to another task since: it asks again.
    dns.asked_again(NAME, 1).await;
}

/// The resolver's configuration may change under a running process.
#[tokio::test]
async fn a_changed_resolv_conf_is_read() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    dns.at(NAME, &["127.0.0.1"], 60);
    upstream(&mut setup, &dns, &remote);
    let good = std::fs::read_to_string(setup.path("resolv.conf")).unwrap();
    std::fs::write(setup.path("resolv.conf"), "# nothing yet\n").unwrap();
    let sidecar = Sidecar::start(&setup).await;
    sidecar.metric_reaches("countersign_dns_resolutions_total", &["result=\"no_resolver\""], 1.0).await;
    std::fs::write(setup.path("resolv.conf"), good).unwrap();
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    eventually("an answer", async || (app.ask("payments", "/order").await.status == StatusCode::OK).then_some(())).await;
}

fn upstream(setup: &mut Setup, dns: &Dns, remote: &Remote) {
    dns.serve(setup, "");
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("runtime.shards", "1");
    let port = remote.address.port();
    setup.table("upstream", &format!("hosts = ['payments']\naddress = 'dns://{NAME}:{port}'\nid = '{PAYMENTS}'"));
}
