//! The root above an authority stays while AWS does not give it; a reload asks for it again, and costs no certificate.

use crate::support::aws::Aws;
use crate::support::setup::{DOMAIN, replace};
use crate::support::{App, Peer, Setup, eventually, policy};
use countersign::testing::pki::TestCa;
use rustix::process::Signal;
use serde_json::json;

const PARTNER: &str = "spiffe://partner.example/a";

#[tokio::test]
async fn over_reloads() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let (authority, partner) = (aws.authority("roots").await, TestCa::new("partner.example"));
    aws.certify(&mut setup, &authority, "1h");
    let file = partner.write_root(setup.dir.path(), "partner.pem");
    setup.without_tables().table("trust", &format!("domain = '{DOMAIN}'\nsource = 'acm-pca'"));
    setup.table("trust", &format!("domain = 'partner.example'\nsource = 'file'\nfile = '{}'", file.display()));
    setup.write_policy(&policy(&[("partner", PARTNER, "/**")]));
    let sidecar = setup.start(&app).await;
    assert_eq!(aws.calls("GetCertificateAuthorityCertificate").await, 1);

    let refusal = json!({ "name": "AccessDeniedException", "times": 1_000 });
    aws.turn(json!({ "refuse": { "GetCertificateAuthorityCertificate": refusal } })).await;
    // Another domain changes meanwhile: one that cannot be asked holds up nobody else.
    let second = TestCa::new("partner.example");
    std::fs::write(&file, partner.root_pem() + &second.root_pem()).unwrap();
    sidecar.signal(Signal::HUP);
    let line = sidecar.log_line("the last one stays").await;
    assert!(line.contains("acm-pca:GetCertificateAuthorityCertificate") && line.contains(&authority.arn), "{line}");
    sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"ok\""], 2.0).await;
    for ca in [&partner, &second] {
        let mut peer = Peer::http2(sidecar.inbound(), &ca.issue(PARTNER)).await;
        assert_eq!(peer.get("/").await.status, 200);
    }

    aws.turn(json!({ "refuse": {} })).await;
    let asked = aws.calls("GetCertificateAuthorityCertificate").await;
    sidecar.signal(Signal::HUP);
    let labels = ["operation=\"GetCertificateAuthorityCertificate\"", "result=\"ok\""];
    sidecar.metric_reaches("countersign_aws_calls_total", &labels, 2.0).await;
    assert_eq!(aws.calls("GetCertificateAuthorityCertificate").await, asked + 1);
    assert_eq!(aws.issued().await, 1, "a reload costs no certificate");
}

/// What changes beside does not make a question that is under way be asked anew.
#[tokio::test]
async fn over_changes_beside() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("roots").await;
    aws.certify(&mut setup, &authority, "1h");
    let denied = setup.path("denied");
    std::fs::write(&denied, "").unwrap();
    setup
        .without_tables()
        .table("trust", &format!("domain = '{DOMAIN}'\nsource = 'acm-pca'\nrevocation.deny_list = '{}'", denied.display()));
    let sidecar = setup.start(&app).await;
    let operation = "GetCertificateAuthorityCertificate";
    let asked = aws.calls(operation).await;

    aws.turn(json!({ "hang": { operation: true } })).await;
    sidecar.signal(Signal::HUP);
    eventually("a question", async || (aws.calls(operation).await > asked).then_some(())).await;
    for (count, list) in [(2.0, "aa\n"), (3.0, "aa\nbb\n"), (4.0, "cc\n")] {
        replace(&denied, list);
        sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"ok\""], count).await;
    }
    aws.turn(json!({ "hang": {} })).await;
    let labels = [format!("operation=\"{operation}\""), "result=\"ok\"".to_owned()];
    sidecar.metric_reaches("countersign_aws_calls_total", &[&labels[0], &labels[1]], 2.0).await;
    assert_eq!(aws.calls(operation).await, asked + 1);
}
