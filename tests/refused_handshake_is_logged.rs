//! A refused handshake leaves a record that says who was refused and why.

use crate::support::client::is_taken;
use crate::support::curl::Curl;
use crate::support::{ALICE, App, BOB, Setup, within};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::{LeafOptions, TestCa};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn each_refused_certificate_is_named() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let (past, future) = (SystemTime::now() - Duration::from_secs(10), SystemTime::now() + Duration::from_secs(600));
    let ca = &setup.ca;
    let id = || LeafOptions::id(ALICE);
    let refused = [
        ("two_uri_sans", Some(ALICE), ca.issue_with(&LeafOptions { uris: vec![ALICE.into(), BOB.into()], ..id() })),
        ("unknown_trust_domain", Some("spiffe://other.example/a"), ca.issue("spiffe://other.example/a")),
        ("untrusted_chain", Some(ALICE), TestCa::new("other.example").issue(ALICE)),
        ("expired", Some(ALICE), ca.issue_with(&LeafOptions { not_after: past, ..id() })),
        ("not_yet_valid", Some(ALICE), ca.issue_with(&LeafOptions { not_before: future, ..id() })),
        ("wrong_usage", Some(ALICE), ca.issue_with(&LeafOptions { client: false, ..id() })),
        ("is_ca", Some(ALICE), ca.issue_with(&LeafOptions { ca: true, ..id() })),
        ("bad_spiffe_id", Some("https://test.example/alice"), ca.issue_with(&LeafOptions::id("https://test.example/alice"))),
        ("no_identity", Some("alice.test.example"), ca.issue_with(&LeafOptions::dns("alice.test.example"))),
        ("no_identity", None, ca.issue_with(&LeafOptions::nobody())),
    ];
    for (code, claimed, cert) in &refused {
        assert!(!is_taken(sidecar.inbound(), Some(cert)).await, "{code}");
        let leaf = Leaf::parse(&cert.chain[0]).unwrap();
        let record = sidecar.record(code, |record| record["cert"]["serial"] == leaf.serial.as_str()).await;
        assert_eq!(record["reason"], format!("unauthenticated:{code}"), "{record}");
        assert_eq!(record["src"]["id"].as_str(), *claimed, "{record}");
        assert_eq!(record["cert"]["sha256"], leaf.fingerprint.as_str());
        assert_eq!(record["cert"]["issuer"], leaf.issuer.as_str());
        assert!(record["cert"]["not_after"].is_string());
        is_a_refusal(&record, &sidecar);
    }
    let count = f64::from(u32::try_from(refused.len()).unwrap());
    sidecar.metric_reaches("countersign_handshakes_total", &["direction=\"inbound\"", "result=\"refused\""], count).await;
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_recorded_by_address() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    assert!(!is_taken(sidecar.inbound(), None).await);
    let (code, got) = Curl::new(setup.dir.path(), sidecar.inbound(), None).try_ask(&[], "/").await;
    assert!(code != 0 && got.status == 0, "{code} {got:?}");
    sidecar.metric_reaches("countersign_handshakes_total", &["result=\"no_certificate\""], 2.0).await;
    let record = sidecar.record("nobody", |record| record["reason"] == "unauthenticated:no_certificate").await;
    assert!(record["src"]["id"].is_null() && record["cert"]["serial"].is_null(), "{record}");
    is_a_refusal(&record, &sidecar);

    // Plain HTTP on the port of TLS, and a connection that ends at once.
    let mut plain = TcpStream::connect(sidecar.inbound()).await.unwrap();
    let port = plain.local_addr().unwrap().port();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: orders\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end of a plain connection", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    let record = sidecar.record("plain HTTP", |record| record["src"]["port"] == port).await;
    assert_eq!(record["reason"], "handshake:protocol", "{record}");
    let gone = TcpStream::connect(sidecar.inbound()).await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let record = sidecar.record("a closed connection", |record| record["src"]["port"] == port).await;
    assert_eq!(record["reason"], "handshake:closed", "{record}");
    assert!(app.seen().is_empty());
}

fn is_a_refusal(record: &Value, sidecar: &crate::support::Sidecar) {
    assert_eq!(
        (&record["kind"], &record["dir"], &record["decision"]),
        (&"handshake".into(), &"inbound".into(), &"deny".into()),
        "{record}"
    );
    assert_eq!(record["src"]["ip"], "127.0.0.1");
    assert!(record["src"]["port"].is_u64(), "{record}");
    assert_eq!(record["dst"]["port"], sidecar.inbound().port());
    assert!(record["id"].is_string() && record["time"].is_string());
}
