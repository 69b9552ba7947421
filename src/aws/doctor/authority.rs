//! What an authority says of itself, and whether the configuration goes with it.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::words;
use crate::aws::error::AwsError;
use crate::credentials::{AcmPca, SigningAlgorithm};
use crate::trust::Authority;
use aws_sdk_acmpca::types::{
    CertificateAuthority, CertificateAuthorityStatus as Status, CertificateAuthorityType as Kind, CertificateAuthorityUsageMode as Mode,
    KeyAlgorithm,
};
use std::time::{Duration, SystemTime};

const GROUP: Group = Group::Authority;

const DAY: u64 = 86_400;

/// The longest life in short-lived mode.
const SHORT: Duration = Duration::from_secs(7 * DAY);

/// How long before its end an authority is to be replaced.
const SOON: Duration = Duration::from_secs(30 * DAY);

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
    mode(described.usage_mode(), wanted.validity, report);
    let ends = described.not_after().and_then(|end| words::moment(end.secs()));
    end(ends, wanted.validity, now, report);
    kind(described.r#type(), report);
    key(described, wanted.signing_algorithm, report);
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

fn mode(mode: Option<&Mode>, validity: Duration, report: &mut Report) {
    let wanted = words::span(validity);
    match mode {
        Some(Mode::ShortLivedCertificate) if validity > SHORT => {
            let found = format!("short-lived: 7d at most, and validity is {wanted}");
            report.broken(
                GROUP,
                "mode",
                found,
                "write validity = \"7d\" or less in [credentials.acm_pca], or use a general-purpose authority",
            );
        }
        Some(Mode::ShortLivedCertificate) => report.ok(GROUP, "mode", format!("short-lived: 7d at most, and validity is {wanted}")),
        Some(Mode::GeneralPurpose) if validity <= SHORT => {
            report.ok(
                GROUP,
                "mode",
                format!("general purpose; for validity {wanted} short-lived mode would do, at an eighth of the monthly price"),
            );
        }
        Some(Mode::GeneralPurpose) => report.ok(GROUP, "mode", format!("general purpose, and validity is {wanted}")),
        other => {
            let said = other.map_or("none said", Mode::as_str);
            report.unknown(GROUP, "mode", said, "compare validity in [credentials.acm_pca] with what the mode allows");
        }
    }
}

/// A leaf cannot outlive its authority.
fn end(ends: Option<SystemTime>, validity: Duration, now: SystemTime, report: &mut Report) {
    let Some(ends) = ends else {
        report.unknown(GROUP, "end", "none said", "look whether its certificate is installed");
        return;
    };
    let left = ends.duration_since(now).unwrap_or_default();
    let found = format!("{}, in {} days", words::date(ends), left.as_secs() / DAY);
    let fix =
        "put another authority beside it in time: its root into [[trust]] everywhere, then its ARN into [credentials.acm_pca] authority";
    match left {
        Duration::ZERO => report.broken(GROUP, "end", format!("{}, which has passed", words::date(ends)), fix),
        left if left <= validity => {
            let found = format!("{found}: before a certificate of validity {} would end, so none is issued", words::span(validity));
            report.broken(GROUP, "end", found, format!("write a shorter validity in [credentials.acm_pca], and {fix}"));
        }
        left if left <= SOON + validity => report.warning(GROUP, "end", found, fix),
        _ => report.ok(GROUP, "end", found),
    }
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

fn key(described: &CertificateAuthority, signing: SigningAlgorithm, report: &mut Report) {
    use SigningAlgorithm as Signing;
    let configuration = described.certificate_authority_configuration();
    let key = configuration.map_or("none said", |configuration| configuration.key_algorithm().as_str());
    let is_ec = match configuration.map(|configuration| configuration.key_algorithm()) {
        Some(KeyAlgorithm::EcPrime256v1 | KeyAlgorithm::EcSecp384r1 | KeyAlgorithm::EcSecp521r1) => true,
        Some(KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096) => false,
        _ => {
            report.broken(GROUP, "key", format!("{key}, which peers do not verify"), "use an authority with an EC or RSA key");
            return;
        }
    };
    let wanted = match signing {
        Signing::Auto => None,
        Signing::Sha256WithEcdsa | Signing::Sha384WithEcdsa | Signing::Sha512WithEcdsa => Some(true),
        Signing::Sha256WithRsa | Signing::Sha384WithRsa | Signing::Sha512WithRsa => Some(false),
    };
    match wanted {
        Some(wanted) if wanted != is_ec => {
            let found = format!("{key}, which cannot sign as signing_algorithm says");
            report.broken(GROUP, "key", found, "write signing_algorithm = \"auto\" in [credentials.acm_pca]");
        }
        _ => report.ok(GROUP, "key", key),
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
