//! A certificate is judged by the roots of its own trust domain, and by no others.

use crate::support::client::{Peer, is_taken};
use crate::support::{ALICE, App, Setup};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::TestCa;

#[tokio::test]
async fn an_authority_speaks_for_its_own_domain_alone() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let (partner, stranger) = (TestCa::new("partner.example"), TestCa::new("stranger.example"));
    let roots = partner.write_root(setup.dir.path(), "partner.pem");
    setup.table("trust", &format!("domain = 'partner.example'\nsource = 'file'\nfile = '{}'", roots.display()));
    let sidecar = setup.start(&app).await;
    let refused = [
        ("a domain without a bundle", stranger.issue("spiffe://stranger.example/a"), "unauthenticated:unknown_trust_domain"),
        (
            "our authority for a domain without a bundle",
            setup.ca.issue("spiffe://stranger.example/a"),
            "unauthenticated:unknown_trust_domain",
        ),
        ("a stranger's authority for our domain", stranger.issue(ALICE), "unauthenticated:untrusted_chain"),
        ("a partner's authority for our domain", partner.issue(ALICE), "unauthenticated:untrusted_chain"),
        ("our authority for a partner's domain", setup.ca.issue("spiffe://partner.example/a"), "unauthenticated:untrusted_chain"),
        ("an authority of our authority's name", TestCa::new("test.example").issue(ALICE), "unauthenticated:bad_signature"),
    ];
    for (name, cert, reason) in refused {
        assert!(!is_taken(sidecar.inbound(), Some(&cert)).await, "{name}");
        let serial = Leaf::parse(&cert.chain[0]).unwrap().serial;
        let record = sidecar.record(name, |record| record["cert"]["serial"] == serial.as_str()).await;
        assert_eq!(record["reason"], reason, "{name}");
    }
    assert!(app.seen().is_empty());

    // The partner is somebody, and the policy knows nothing of it.
    let mut peer = Peer::http2(sidecar.inbound(), &partner.issue("spiffe://partner.example/a")).await;
    assert_eq!(peer.get("/").await.status, 403);
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/").await.status, 200);
}
