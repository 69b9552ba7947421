//! A certificate with more than one URI SAN is nobody's, whatever its names are.

use crate::support::client::is_taken;
use crate::support::{ALICE, App, BOB, Setup};
use countersign::testing::pki::LeafOptions;

#[tokio::test]
async fn no_pair_of_names_is_taken() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let pairs = [[ALICE, BOB], [ALICE, ALICE], [ALICE, "https://test.example/alice"], ["https://test.example/alice", ALICE]];
    for uris in pairs {
        let cert = setup.ca.issue_with(&LeafOptions { uris: uris.map(str::to_owned).to_vec(), ..LeafOptions::nobody() });
        assert!(!is_taken(sidecar.inbound(), Some(&cert)).await, "{uris:?}");
        let serial = countersign::identity::x509::Leaf::parse(&cert.chain[0]).unwrap().serial;
        let record = sidecar.record("the refusal", |record| record["cert"]["serial"] == serial.as_str()).await;
        assert_eq!(record["reason"], "unauthenticated:two_uri_sans", "{uris:?}");
    }
    // One URI SAN beside a DNS SAN is the ordinary case.
    let cert = setup.ca.issue_with(&LeafOptions { dns_names: vec!["alice.test.example".into()], ..LeafOptions::id(ALICE) });
    assert!(is_taken(sidecar.inbound(), Some(&cert)).await);
    assert_eq!(app.seen().len(), 1, "nothing of the refused ones reached the app");
}
