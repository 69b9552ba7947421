//! Keys of KMS: those that the sidecar uses work, and those that it must not use do not.

use super::asking::{Asking, again};
use super::finding::{Group, Report};
use super::{Wanted, dry, way};
use crate::aws::error::AwsError;
use crate::aws::kms::{KmsSealer, KmsSigner};
use crate::credentials::Cache;
use crate::runtime::key_arn::KeyArn;
use crate::runtime::sealer::{Context, SealError, Sealer as _};
use crate::runtime::signer::{DigestSigner as _, Sha256, SignError};

const GROUP: Group = Group::Keys;

/// The SHA-256 of "countersign aws doctor: whoever signed this said nothing". A signature of it is of no use to anybody.
pub(super) const NOTHING: Sha256 = [
    0xb0, 0xce, 0x1a, 0xa4, 0x25, 0x56, 0x2a, 0xf1, 0x50, 0xe2, 0x79, 0x7d, 0x72, 0x47, 0xa1, 0x63, 0xf0, 0x80, 0x08, 0x5c, 0x96, 0x22,
    0xde, 0xab, 0x73, 0xae, 0x68, 0x0d, 0x12, 0x3a, 0xaa, 0xf6,
];

/// Whether each key does what it is for, and no more.
pub(super) async fn examine(asking: &Asking<'_>, wanted: &Wanted<'_>, report: &mut Report) {
    let mut ways = Ways::default();
    if let Some(key) = wanted.sealing_key() {
        sealing(asking, key, wanted.credentials.id.as_str(), &mut ways, report).await;
    }
    for key in wanted.sign_keys {
        signing(asking, key, &mut ways, report).await;
    }
    for key in wanted.policy_keys {
        dry::policy(asking, key, &mut ways, report).await;
    }
}

/// Regions whose KMS was asked already, and whether it answers.
#[derive(Default)]
pub(super) struct Ways(Vec<(String, bool)>);

impl Ways {
    /// Tells of a region's endpoint once; `false`: it does not answer.
    pub(super) fn tell(&mut self, key: &KeyArn, error: Option<&AwsError>, report: &mut Report) -> bool {
        if let Some((_, answers)) = self.0.iter().find(|(region, _)| region == key.region()) {
            return *answers;
        }
        let answers = way::endpoint("kms", key.region(), error, report);
        self.0.push((key.region().to_owned(), answers));
        answers
    }
}

/// A data key is made and opened again, as for a certificate that is kept; nothing is sealed with it.
async fn sealing(asking: &Asking<'_>, key: &KeyArn, workload: &str, ways: &mut Ways, report: &mut Report) {
    let check = "sealing key";
    let sealer = KmsSealer::new(asking.aws.clone(), key.clone());
    let context = Context { workload: workload.to_owned(), purpose: Cache::PURPOSE };
    let outcome = async {
        let made = sealer.data_key(&context).await.map_err(|error| ("kms:GenerateDataKey", error))?;
        let opened = sealer.unwrap(&context, &made.wrapped).await.map_err(|error| ("kms:Decrypt", error))?;
        Ok::<_, (&str, SealError)>(opened == made.key)
    };
    let outcome = outcome.await;
    let error = outcome.as_ref().err().and_then(|(_, error)| seal_error(error));
    if !ways.tell(key, error, report) {
        report.not_asked(GROUP, check, "KMS cannot be asked");
        return;
    }
    let allow = |action| {
        format!(
            "allow {action} on {key} in the role's policy (deploy/iam/kms-sealer.json) and in the key's, for the encryption context workload = {workload}, purpose = {}",
            Cache::PURPOSE
        )
    };
    match &outcome {
        Ok(true) => report.ok(GROUP, check, format!("{key} makes and opens data keys for {workload}")),
        Ok(false) => report.broken(GROUP, check, format!("{key} opened another data key than it made"), "ask AWS"),
        Err((action, error)) => {
            let kind = "use a key with the spec SYMMETRIC_DEFAULT and the usage ENCRYPT_DECRYPT in [credentials.cache] kms_key";
            not_usable(check, key, seal_error(error), error, &allow(action), kind, report);
        }
    }
    if outcome.is_ok() {
        dry::others(asking, key, workload, report).await;
    }
}

/// A digest that means nothing is signed, and the signature verified here.
async fn signing(asking: &Asking<'_>, key: &KeyArn, ways: &mut Ways, report: &mut Report) {
    let check = "signing key";
    let signer = KmsSigner::new(asking.aws.clone(), key.clone());
    let outcome = async {
        let public = signer.public_key().await.map_err(|error| ("kms:GetPublicKey", error))?;
        signer.sign(&NOTHING).await.map_err(|error| ("kms:Sign", error))?;
        Ok::<_, (&str, SignError)>(public)
    };
    let outcome = outcome.await;
    let error = outcome.as_ref().err().and_then(|(_, error)| sign_error(error));
    if !ways.tell(key, error, report) {
        report.not_asked(GROUP, check, "KMS cannot be asked");
        return;
    }
    let allow = |action| format!("allow {action} on {key} in the role's policy (deploy/iam/kms-signer.json) and in the key's");
    match &outcome {
        Ok(public) => {
            report.ok(GROUP, check, format!("{key} signs digests, verified here; its public key has the SHA-256 {}", public.fingerprint()))
        }
        Err((action, error)) => {
            let kind = "use a key with the spec ECC_NIST_P256 and the usage SIGN_VERIFY";
            not_usable(check, key, sign_error(error), error, &allow(action), kind, report);
        }
    }
}

/// Why a key does not do what it is for. `said`: what KMS says, where it is KMS that says it.
fn not_usable(
    check: &str,
    key: &KeyArn,
    said: Option<&AwsError>,
    error: &dyn std::fmt::Display,
    allow: &str,
    kind: &str,
    report: &mut Report,
) {
    match said {
        Some(AwsError::Denied { said, .. }) => report.broken(GROUP, check, format!("denied: {said}"), allow),
        Some(AwsError::Inactive { said, .. }) => {
            let fix = format!(
                "enable it (aws kms enable-key --key-id {key}), or stop its deletion first (aws kms cancel-key-deletion --key-id {key})"
            );
            report.broken(GROUP, check, format!("{key} is disabled or about to be deleted ({said})"), fix);
        }
        Some(AwsError::NotFound { said, .. }) => {
            report.broken(GROUP, check, format!("there is no key {key} ({said})"), "compare account, region and id with the console");
        }
        Some(error) if error.is_transient() => report.unknown(GROUP, check, error.to_string(), again(error)),
        _ => report.broken(GROUP, check, error.to_string(), kind),
    }
}

fn seal_error(error: &SealError) -> Option<&AwsError> {
    match error {
        SealError::Service(error) => error.downcast_ref(),
        _ => None,
    }
}

fn sign_error(error: &SignError) -> Option<&AwsError> {
    match error {
        SignError::Service(error) => error.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};

    #[test]
    fn what_is_signed_means_nothing() {
        assert_eq!(digest(&SHA256, b"countersign aws doctor: whoever signed this said nothing").as_ref(), NOTHING);
    }
}
