//! Keys of KMS: those that the sidecar uses work, and those that it must not use do not.

use super::Wanted;
use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::way;
use crate::aws::error::AwsError;
use crate::aws::kms::{KmsSealer, KmsSigner};
use crate::credentials::Cache;
use crate::runtime::key_arn::KeyArn;
use crate::runtime::sealer::{Context, SealError, Sealer as _};
use crate::runtime::signer::{DigestSigner as _, Sha256, SignError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, MessageType, SigningAlgorithmSpec};

const GROUP: Group = Group::Keys;

/// The SHA-256 of "countersign aws doctor: whoever signed this said nothing". A signature of it is of no use to anybody.
const NOTHING: Sha256 = [
    0xb0, 0xce, 0x1a, 0xa4, 0x25, 0x56, 0x2a, 0xf1, 0x50, 0xe2, 0x79, 0x7d, 0x72, 0x47, 0xa1, 0x63, 0xf0, 0x80, 0x08, 0x5c, 0x96, 0x22,
    0xde, 0xab, 0x73, 0xae, 0x68, 0x0d, 0x12, 0x3a, 0xaa, 0xf6,
];

/// What KMS says of a call that would have been done, had it not been a dry run.
const DRY_RUN: &str = "DryRunOperationException";

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
        policy(asking, key, &mut ways, report).await;
    }
}

/// Regions whose KMS was asked already, and whether it answers.
#[derive(Default)]
struct Ways(Vec<(String, bool)>);

impl Ways {
    /// Tells of a region's endpoint once; `false`: it does not answer.
    fn tell(&mut self, key: &KeyArn, error: Option<&AwsError>, report: &mut Report) -> bool {
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
        for_others(asking, key, workload, report).await;
    }
}

/// Whether the role may have data keys of other workloads too. Harmless where the key is this workload's alone.
async fn for_others(asking: &Asking<'_>, key: &KeyArn, workload: &str, report: &mut Report) {
    const ACTION: &str = "kms:GenerateDataKey";
    let check = "data keys of others";
    let (client, arn, other) = (asking.aws.kms(key).await, key.as_str(), format!("{workload}/countersign-aws-doctor"));
    let asked = ask(ACTION, || {
        let request = client.generate_data_key().key_id(arn).key_spec(DataKeySpec::Aes256).dry_run(true);
        let request = request.encryption_context("workload", &other).encryption_context("purpose", Cache::PURPOSE);
        let sent = request.send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
    });
    match dry(asked.await.map(|_| ())) {
        Dry::Denied => report.ok(Group::Excess, check, format!("denied for {other}")),
        Dry::Allowed => {
            let fix = "where other workloads use the same key: bind it to this workload's encryption context (\"ForNoOtherWorkload\" in deploy/iam/kms-sealer.json)";
            report.warning(Group::Excess, check, format!("allowed for {other}, and so for everybody's"), fix);
        }
        Dry::Unknown(error) => report.unknown(Group::Excess, check, error.to_string(), again(&error)),
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

/// Whether the role may sign with a key whose signatures others believe: it must not.
async fn policy(asking: &Asking<'_>, key: &KeyArn, ways: &mut Ways, report: &mut Report) {
    // A denial is what is hoped for: no policy has to allow this.
    const DENIED_ACTION: &str = "kms:Sign";
    let check = "policy key";
    let (client, arn) = (asking.aws.kms(key).await, key.as_str());
    let asked = ask(DENIED_ACTION, || {
        let request = client.sign().key_id(arn).message_type(MessageType::Digest).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        let sent = request.message(Blob::new(NOTHING)).dry_run(true).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(DENIED_ACTION, arn, &error)) })
    });
    let answer = asked.await.map(|_| ());
    if !ways.tell(key, answer.as_ref().err(), report) {
        report.not_asked(Group::Excess, check, "KMS cannot be asked");
        return;
    }
    match dry(answer) {
        Dry::Denied => report.ok(Group::Excess, check, format!("signing with {key} is denied")),
        Dry::Allowed => {
            let fix = format!(
                "deny kms:Sign on {key} in the role's policy and in the key's own (\"NoPolicyIsSignedInATask\" in deploy/iam/README.md)"
            );
            report.broken(Group::Excess, check, format!("the role may sign with {key}: whatever it signs, others believe"), fix);
        }
        Dry::Unknown(error) => {
            report.unknown(
                Group::Excess,
                check,
                error.to_string(),
                "compare the ARN, and the key's spec with ECC_NIST_P256; see who may use it in the key's policy",
            );
        }
    }
}

/// What a dry run told.
enum Dry {
    Allowed,
    Denied,
    Unknown(AwsError),
}

fn dry(answer: Result<(), AwsError>) -> Dry {
    match answer {
        // Nobody should answer so.
        Ok(()) => Dry::Allowed,
        Err(AwsError::Refused { code, .. }) if code == DRY_RUN => Dry::Allowed,
        Err(AwsError::Denied { .. }) => Dry::Denied,
        Err(error) => Dry::Unknown(error),
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
