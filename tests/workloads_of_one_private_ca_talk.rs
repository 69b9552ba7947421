//! Two workloads with certificates of one private CA talk; a third one, of a foreign CA that claims the same trust domain, is refused.

use crate::support::aws::{Authority, Aws};
use crate::support::client::Peer;
use crate::support::setup::{DOMAIN, ORDERS};
use crate::support::{ALICE, App, Setup, Sidecar};

/// The sidecar beside Alice, who calls orders, with a certificate of `authority`.
async fn alice(aws: &Aws, authority: &Authority, trust: &str, orders: &Sidecar) -> (Setup, Sidecar) {
    let mut setup = Setup::new();
    aws.certify(&mut setup, authority, "1h");
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("workload.id", &format!("'{ALICE}'"));
    setup.without_tables().table("trust", &format!("domain = '{DOMAIN}'\n{trust}"));
    setup.table("upstream", &format!("hosts = ['orders']\nid = '{ORDERS}'\naddress = '{}'", orders.inbound()));
    let sidecar = Sidecar::start(&setup).await;
    (setup, sidecar)
}

#[tokio::test]
async fn and_nobody_else_does() {
    let (aws, app, mut far) = (Aws::start().await, App::start().await, Setup::new());
    let (ours, foreign) = (aws.authority("ours").await, aws.authority("foreign").await);
    aws.certify(&mut far, &ours, "1h");
    // The root above the authority; the subordinate that issued comes in the handshake.
    far.without_tables().table("trust", &format!("domain = '{DOMAIN}'\nsource = 'acm-pca'"));
    let orders = far.start(&app).await;

    let (_near, sidecar) = alice(&aws, &ours, "source = 'acm-pca'", &orders).await;
    let mut caller = Peer::app_http1(sidecar.outbound()).await;
    assert_eq!(caller.ask("orders", "/ours").await.status, 200);
    assert_eq!(app.got("/ours").await.headers.get("x-countersign-peer").unwrap(), ALICE);

    // It believes both roots, so that it is the other side that refuses.
    let both = far.path("both.pem");
    std::fs::write(&both, ours.root_pem.clone() + &foreign.root_pem).unwrap();
    let (_third, sidecar) = alice(&aws, &foreign, &format!("source = 'file'\nfile = '{}'", both.display()), &orders).await;
    let mut caller = Peer::app_http1(sidecar.outbound()).await;
    let answer = caller.ask("orders", "/foreign").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-countersign-reason")), (502, "peer_refused_us"));
    let refused = orders.record("the foreign caller", |record| record["kind"] == "handshake").await;
    assert_eq!((refused["src"]["id"].as_str(), refused["decision"].as_str()), (Some(ALICE), Some("deny")), "{refused}");
    assert_eq!(refused["reason"], "unauthenticated:untrusted_chain", "{refused}");
    assert!(app.seen().iter().all(|seen| seen.target != "/foreign"));

    // The root was asked for once by each that wanted it.
    assert_eq!(aws.calls("GetCertificateAuthorityCertificate").await, 2);
}
