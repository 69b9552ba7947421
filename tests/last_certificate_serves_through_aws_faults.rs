//! Whatever goes wrong at AWS, the last certificate serves, the cause is said in log, status and metrics, and all is well again by itself.

use crate::support::aws::Aws;
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually};
use serde_json::json;

/// A sidecar that renews every few seconds.
async fn start(aws: &Aws, app: &App, validity: &str) -> (Setup, Sidecar, crate::support::aws::Authority) {
    let mut setup = Setup::new();
    let authority = aws.authority("faulty").await;
    aws.certify(&mut setup, &authority, validity);
    setup.set("credentials.renew.after", "0.1").set("credentials.renew.jitter", "0.0");
    let sidecar = setup.start(app).await;
    (setup, sidecar, authority)
}

/// Waits until the fault is told of, with `cause`; then everything goes on, and status and metrics tell of it too.
async fn serves_and_says(setup: &Setup, sidecar: &Sidecar, name: &str, cause: &str) {
    let line = eventually(name, async || {
        let log = sidecar.log();
        log.lines().find(|line| line.contains("the certificate was not replaced") && line.contains(cause)).map(str::to_owned)
    })
    .await;
    assert!(!line.contains("PRIVATE KEY"), "{line}");
    let status = sidecar.status().await.unwrap();
    assert!(status["notes"]["certificate"].as_str().unwrap().contains(cause), "{name}: {status}");
    assert_eq!(status["ready"], true, "{name}: {status}");
    let mut fresh = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(fresh.facts().serial, status["certificate"]["serial"].as_str().unwrap(), "{name}");
    assert_eq!(fresh.get("/fresh").await.status, 200, "{name}");
}

/// Waits until another certificate is in force and nothing is left to say.
async fn recovers(sidecar: &Sidecar, name: &str) {
    let before = sidecar.metric("countersign_rotations_total", &["result=\"ok\""]).await;
    sidecar.metric_reaches("countersign_rotations_total", &["result=\"ok\""], before + 1.0).await;
    eventually(name, async || sidecar.status().await.filter(|status| status["notes"]["certificate"].is_null())).await;
}

async fn calls(sidecar: &Sidecar, operation: &str, result: &str) -> f64 {
    let labels = [format!("operation=\"{operation}\""), format!("result=\"{result}\"")];
    sidecar.metric("countersign_aws_calls_total", &[&labels[0], &labels[1]]).await
}

#[tokio::test]
async fn what_aws_refuses() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (setup, sidecar, authority) = start(&aws, &app, "40s").await;
    let table = [
        ("AccessDeniedException", format!("the role may not acm-pca:IssueCertificate on {}", authority.arn), "denied"),
        ("InvalidArgsException", "look at authority, template, validity and signing_algorithm".to_owned(), "refused"),
        ("ThrottlingException", "AWS throttles acm-pca:IssueCertificate".to_owned(), "throttled"),
        ("ExpiredTokenException", "AWS does not accept the credentials".to_owned(), "bad_credentials"),
        ("InternalFailure", "AWS fails at acm-pca:IssueCertificate".to_owned(), "unavailable"),
    ];
    for (code, cause, result) in &table {
        aws.turn(json!({ "refuse": { "IssueCertificate": { "name": code, "message": "as ordered", "times": 1_000 } } })).await;
        serves_and_says(&setup, &sidecar, code, cause).await;
        assert!(calls(&sidecar, "IssueCertificate", result).await >= 1.0, "{code}");
        aws.turn(json!({ "refuse": {} })).await;
        recovers(&sidecar, code).await;
    }
    aws.set_status(&authority, "DISABLED").await;
    serves_and_says(&setup, &sidecar, "a disabled authority", "make its status ACTIVE").await;
    assert!(calls(&sidecar, "IssueCertificate", "inactive").await >= 1.0);
    aws.set_status(&authority, "ACTIVE").await;
    recovers(&sidecar, "a disabled authority").await;
    assert_eq!(aws.tokens_misused().await, 0);
}

#[tokio::test]
async fn what_aws_hands_out() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (setup, sidecar, _) = start(&aws, &app, "40s").await;
    let table = [
        ("other_key", "does not belong to the leaf"),
        ("expired", "its validity has ended"),
        ("broken_chain", "our own trust bundle refuses our own certificate: untrusted_chain"),
    ];
    for (fault, cause) in table {
        aws.turn(json!({ "give": fault })).await;
        serves_and_says(&setup, &sidecar, fault, cause).await;
        let issued = aws.issued().await;
        aws.turn(json!({ "give": "" })).await;
        recovers(&sidecar, fault).await;
        if fault == "broken_chain" {
            // What was issued is asked for again; the chain may come right.
            assert_eq!(aws.issued().await, issued);
        }
    }
}

/// An endpoint that says nothing stops nothing, and one certificate comes of all that was asked.
#[tokio::test]
async fn silence() {
    let (aws, app) = (Aws::start().await, App::start().await);
    let (setup, sidecar, _) = start(&aws, &app, "100s").await;
    let issued = aws.issued().await;
    aws.turn(json!({ "hang": { "IssueCertificate": true } })).await;
    // Each request is given up after 5 s, the call after four of them.
    sidecar.metric_reaches("countersign_aws_calls_total", &["operation=\"IssueCertificate\"", "result=\"timeout\""], 1.0).await;
    serves_and_says(&setup, &sidecar, "no answer", "AWS did not answer acm-pca:IssueCertificate in time").await;
    assert!(calls(&sidecar, "IssueCertificate", "timeout").await >= 2.0);
    aws.turn(json!({ "hang": {} })).await;
    recovers(&sidecar, "no answer").await;
    // What hung was let go and took effect late: with one token it is one certificate.
    assert_eq!(aws.issued().await, issued + 1);
}

/// Before the first certificate, the cause is what `/ready` waits for.
#[tokio::test]
async fn at_the_start() {
    const OTHER: &str = "'arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/00000000-0000-0000-0000-000000000000'";
    type Change = fn(&mut Setup) -> &mut Setup;
    let table: [(&str, Change, &str); 4] = [
        ("no such authority", |setup| setup.set("credentials.acm_pca.authority", OTHER), "compare ARN, account and region"),
        ("a life that is too long", |setup| setup.set("credentials.acm_pca.validity", "'8d'"), "ValidationException"),
        ("no credentials", |setup| setup.env("AWS_ACCESS_KEY_ID", ""), "there are no AWS credentials"),
        ("nobody there", |setup| setup.env("AWS_ENDPOINT_URL_ACM_PCA", "http://127.0.0.1:9"), "AWS cannot be reached"),
    ];
    let (aws, app) = (Aws::start().await, App::start().await);
    let authority = aws.authority("start").await;
    for (name, change, cause) in table {
        let mut setup = Setup::new();
        aws.certify(&mut setup, &authority, "1h");
        change(setup.in_front_of(app.address));
        let sidecar = Sidecar::start_unready(&setup).await;
        let pending = eventually(name, async || {
            let status = sidecar.status().await?;
            status["pending"]["certificate"].as_str().filter(|why| why.contains(cause)).map(str::to_owned)
        });
        pending.await;
        assert_eq!(sidecar.is_ready().await, Some(false), "{name}");
    }
    assert_eq!(aws.issued().await, 0);
}
