//! A peer that is not the expected one gets no application byte, and the log says who it was.

use crate::support::client::{Answer, Peer};
use crate::support::setup::DOMAIN;
use crate::support::{BOB, Remote, Setup, Sidecar, eventually};
use countersign::testing::pki::{TestCa, TestCert};
use http::StatusCode;

/// Who the sidecar is told to expect.
const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn a_peer_with_another_id_is_refused_until_the_right_one_is_there() {
    // A sidecar for each: the right peer's connection stays in the pool.
    for connect in [0, 1] {
        let (setup, right, wrong) = with_certs(|setup| setup.cert(BOB));
        let (_setup, sidecar, remote) = calling(setup, &wrong).await;
        let [http1, http2] = Peer::app_both(sidecar.outbound()).await;
        let mut app = if connect == 0 { http1 } else { http2 };
        refused(&sidecar, &remote, app.ask("payments", "/secret").await, "peer_identity_mismatch").await;
        let handshake = sidecar.record("the refused peer", |record| record["kind"] == "handshake").await;
        assert_eq!(handshake["dir"], "outbound");
        assert_eq!(handshake["decision"], "deny");
        assert_eq!(handshake["reason"], "peer_identity_mismatch");
        assert_eq!(handshake["dst"]["id"], BOB);
        let dialled = (handshake["dst"]["host"].as_str(), handshake["dst"]["port"].as_u64());
        assert_eq!(dialled, (Some("127.0.0.1"), Some(remote.address.port().into())), "{handshake}");
        assert!(handshake["cert"]["serial"].is_string() && handshake["cert"]["sha256"].is_string(), "{handshake}");
        sidecar.log_line("a peer was refused").await;

        remote.show(&right);
        assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK, "{}", app.name());
        assert_eq!(remote.asked().len(), 1, "{:?}", remote.asked());
    }
}

#[tokio::test]
async fn the_right_id_from_a_foreign_authority_is_refused() {
    let (setup, _, foreign) = with_certs(|_| TestCa::new(DOMAIN).issue(PAYMENTS));
    let (_setup, sidecar, remote) = calling(setup, &foreign).await;
    for mut app in Peer::app_both(sidecar.outbound()).await {
        refused(&sidecar, &remote, app.ask("payments", "/secret").await, "peer_certificate_refused").await;
    }
}

#[tokio::test]
async fn a_foreign_trust_domain_is_refused() {
    let (setup, _, foreign) = with_certs(|_| TestCa::new("elsewhere.example").issue("spiffe://elsewhere.example/payments"));
    let (_setup, sidecar, remote) = calling(setup, &foreign).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    refused(&sidecar, &remote, app.ask("payments", "/secret").await, "peer_certificate_refused").await;
    let handshake = sidecar.record("the refused peer", |record| record["kind"] == "handshake").await;
    assert_eq!(handshake["dst"]["id"], "spiffe://elsewhere.example/payments");
}

/// With `retries` the app does not notice; the log does.
#[tokio::test]
async fn one_that_another_endpoint_makes_up_for_is_recorded_all_the_same() {
    let (mut setup, right, wrong) = with_certs(|setup| setup.cert(BOB));
    let (good, bad) = (Remote::start(&right, &["http/1.1"]).await, Remote::start(&wrong, &["http/1.1"]).await);
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    let upstream = format!("hosts = ['payments']\naddress = ['{}', '{}']\nid = '{PAYMENTS}'\nretries = 1", bad.address, good.address);
    setup.table("upstream", &upstream);
    let sidecar = Sidecar::start(&setup).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    // Which endpoint comes first is chosen at random.
    eventually("a request that meets the wrong one first", async || {
        assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK);
        (!bad.calls().is_empty()).then_some(())
    })
    .await;
    let handshake = sidecar.record("the refused peer", |record| record["kind"] == "handshake").await;
    assert_eq!((handshake["reason"].as_str(), handshake["dst"]["id"].as_str()), (Some("peer_identity_mismatch"), Some(BOB)));
    assert!(bad.asked().is_empty());
    sidecar.metric_reaches("countersign_handshakes_total", &["direction=\"outbound\"", "result=\"ok\""], 1.0).await;
}

/// A setup, the certificate of the right peer, and another one.
fn with_certs(other: impl FnOnce(&Setup) -> TestCert) -> (Setup, TestCert, TestCert) {
    let setup = Setup::new();
    let (right, other) = (setup.cert(PAYMENTS), other(&setup));
    (setup, right, other)
}

/// An outbound sidecar with one upstream, that shows `cert`.
async fn calling(mut setup: Setup, cert: &TestCert) -> (Setup, Sidecar, Remote) {
    let remote = Remote::start(cert, &["h2", "http/1.1"]).await;
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = Sidecar::start(&setup).await;
    (setup, sidecar, remote)
}

/// The app is told why, the record says so, and on no connection that was refused came a byte.
async fn refused(sidecar: &Sidecar, remote: &Remote, answer: Answer, reason: &str) {
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.header("x-countersign-reason"), reason);
    let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
    assert_eq!(record["http"]["status"], 502);
    assert_eq!(record["close_reason"], reason);
    assert_eq!(record["dst"]["id"], PAYMENTS);
    let told = sidecar.metric("countersign_handshakes_total", &["direction=\"outbound\"", &format!("result=\"{reason}\"")]).await;
    assert!(told >= 1.0, "{told}");
    eventually("the end of the refused connections", async || remote.calls().iter().all(|call| call.ended).then_some(())).await;
    for call in remote.calls() {
        assert!(call.refused.is_some() && call.bytes == 0, "{call:?}");
    }
    assert!(remote.asked().is_empty());
}
