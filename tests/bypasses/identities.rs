//! Who a certificate is about.

use super::{Fortress, WEB, rule};
use crate::support::client::is_taken;
use crate::support::{Raw, Setup};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::{LeafOptions, TestCa, TestCert};

/// A URI in a subject alternative name (RFC 5280, section 4.2.1.6).
const URI: u8 = 6;

/// The handshake is refused and recorded for this reason.
async fn unauthenticated(fortress: &Fortress, cert: &TestCert, reason: &str) {
    assert!(!is_taken(fortress.sidecar.inbound(), Some(cert)).await, "{reason}");
    let serial = Leaf::parse(&cert.chain[0]).map(|leaf| leaf.serial).ok();
    let ours = |record: &serde_json::Value| {
        record["kind"] == "handshake"
            && record["reason"] == reason
            && (serial.is_none() || record["cert"]["serial"].as_str() == serial.as_deref())
    };
    fortress.sidecar.record(reason, ours).await;
    assert!(fortress.app.seen().is_empty());
}

fn everything() -> String {
    rule("all", "allow", WEB, "paths = ['/**']")
}

#[tokio::test]
async fn cve_2025_66220() {
    let fortress = Fortress::under(&everything()).await;
    for uri in [format!("{WEB}\0"), format!("{WEB}\0.evil.example"), WEB.replace("/sa/", "\0/sa/")] {
        let cert = fortress.setup.ca.issue_with(&LeafOptions { raw_names: vec![(URI, uri.clone().into_bytes())], ..LeafOptions::nobody() });
        unauthenticated(&fortress, &cert, "unauthenticated:bad_certificate").await;
    }
}

#[tokio::test]
async fn cve_2022_40716() {
    let fortress = Fortress::under(&everything()).await;
    for uris in [[WEB, "spiffe://test.example/b"], ["spiffe://test.example/b", WEB], [WEB, WEB], [WEB, "https://test.example/"]] {
        let cert = fortress.setup.ca.issue_with(&LeafOptions { uris: uris.map(str::to_owned).to_vec(), ..LeafOptions::nobody() });
        unauthenticated(&fortress, &cert, "unauthenticated:two_uri_sans").await;
    }
}

#[tokio::test]
async fn rustsec_2026_0098() {
    let other = TestCa::new("dev.example");
    let fortress = Fortress::configured(&everything(), |setup: &mut Setup| {
        let roots = other.write_root(setup.dir.path(), "dev.pem");
        setup.table("trust", &format!("domain = 'dev.example'\nsource = 'file'\nfile = '{}'", roots.display()));
    })
    .await;
    unauthenticated(&fortress, &other.issue(WEB), "unauthenticated:untrusted_chain").await;
    // It speaks for its own.
    assert!(is_taken(fortress.sidecar.inbound(), Some(&other.issue("spiffe://dev.example/a"))).await);
}

#[tokio::test]
async fn cve_2020_15104() {
    let rules = "[[rule]]\nid = 'names'\neffect = 'allow'\nfrom = { dns_san = ['*.example.com'] }\nwhy = 'test'\npaths = ['/**']\n";
    let ca = TestCa::new("test.example");
    let fortress = Fortress::configured(rules, |setup: &mut Setup| {
        let roots = ca.write_root(setup.dir.path(), "names.pem");
        let names = "['*.example.com', '*.b.example.com']";
        setup.table("trust", &format!("domain = 'names.example'\nsource = 'file'\nfile = '{}'\ndns_names = {names}", roots.display()));
    })
    .await;
    for (name, status) in [("a.example.com", 200), ("a.b.example.com", 403)] {
        let mut connection = Raw::http1(fortress.sidecar.inbound(), &ca.issue_with(&LeafOptions::dns(name))).await;
        connection.send("GET /x HTTP/1.1\r\nhost: orders\r\n\r\n").await;
        assert_eq!(connection.response().await.unwrap().status, status, "{name}");
    }
    let record = fortress.sidecar.record("the denial", |record| record["src"]["id"] == "a.b.example.com").await;
    assert_eq!((record["reason"].as_str(), record["rule"].as_str()), (Some("implicit_deny"), None));
    assert_eq!(fortress.app.seen().len(), 1);
}

#[tokio::test]
async fn cve_2026_39350() {
    let dotted = "spiffe://test.example/sa/cert-manager.io";
    let fortress = Fortress::under(&rule("manager", "allow", dotted, "paths = ['/**']")).await;
    for (id, status) in
        [("spiffe://test.example/sa/cert-manager-io", 403), ("spiffe://test.example/sa/cert-managerxio", 403), (dotted, 200)]
    {
        assert!(fortress.app.seen().is_empty());
        let mut connection = Raw::http1(fortress.sidecar.inbound(), &fortress.setup.cert(id)).await;
        connection.send("GET /x HTTP/1.1\r\nhost: orders\r\n\r\n").await;
        assert_eq!(connection.response().await.unwrap().status, status, "{id}");
        let record = fortress.sidecar.record(id, |record| record["src"]["id"] == id).await;
        assert_eq!(record["reason"], if status == 200 { "rule" } else { "implicit_deny" });
    }
}
