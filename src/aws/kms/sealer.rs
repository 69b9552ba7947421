//! Data keys from KMS: made and wrapped there, used here, and unwrapped there alone.

use super::Key;
use crate::aws::client::Aws;
use crate::aws::error::AwsError;
use crate::runtime::key_arn::KeyArn;
use crate::runtime::sealer::{Context, DataKey, KEY_BYTES, Key as DataKeyBytes, SealError, Sealer, Sealing};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The most bytes of a ciphertext that `Decrypt` takes.
const MAX_WRAPPED: usize = 6_144;

/// Wraps data keys under one symmetric key of KMS. The context goes along as the encryption context `workload` and `purpose`, which KMS authenticates, logs
/// in CloudTrail, and which a policy can demand.
///
/// # Security
/// `Decrypt` is always told which key: a ciphertext of another key that the role may use is refused by KMS. Data keys are wiped here when they are dropped;
/// the SDK's own buffers of an answer are freed, not wiped.
pub struct KmsSealer {
    key: Key,
}

impl KmsSealer {
    /// Wraps under the key that `arn` names.
    pub fn new(aws: Aws, arn: KeyArn) -> Self {
        Self { key: Key { aws, arn } }
    }

    async fn generate(&self, context: &Context) -> Result<DataKey, AwsError> {
        const ACTION: &str = "kms:GenerateDataKey";
        let arn = self.key.arn.as_str();
        let made = self.key.ask(ACTION, |client| {
            let request = client.generate_data_key().key_id(arn).key_spec(DataKeySpec::Aes256);
            let sent = request.set_encryption_context(Some(named(context))).send();
            Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
        });
        let made = made.await?;
        let key = key(ACTION, made.plaintext)?;
        self.key.check(ACTION, made.key_id.as_deref())?;
        let wrapped = made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        match wrapped.len() {
            1..=MAX_WRAPPED => Ok(DataKey { key, wrapped }),
            length => Err(AwsError::answer(ACTION, format!("a ciphertext of {length} bytes"))),
        }
    }

    async fn decrypt(&self, context: &Context, wrapped: &[u8]) -> Result<DataKeyBytes, AwsError> {
        const ACTION: &str = "kms:Decrypt";
        let arn = self.key.arn.as_str();
        let opened = self.key.ask(ACTION, |client| {
            let request = client.decrypt().key_id(arn).ciphertext_blob(Blob::new(wrapped));
            let sent = request.set_encryption_context(Some(named(context))).send();
            Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
        });
        let opened = opened.await?;
        let key = key(ACTION, opened.plaintext)?;
        self.key.check(ACTION, opened.key_id.as_deref())?;
        Ok(key)
    }
}

impl Sealer for KmsSealer {
    fn name(&self) -> &'static str {
        "kms"
    }

    fn data_key<'a>(&'a self, context: &'a Context) -> Sealing<'a, DataKey> {
        Box::pin(async move { self.generate(context).await.map_err(|error| SealError::Service(Box::new(error))) })
    }

    fn unwrap<'a>(&'a self, context: &'a Context, wrapped: &'a [u8]) -> Sealing<'a, DataKeyBytes> {
        Box::pin(async move {
            if !(1..=MAX_WRAPPED).contains(&wrapped.len()) {
                return Err(SealError::Damaged);
            }
            self.decrypt(context, wrapped).await.map_err(|error| SealError::Service(Box::new(error)))
        })
    }
}

fn named(context: &Context) -> HashMap<String, String> {
    HashMap::from([("workload".to_owned(), context.workload.clone()), ("purpose".to_owned(), context.purpose.to_owned())])
}

/// Takes a plaintext over; wiped whatever it is.
fn key(action: &'static str, plaintext: Option<Blob>) -> Result<DataKeyBytes, AwsError> {
    let plaintext = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let mut key = DataKeyBytes::default();
    if plaintext.len() != KEY_BYTES {
        return Err(AwsError::answer(action, format!("a key of {} bytes, and {KEY_BYTES} were asked for", plaintext.len())));
    }
    key.copy_from_slice(&plaintext);
    Ok(key)
}
