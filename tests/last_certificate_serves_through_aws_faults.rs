//! Whatever goes wrong at AWS, the last certificate serves, the cause is said in log, status and metrics, and all is well again by itself.

use crate::support::aws::Aws;
use crate::support::faults::Renewing;
use crate::support::{App, Setup, Sidecar, eventually};
use serde_json::json;

/// Each is refused until the last certificate was seen to serve.
async fn refuses(table: &[(&str, &str, &str)]) {
    let renewing = Renewing::start("40s", |_, _| ()).await;
    for (code, cause, reason) in table {
        let refusal = json!({ "name": code, "message": "as ordered", "times": 1_000 });
        renewing.aws.turn(json!({ "refuse": { "IssueCertificate": refusal } })).await;
        renewing.serves_and_says(code, &cause.replace("<it>", &renewing.authority.arn), reason).await;
        assert!(renewing.calls("IssueCertificate", reason).await >= 1.0, "{code}");
        renewing.aws.turn(json!({ "refuse": {} })).await;
        renewing.recovers(code).await;
    }
    assert_eq!(renewing.aws.tokens_misused().await, 0);
}

/// The first is also what a template gets that the role may not use.
#[tokio::test]
async fn what_the_account_refuses() {
    refuses(&[
        ("AccessDeniedException", "the role may not acm-pca:IssueCertificate on <it>", "denied"),
        ("ResourceNotFoundException", "<it> is not there: compare ARN, account and region", "not_found"),
        ("ExpiredTokenException", "AWS does not accept the credentials", "bad_credentials"),
        ("ThrottlingException", "AWS throttles acm-pca:IssueCertificate", "throttled"),
    ])
    .await;
}

#[tokio::test]
async fn what_the_authority_refuses() {
    refuses(&[
        ("InvalidArgsException", "look at authority, template, validity and signing_algorithm", "refused"),
        ("MalformedCSRException", "MalformedCSRException: as ordered", "refused"),
        ("InternalFailure", "AWS fails at acm-pca:IssueCertificate", "unavailable"),
    ])
    .await;
}

#[tokio::test]
async fn an_authority_that_is_not_active() {
    let renewing = Renewing::start("40s", |_, _| ()).await;
    for status in ["DISABLED", "EXPIRED"] {
        renewing.aws.set_status(&renewing.authority, status).await;
        renewing.serves_and_says(status, "ACTIVE", "inactive").await;
        assert!(renewing.calls("IssueCertificate", "inactive").await >= 1.0);
        renewing.aws.set_status(&renewing.authority, "ACTIVE").await;
        renewing.recovers(status).await;
    }
}

#[tokio::test]
async fn what_aws_hands_out() {
    let renewing = Renewing::start("40s", |_, _| ()).await;
    let table = [
        ("other_key", "does not belong to the leaf", "other_key"),
        ("expired", "its validity has ended", "expired"),
        ("broken_chain", "our own trust bundle refuses our own certificate: untrusted_chain", "untrusted_chain"),
    ];
    for (fault, cause, reason) in table {
        renewing.aws.turn(json!({ "give": fault })).await;
        renewing.serves_and_says(fault, cause, reason).await;
        renewing.aws.turn(json!({ "give": "" })).await;
        renewing.recovers(fault).await;
    }
}

/// An endpoint that says nothing stops nothing, and one certificate comes of all that was asked.
#[tokio::test]
async fn silence() {
    let renewing = Renewing::start("100s", |_, _| ()).await;
    let issued = renewing.aws.issued().await;
    renewing.aws.turn(json!({ "hang": { "IssueCertificate": true } })).await;
    // Each request is given up after 5 s, the call after four of them.
    let labels = ["operation=\"IssueCertificate\"", "result=\"timeout\""];
    renewing.sidecar.metric_reaches("countersign_aws_calls_total", &labels, 1.0).await;
    renewing.serves_and_says("no answer", "AWS did not answer acm-pca:IssueCertificate in time", "timeout").await;
    assert!(renewing.calls("IssueCertificate", "timeout").await >= 2.0);
    renewing.aws.turn(json!({ "hang": {} })).await;
    renewing.recovers("no answer").await;
    // What hung was let go and took effect late: with one token it is one certificate.
    assert_eq!(renewing.aws.issued().await, issued + 1);
}

/// Before the first certificate, the cause is what `/ready` waits for.
#[tokio::test]
async fn at_the_start() {
    const OTHER: &str = "'arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/00000000-0000-0000-0000-000000000000'";
    type Change = fn(&mut Setup) -> &mut Setup;
    let table: [(&str, Change, &str); 5] = [
        ("no such authority", |setup| setup.set("credentials.acm_pca.authority", OTHER), "compare ARN, account and region"),
        ("a life that is too long", |setup| setup.set("credentials.acm_pca.validity", "'8d'"), "ValidationException"),
        ("no such template", |setup| setup.set("credentials.acm_pca.template", "'NoSuchCertificate/V1'"), "unknown template"),
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
