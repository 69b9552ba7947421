//! What is wrong anywhere in a chain refuses it in the handshake, and the record names it.

use crate::support::client::is_taken;
use crate::support::setup::DOMAIN;
use crate::support::{ALICE, App, Peer, Remote, Setup, Sidecar};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::{AuthorityOptions, LeafOptions, TestCa, TestCert};
use http::StatusCode;
use std::time::{Duration, SystemTime};

/// Chains with one thing wrong, below a root that is trusted: what the record calls it, and the chain of `id`.
fn bad(root: &TestCa, id: &str) -> Vec<(&'static str, &'static str, TestCert)> {
    let (past, future) = (SystemTime::now() - Duration::from_secs(10), SystemTime::now() + Duration::from_secs(600));
    let below = |options: AuthorityOptions| root.intermediate_with("below", &options);
    let good = AuthorityOptions::default;
    let named = LeafOptions { dns_names: vec!["pay.other.example".into()], ..LeafOptions::id(id) };
    let mut headless = root.intermediate("unsent").issue(id);
    headless.chain.truncate(1);
    vec![
        ("an intermediate that has expired", "expired", below(AuthorityOptions { not_after: past, ..good() }).issue(id)),
        ("an intermediate that is not valid yet", "not_yet_valid", below(AuthorityOptions { not_before: future, ..good() }).issue(id)),
        (
            "an authority below one that may have none below it",
            "untrusted_chain",
            below(AuthorityOptions { path_length: Some(0), ..good() }).intermediate("further below").issue(id),
        ),
        (
            "a name outside of what the intermediate may issue for",
            "untrusted_chain",
            below(AuthorityOptions { only_below: Some("shop.example".into()), ..good() }).issue_with(&named),
        ),
        ("an intermediate that was not sent", "untrusted_chain", headless),
        ("a leaf that issues", "untrusted_chain", issued_by_a_leaf(root, id)),
    ]
}

/// The issuer's certificate in the chain is a leaf's: of another key, which is all that a thief has.
fn issued_by_a_leaf(root: &TestCa, id: &str) -> TestCert {
    let mut cert = TestCa::named(DOMAIN, "a common name is no identity").issue(id);
    cert.chain.push(root.issue(id).chain[0].clone());
    cert
}

#[tokio::test]
async fn of_callers() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let server_only = AuthorityOptions { server_only: true, ..AuthorityOptions::default() };
    let mut chains = bad(&setup.ca, ALICE);
    chains.push(("an intermediate for servers alone", "wrong_usage", setup.ca.intermediate_with("servers", &server_only).issue(ALICE)));
    for (what, code, cert) in chains {
        assert!(!is_taken(sidecar.inbound(), Some(&cert)).await, "{what}");
        let serial = Leaf::parse(&cert.chain[0]).unwrap().serial;
        let record = sidecar.record(what, |record| record["cert"]["serial"] == serial.as_str()).await;
        assert_eq!(record["reason"], format!("unauthenticated:{code}"), "{what}: {record}");
    }
    let deep = setup.ca.intermediate_with("one", &AuthorityOptions { path_length: Some(1), ..AuthorityOptions::default() });
    let good = [deep.intermediate("two").issue(ALICE), setup.ca.intermediate("below").issue(ALICE)];
    for cert in good {
        assert!(is_taken(sidecar.inbound(), Some(&cert)).await, "long and good");
    }
}

#[tokio::test]
async fn of_peers_that_we_call() {
    const PAYMENTS: &str = "spiffe://test.example/payments";
    let mut setup = Setup::new();
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    let remote = Remote::start(&setup.ca.intermediate("below").issue(PAYMENTS), &["h2"]).await;
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    for (what, _, cert) in bad(&setup.ca, PAYMENTS) {
        // A sidecar each: a pooled connection would answer for the one after it.
        remote.show(&cert);
        let sidecar = Sidecar::start(&setup).await;
        let refused = Peer::app_http1(sidecar.outbound()).await.ask("payments", "/").await;
        assert_eq!(refused.header("x-countersign-reason"), "peer_certificate_refused", "{what}");
    }
    remote.show(&setup.ca.intermediate("below").issue(PAYMENTS));
    let sidecar = Sidecar::start(&setup).await;
    assert_eq!(Peer::app_http1(sidecar.outbound()).await.ask("payments", "/").await.status, StatusCode::OK);
    assert_eq!(remote.asked().len(), 1, "of the bad ones none got a request");
}
