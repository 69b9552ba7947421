//! A pooled connection serves only the identity that it was made for, and only with the certificate that it was made with.

use crate::support::client::at;
use crate::support::setup::ORDERS;
use crate::support::{ALICE, App, Peer, Remote, Setup, Sidecar, eventually, within};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::{LeafOptions, TestCert};
use http::StatusCode;
use std::collections::BTreeSet;

const PAYMENTS: &str = "spiffe://test.example/payments";
const BILLING: &str = "spiffe://test.example/billing";

#[tokio::test]
async fn one_address_with_one_identity_serves_only_its_own_host() {
    for alpn in ["h2", "http/1.1"] {
        let mut setup = Setup::new();
        let remote = Remote::start(&setup.cert(PAYMENTS), &[alpn]).await;
        let sidecar = two_hosts_at(&mut setup, &remote).await;
        for mut app in Peer::app_both(sidecar.outbound()).await {
            for _ in 0..5 {
                assert_eq!(app.ask("payments", "/p").await.status, StatusCode::OK, "{alpn}");
                let refused = app.ask("billing", "/b").await;
                assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{alpn}");
                assert_eq!(refused.header("x-countersign-reason"), "peer_identity_mismatch");
            }
        }
        assert!(remote.asked().iter().all(|asked| asked.host == "payments"), "{:?}", remote.asked());
    }
}

#[tokio::test]
async fn two_identities_at_one_address_never_share_a_connection() {
    for alpn in ["h2", "http/1.1"] {
        let mut setup = Setup::new();
        let remote = Remote::start(&setup.cert(PAYMENTS), &[alpn]).await;
        remote.show_as("billing", &setup.cert(BILLING));
        let sidecar = two_hosts_at(&mut setup, &remote).await;
        for mut app in Peer::app_both(sidecar.outbound()).await {
            for _ in 0..10 {
                for host in ["payments", "billing"] {
                    let answer = app.ask(host, "/").await;
                    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, host.as_bytes()), "{alpn}");
                }
            }
        }
        let (calls, asked) = (remote.calls(), remote.asked());
        assert_eq!(asked.len(), 40);
        for asked in &asked {
            assert_eq!(calls[asked.call].server_name.as_deref(), Some(asked.host.as_str()), "{alpn}");
        }
        // The pool is used all the same: at most one connection for each shard and host.
        assert!(calls.len() <= 4, "{alpn}: {calls:?}");
    }
}

#[tokio::test]
async fn a_new_certificate_of_our_own_takes_new_connections() {
    for alpn in ["h2", "http/1.1"] {
        let (app, mut setup) = (App::start().await, Setup::new());
        setup.in_front_of(app.address).set("timeouts.pool_idle", "'60s'");
        let old = setup.own_certificate(&LeafOptions::id(ORDERS));
        let remote = Remote::start(&setup.cert(PAYMENTS), &[alpn]).await;
        let sidecar = two_hosts_at(&mut setup, &remote).await;
        let [mut first, mut held] = Peer::app_both(sidecar.outbound()).await;
        first.ask("payments", "/old").await;
        let held = held.begin(at("payments", "/hold/old"));
        remote.got("/hold/old").await;

        let new = setup.own_certificate(&LeafOptions::id(ORDERS));
        let (old, new) = (serial(&old), serial(&new));
        assert_ne!(old, new);
        shows(&sidecar, &setup, &new).await;
        for target in ["/new/1", "/new/2"] {
            assert_eq!(first.ask("payments", target).await.status, StatusCode::OK);
            let asked = remote.got(target).await;
            assert_eq!(remote.calls()[asked.call].client, Some(new.clone()), "{alpn}");
        }
        // What ran on the old connection is not lost.
        remote.release();
        assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
        let asked = remote.got("/hold/old").await;
        assert_eq!(remote.calls()[asked.call].client, Some(old.clone()));
        let asked = remote.asked();
        let new: BTreeSet<usize> = asked.iter().filter(|asked| asked.target.starts_with("/new")).map(|asked| asked.call).collect();
        assert_eq!(new.len(), 1, "{alpn}: the new connection is pooled");
    }
}

/// Two upstreams at the address of `remote`.
async fn two_hosts_at(setup: &mut Setup, remote: &Remote) -> Sidecar {
    setup.set("outbound.listen", "'127.0.0.1:0'");
    for (host, id) in [("payments", PAYMENTS), ("billing", BILLING)] {
        setup.table("upstream", &format!("hosts = ['{host}']\naddress = '{}'\nid = '{id}'", remote.address));
    }
    if !setup.config().contains("app = ") {
        setup.unset("inbound");
    }
    Sidecar::start(setup).await
}

fn serial(cert: &TestCert) -> String {
    Leaf::parse(cert.chain.first().unwrap()).unwrap().serial
}

/// Waits until new inbound handshakes show the certificate with this serial number.
async fn shows(sidecar: &Sidecar, setup: &Setup, serial: &str) {
    let cert = setup.cert(ALICE);
    eventually("the new certificate", async || (Peer::http1(sidecar.inbound(), &cert).await.facts().serial == serial).then_some(())).await;
}
