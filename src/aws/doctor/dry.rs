//! What the role must not do with keys of KMS, asked by dry runs: KMS says whether it would have done it, and does not.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::keys::{NOTHING, Ways};
use crate::aws::error::AwsError;
use crate::credentials::Cache;
use crate::runtime::key_arn::KeyArn;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, MessageType, SigningAlgorithmSpec};

/// What KMS says of a call that would have been done, had it not been a dry run.
const DRY_RUN: &str = "DryRunOperationException";

/// Whether the role may have data keys of other workloads too. Harmless where the key is this workload's alone.
pub(super) async fn others(asking: &Asking<'_>, key: &KeyArn, workload: &str, report: &mut Report) {
    // A denial is what is hoped for.
    const DENIED_ACTION: &str = "kms:GenerateDataKey";
    let check = "data keys of others";
    let (client, arn, other) = (asking.aws.kms(key).await, key.as_str(), format!("{workload}/countersign-aws-doctor"));
    let asked = ask(DENIED_ACTION, || {
        let request = client.generate_data_key().key_id(arn).key_spec(DataKeySpec::Aes256).dry_run(true);
        let request = request.encryption_context("workload", &other).encryption_context("purpose", Cache::PURPOSE);
        let sent = request.send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(DENIED_ACTION, arn, &error)) })
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

/// Whether the role may sign with a key whose signatures others believe: it must not.
pub(super) async fn policy(asking: &Asking<'_>, key: &KeyArn, ways: &mut Ways, report: &mut Report) {
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
