//! Keys of AWS KMS, which never leave it: one that makes and opens data keys, and one that signs digests.

use super::call::{Throttled, call, operation};
use super::client::Aws;
use super::error::AwsError;
use crate::runtime::key_arn::KeyArn;
use crate::telemetry::metrics;
use crate::trust::BoxFuture;
use aws_sdk_kms::Client;
use std::time::Duration;
use tokio::time::{Instant, timeout};

mod sealer;
mod signer;

pub use sealer::KmsSealer;
pub use signer::KmsSigner;

/// From a question to its answer or its end, with its retries and what it takes to find credentials. Whoever asks has other things to do, such as to
/// get a certificate.
const LIMIT: Duration = Duration::from_secs(5);

/// One key, and the way to it.
struct Key {
    aws: Aws,
    arn: KeyArn,
}

impl Key {
    /// Asks within [`LIMIT`].
    async fn ask<'a, T>(&self, action: &'static str, send: impl Fn(&Client) -> BoxFuture<'a, Result<T, AwsError>>) -> Result<T, AwsError> {
        let asked = async {
            let client = self.aws.kms(&self.arn).await;
            call(action, Throttled::SentAgain, Instant::now() + LIMIT, || send(&client)).await
        };
        timeout(LIMIT, asked).await.unwrap_or_else(|_| {
            metrics::aws_called(operation(action), "timeout");
            Err(AwsError::TimedOut { action })
        })
    }

    /// The key that an answer names is the one that was asked.
    fn check(&self, action: &'static str, used: Option<&str>) -> Result<(), AwsError> {
        match used {
            Some(used) if self.arn.is_met_by(used) => Ok(()),
            Some(used) => Err(AwsError::answer(action, format!("it is of the key {used}, and {} was asked", self.arn))),
            None => Err(AwsError::answer(action, "no key is named")),
        }
    }
}
