//! What we send is what AWS's own model of the service takes: moto, with nothing of ours over it, reads it and answers.

use crate::support::aws::Aws;
use crate::support::{ALICE, App, Peer, Setup};
use std::time::Duration;

/// It looks at no signature, and takes no notice of the template, of the token and of the validity that is asked for: what of those is right is for the
/// double to say. Here each call that we make is one that it knows, with fields that it reads.
#[tokio::test]
async fn and_what_it_issues_serves() {
    let ((moto, authority), app, mut setup) = (Aws::stock().await, App::start().await, Setup::new());
    moto.certify(&mut setup, &authority, "1h");
    setup.set("workload.dns_names", "['orders.test.example']");
    // The root of its own is asked for as well.
    setup.table("trust", "domain = 'stock.example'\nsource = 'acm-pca'");
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/").await.status, 200);
    let status = sidecar.status().await.unwrap();
    assert_eq!(peer.facts().serial, status["certificate"]["serial"].as_str().unwrap());
    for operation in ["DescribeCertificateAuthority", "IssueCertificate", "GetCertificate", "GetCertificateAuthorityCertificate"] {
        let calls = async |result: &str| {
            let labels = [format!("operation=\"{operation}\""), format!("result=\"{result}\"")];
            sidecar.metric("countersign_aws_calls_total", &[&labels[0], &labels[1]]).await
        };
        assert_eq!(calls("ok").await, 1.0, "{operation}");
    }
    assert_eq!(sidecar.metric("countersign_aws_calls_total", &[]).await, 4.0, "and nothing but answers");
    assert_eq!(sidecar.metric("countersign_rotation_failures_total", &[]).await, 0.0);
    // The end counts that the certificate has, not the one that was asked for.
    let left = Duration::from_secs_f64(sidecar.metric("countersign_svid_expires_seconds", &[]).await);
    assert!(left > Duration::from_secs(364 * 86_400), "{left:?}");
}
