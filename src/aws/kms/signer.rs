//! Signatures by a key of KMS.

use super::Key;
use crate::aws::client::Aws;
use crate::aws::error::AwsError;
use crate::runtime::key_arn::KeyArn;
use crate::runtime::signer::{DigestSigner, PublicKey, Sha256, SignError, Signature, Signing};
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use tokio::sync::OnceCell;

const ALGORITHM: SigningAlgorithmSpec = SigningAlgorithmSpec::EcdsaSha256;

/// Signs digests with one key of KMS: ECC_NIST_P256, ECDSA_SHA_256, `MessageType=DIGEST`. The public key is asked for once, and each signature is verified under
/// it before it is handed out: what KMS, or whoever answers in its place, gives is not believed.
pub struct KmsSigner {
    key: Key,
    public: OnceCell<PublicKey>,
}

impl KmsSigner {
    /// Signs with the key that `arn` names.
    pub fn new(aws: Aws, arn: KeyArn) -> Self {
        Self { key: Key { aws, arn }, public: OnceCell::new() }
    }

    async fn ask_public_key(&self) -> Result<PublicKey, SignError> {
        const ACTION: &str = "kms:GetPublicKey";
        let arn = self.key.arn.as_str();
        let got = self.key.ask(ACTION, |client| {
            let sent = client.get_public_key().key_id(arn).send();
            Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
        });
        let got = got.await.map_err(service)?;
        self.key.check(ACTION, got.key_id()).map_err(service)?;
        if !signs_digests(&got) {
            let (spec, usage) = (got.key_spec().map(KeySpec::as_str), got.key_usage().map(KeyUsageType::as_str));
            let found = format!("{} for {}", spec.unwrap_or("of no kind"), usage.unwrap_or("nothing"));
            return Err(SignError::OtherKey { key: arn.to_owned(), found });
        }
        PublicKey::from_spki(got.public_key().map(Blob::as_ref).unwrap_or_default())
    }

    async fn ask_signature(&self, digest: &Sha256) -> Result<Vec<u8>, AwsError> {
        const ACTION: &str = "kms:Sign";
        let arn = self.key.arn.as_str();
        let signed = self.key.ask(ACTION, |client| {
            let request = client.sign().key_id(arn).message_type(MessageType::Digest).signing_algorithm(ALGORITHM);
            let sent = request.message(Blob::new(digest.as_slice())).send();
            Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
        });
        let signed = signed.await?;
        self.key.check(ACTION, signed.key_id())?;
        match signed.signing_algorithm() {
            Some(&ALGORITHM) => Ok(signed.signature.map(Blob::into_inner).unwrap_or_default()),
            _ => Err(AwsError::answer(ACTION, "another algorithm")),
        }
    }
}

impl DigestSigner for KmsSigner {
    fn public_key(&self) -> Signing<'_, PublicKey> {
        Box::pin(async move { self.public.get_or_try_init(|| self.ask_public_key()).await.cloned() })
    }

    fn sign<'a>(&'a self, digest: &'a Sha256) -> Signing<'a, Signature> {
        Box::pin(async move {
            let public = self.public_key().await?;
            let given = self.ask_signature(digest).await.map_err(service)?;
            public.verified(digest, given)
        })
    }
}

fn signs_digests(key: &GetPublicKeyOutput) -> bool {
    key.key_spec() == Some(&KeySpec::EccNistP256)
        && key.key_usage() == Some(&KeyUsageType::SignVerify)
        && key.signing_algorithms().contains(&ALGORITHM)
}

fn service(error: AwsError) -> SignError {
    SignError::Service(Box::new(error))
}
