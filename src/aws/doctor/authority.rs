//! What an authority says of itself, and whether the configuration goes with it.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::terms;
use crate::aws::error::AwsError;
use crate::credentials::{AcmPca, SigningAlgorithm};
use crate::trust::Authority;
use aws_sdk_acmpca::types::{CertificateAuthority, CertificateAuthorityStatus as Status, CertificateAuthorityType as Kind};
use std::time::SystemTime;

const GROUP: Group = Group::Authority;

/// Asks what the authority is.
pub(super) async fn describe(asking: &Asking<'_>, authority: &Authority) -> Result<CertificateAuthority, AwsError> {
    const ACTION: &str = "acm-pca:DescribeCertificateAuthority";
    let (client, arn) = (asking.acm_pca(authority).await, authority.as_str());
    let described = ask(ACTION, || {
        let sent = client.describe_certificate_authority().certificate_authority_arn(arn).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
    });
    described.await?.certificate_authority.ok_or_else(|| AwsError::answer(ACTION, "no authority"))
}

/// Whether it may be asked for its state, and whether that is needed.
pub(super) fn may_describe(described: &Result<CertificateAuthority, AwsError>, wanted: &AcmPca, report: &mut Report) {
    const CHECK: &str = "DescribeCertificateAuthority";
    match described {
        Ok(_) => report.ok(Group::Needed, CHECK, "allowed"),
        Err(AwsError::Denied { .. }) if wanted.signing_algorithm != SigningAlgorithm::Auto => {
            report.ok(Group::Needed, CHECK, "not allowed, and not needed: signing_algorithm is written");
        }
        Err(AwsError::Denied { said, .. }) => {
            let arn = &wanted.authority;
            let fix = format!(
                "allow acm-pca:DescribeCertificateAuthority on {arn} (deploy/iam/acm-pca.json), or write signing_algorithm in [credentials.acm_pca]"
            );
            report.broken(Group::Needed, CHECK, format!("denied: {said}"), fix);
        }
        Err(AwsError::NotFound { .. }) => report.not_asked(Group::Needed, CHECK, "there is no such authority"),
        Err(error) => report.unknown(Group::Needed, CHECK, error.to_string(), again(error)),
    }
}

/// Compares what it says with the configuration. `true`: it can issue.
pub(super) fn examine(
    described: &CertificateAuthority,
    wanted: &AcmPca,
    account: Option<&str>,
    now: SystemTime,
    report: &mut Report,
) -> bool {
    owner(&wanted.authority, account, report);
    let issues = state(described.status(), &wanted.authority, report);
    terms::mode(described.usage_mode(), wanted.validity, report);
    terms::end(described.not_after(), wanted.validity, now, report);
    kind(described.r#type(), report);
    terms::key(described, wanted.signing_algorithm, report);
    revocation(described, report);
    issues
}

/// Where it does not say what it is. `true`: it may issue all the same.
pub(super) fn not_described(error: &AwsError, report: &mut Report) -> bool {
    let AwsError::NotFound { said, .. } = error else {
        report.not_asked(GROUP, "state", "the authority does not say what it is");
        return true;
    };
    let fix = "compare account, region and id of [credentials.acm_pca] authority with the console";
    report.broken(GROUP, "arn", format!("there is no such authority ({said})"), fix);
    false
}

/// An authority of another account is shared with the caller's, or cannot be asked.
fn owner(authority: &Authority, caller: Option<&str>, report: &mut Report) {
    let foreign = caller.filter(|caller| *caller != authority.account());
    let shared = foreign.map(|caller| format!(", shared with {caller}")).unwrap_or_default();
    report.ok(GROUP, "arn", format!("{authority}{shared}"));
}

fn state(status: Option<&Status>, authority: &Authority, report: &mut Report) -> bool {
    let fix = match status {
        Some(Status::Active) => {
            report.ok(GROUP, "state", "ACTIVE");
            return true;
        }
        Some(Status::Disabled) => {
            format!("enable it: aws acm-pca update-certificate-authority --status ACTIVE --certificate-authority-arn {authority}")
        }
        Some(Status::Expired) => "install a new certificate for it, or write another one in [credentials.acm_pca] authority".to_owned(),
        Some(Status::PendingCertificate) => {
            "install its certificate (aws acm-pca get-certificate-authority-csr; have it signed; import it)".to_owned()
        }
        Some(Status::Deleted) => {
            format!("restore it while that is possible: aws acm-pca restore-certificate-authority --certificate-authority-arn {authority}")
        }
        _ => "make another one, and write it in [credentials.acm_pca] authority".to_owned(),
    };
    report.broken(GROUP, "state", status.map_or("none said", Status::as_str), fix);
    false
}

fn kind(kind: Option<&Kind>, report: &mut Report) {
    match kind {
        Some(Kind::Subordinate) => report.ok(GROUP, "kind", "subordinate"),
        Some(Kind::Root) => report.warning(
            GROUP,
            "kind",
            "a root: it cannot be replaced without touching every [[trust]]",
            "make a subordinate with path length 0 below it, and let workloads ask that one",
        ),
        other => report.unknown(GROUP, "kind", other.map_or("none said", Kind::as_str), "look at it in the console"),
    }
}

/// For people only: whom we refuse is decided by `[trust.revocation]`.
fn revocation(described: &CertificateAuthority, report: &mut Report) {
    let configured = described.revocation_configuration();
    let crl = configured.and_then(|configured| configured.crl_configuration()).filter(|crl| crl.enabled());
    let ocsp = configured.and_then(|configured| configured.ocsp_configuration()).is_some_and(|ocsp| ocsp.enabled());
    let lists = crl.map(|crl| match (crl.s3_bucket_name(), crl.expiration_in_days()) {
        (Some(bucket), Some(days)) => format!("lists in the bucket {bucket}, good for {days} days"),
        (Some(bucket), None) => format!("lists in the bucket {bucket}"),
        _ => "lists".to_owned(),
    });
    let responder = ocsp.then(|| "OCSP, which the sidecar does not ask".to_owned());
    let found = [lists, responder].into_iter().flatten().collect::<Vec<_>>().join("; ");
    report.ok(GROUP, "revocation", if found.is_empty() { "none: certificates end by themselves".to_owned() } else { found });
}
