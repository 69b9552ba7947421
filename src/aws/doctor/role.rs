//! What the role may do, asked so that nothing is done: with a request that AWS must refuse, and refuses otherwise where the role is not allowed.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use crate::aws::error::AwsError;
use crate::credentials::AcmPca;
use crate::trust::Authority;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{KeyAlgorithm, SigningAlgorithm, Validity, ValidityPeriodType};
use std::time::{Duration, SystemTime};

/// PEM around an empty sequence: there is no key and no name in it, so whatever else a request says, nothing can be issued for it.
const NO_REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";

/// What AWS says of it once the role's permission has been found.
const MALFORMED: &str = "MalformedCSRException";

/// Templates that a workload has no use for, and what they are good for in the wrong hands. They stand for their kind: IAM allows or denies by the
/// template's whole name, and a policy that allows only the one that is needed denies all others.
const EXCESSIVE: [(&str, &str); 3] = [
    ("BlankEndEntityCertificate_APIPassthrough/V1", "certificates with any name and usage that the caller writes"),
    ("EndEntityCertificate_CSRPassthrough/V1", "certificates with extensions that the caller writes"),
    ("SubordinateCACertificate_PathLen0/V1", "authorities of the caller's own"),
];

/// What the role is allowed, as far as AWS lets it be known.
enum Allowed {
    Yes,
    No { said: String },
    Unknown { said: String, fix: &'static str },
}

impl Allowed {
    /// `passed`: the error that only who is allowed gets to see.
    fn of<T>(answer: Result<T, AwsError>, passed: impl Fn(&AwsError) -> bool) -> Self {
        match answer {
            Ok(_) => Self::Yes,
            Err(error) if passed(&error) => Self::Yes,
            Err(AwsError::Denied { said, .. }) => Self::No { said },
            Err(error @ AwsError::Refused { .. }) => {
                // Nobody wrote down whether AWS looks at this before it looks at permissions.
                Self::Unknown { said: error.to_string(), fix: "look at the role's policy: AWS refused for another reason before it told" }
            }
            Err(error) => Self::Unknown { fix: again(&error), said: error.to_string() },
        }
    }
}

/// Whether the role may do what the sidecar does, and not what it does not.
pub(super) async fn examine(asking: &Asking<'_>, wanted: &AcmPca, key: Option<&KeyAlgorithm>, now: SystemTime, report: &mut Report) {
    let (client, authority) = (asking.acm_pca(&wanted.authority).await, &wanted.authority);
    let signing = match key {
        Some(KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096) => SigningAlgorithm::Sha256Withrsa,
        _ => SigningAlgorithm::Sha256Withecdsa,
    };
    let template = wanted.template.as_str();
    let check = "IssueCertificate";
    match may_issue(&client, authority, template, &signing, now).await {
        Allowed::Yes => {
            report.ok(Group::Needed, check, format!("allowed by {template}; a request that cannot be read was refused as such"))
        }
        Allowed::No { said } => {
            let fix = format!(
                "allow acm-pca:IssueCertificate on {authority} where acm-pca:TemplateArn is {} (deploy/iam/acm-pca.json)",
                arn(authority, template)
            );
            report.broken(Group::Needed, check, format!("denied for {template}: {said}"), fix);
        }
        Allowed::Unknown { said, fix } => report.unknown(Group::Needed, check, said, fix),
    }
    get_certificate(&client, authority, report).await;
    for (template, good_for) in EXCESSIVE {
        if template == wanted.template.as_str() {
            let fix = "write template = \"EndEntityCertificate/V1\" in [credentials.acm_pca], and let the role use no other";
            report.warning(Group::Excess, template, format!("it is the one that is configured: {good_for}"), fix);
            continue;
        }
        match may_issue(&client, authority, template, &signing, now).await {
            Allowed::No { .. } => report.ok(Group::Excess, template, "denied"),
            Allowed::Yes => {
                let fix = format!(
                    "deny acm-pca:IssueCertificate where acm-pca:TemplateArn is not {} (\"FromNoOther\" in deploy/iam/acm-pca.json)",
                    arn(authority, wanted.template.as_str())
                );
                report.broken(Group::Excess, template, format!("allowed: {good_for}"), fix);
            }
            Allowed::Unknown { said, fix } => report.unknown(Group::Excess, template, said, fix),
        }
    }
}

/// Nothing is known where the authority cannot issue: which of the two AWS says first is not written down.
pub(super) fn not_asked(because: &str, report: &mut Report) {
    for check in ["GetCertificateAuthorityCertificate", "IssueCertificate", "GetCertificate"] {
        report.not_asked(Group::Needed, check, because);
    }
    for (template, _) in EXCESSIVE {
        report.not_asked(Group::Excess, template, because);
    }
}

async fn may_issue(
    client: &aws_sdk_acmpca::Client,
    authority: &Authority,
    template: &str,
    signing: &SigningAlgorithm,
    now: SystemTime,
) -> Allowed {
    const ACTION: &str = "acm-pca:IssueCertificate";
    let ends = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(3_600);
    let ends = i64::try_from(ends.as_secs()).unwrap_or(i64::MAX);
    let validity = match Validity::builder().r#type(ValidityPeriodType::Absolute).value(ends).build() {
        Ok(validity) => validity,
        Err(error) => return Allowed::Unknown { said: error.to_string(), fix: "compare the clock" },
    };
    let (template, authority) = (arn(authority, template), authority.as_str());
    let asked = ask(ACTION, || {
        let request = client.issue_certificate().certificate_authority_arn(authority).csr(Blob::new(NO_REQUEST));
        let sent = request.template_arn(&template).signing_algorithm(signing.clone()).validity(validity.clone()).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, authority, &error)) })
    });
    Allowed::of(asked.await, |error| matches!(error, AwsError::Refused { code, .. } if code == MALFORMED))
}

/// Asks for a certificate that was never issued.
async fn get_certificate(client: &aws_sdk_acmpca::Client, authority: &Authority, report: &mut Report) {
    const ACTION: &str = "acm-pca:GetCertificate";
    let check = "GetCertificate";
    let nothing = format!("{authority}/certificate/{:032x}", 0);
    let asked = ask(ACTION, || {
        let sent = client.get_certificate().certificate_authority_arn(authority.as_str()).certificate_arn(&nothing).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, authority.as_str(), &error)) })
    });
    match Allowed::of(asked.await, |error| matches!(error, AwsError::NotFound { .. })) {
        Allowed::Yes => report.ok(Group::Needed, check, "allowed; a certificate that was never issued is not there"),
        Allowed::No { said } => {
            let fix = format!("allow acm-pca:GetCertificate on {authority} (deploy/iam/acm-pca.json)");
            report.broken(Group::Needed, check, format!("denied: {said}"), fix);
        }
        Allowed::Unknown { said, fix } => report.unknown(Group::Needed, check, said, fix),
    }
}

fn arn(authority: &Authority, template: &str) -> String {
    format!("arn:{}:acm-pca:::template/{template}", authority.partition())
}
