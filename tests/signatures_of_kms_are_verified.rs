//! A digest is signed by a key of KMS, and what comes back counts as a signature only where it verifies under that key's public key.

use crate::support::aws::{Aws, double_of};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use countersign::aws::KmsSigner;
use countersign::runtime::key_arn::KeyArn;
use countersign::runtime::signer::{DigestSigner as _, Sha256, SignError};
use serde_json::json;
use std::process::Command;

const MESSAGE: &[u8] = b"what is signed";

fn sha256() -> Sha256 {
    digest(&SHA256, MESSAGE).as_ref().try_into().unwrap()
}

async fn signer(aws: &Aws, arn: &str) -> KmsSigner {
    KmsSigner::new(double_of(aws).await, KeyArn::parse(arn).unwrap())
}

async fn refused(aws: &Aws, arn: &str) -> SignError {
    signer(aws, arn).await.sign(&sha256()).await.unwrap_err()
}

#[tokio::test]
async fn by_whoever_has_the_public_key() {
    let aws = Aws::start().await;
    let signer = signer(&aws, &aws.key("ECC_NIST_P256").await).await;
    let (public, signature) = (signer.public_key().await.unwrap(), signer.sign(&sha256()).await.unwrap());
    // Of the message, not of the digest as a message.
    let verified = |message: &[u8]| {
        let point = &public.spki()[26..];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature.der()).is_ok()
    };
    assert!(verified(MESSAGE) && !verified(&sha256()));
    // Another implementation, from the bytes alone.
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (key, signed, message) = (file("key.der", public.spki()), file("signature.der", signature.der()), file("message", MESSAGE));
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-keyform", "DER", "-verify"]).arg(key).arg("-signature").arg(signed).arg(message);
    let said = openssl.output().unwrap();
    assert!(said.status.success() && said.stdout.starts_with(b"Verified OK"), "{said:?}");
    signer.sign(&sha256()).await.unwrap();
    assert_eq!((aws.calls("GetPublicKey").await, aws.calls("Sign").await), (1, 2));
}

/// As a stock double of AWS signs (the digest hashed once more), and as somebody does who has another key.
#[tokio::test]
async fn what_does_not_verify_is_thrown_away() {
    let aws = Aws::start().await;
    let arn = aws.key("ECC_NIST_P256").await;
    for fault in ["other_key", "twice"] {
        aws.turn(json!({ "sign": fault })).await;
        let error = refused(&aws, &arn).await;
        assert!(matches!(error, SignError::Unverified), "{fault}: {error}");
    }
    aws.turn(json!({ "sign": "", "answers_of_another_key": true })).await;
    assert!(refused(&aws, &arn).await.to_string().contains("00000000-0000-0000-0000-000000000000, and"));
    aws.turn(json!({ "answers_of_another_key": false })).await;
    signer(&aws, &arn).await.sign(&sha256()).await.unwrap();
}

#[tokio::test]
async fn other_keys_are_refused_by_name() {
    let aws = Aws::start().await;
    for (spec, words) in [
        ("ECC_NIST_P384", "is ECC_NIST_P384 for SIGN_VERIFY; a key of P-256"),
        ("ECC_SECG_P256K1", "is ECC_SECG_P256K1 for SIGN_VERIFY; a key of P-256"),
        ("RSA_2048", "is RSA_2048 for SIGN_VERIFY; a key of P-256"),
        ("SYMMETRIC_DEFAULT", "look at the key's ARN, usage and key spec (UnsupportedOperationException"),
    ] {
        let arn = aws.key(spec).await;
        let error = refused(&aws, &arn).await.to_string();
        assert!(error.contains(words), "{spec}: {error}");
    }
    assert_eq!(aws.calls("Sign").await, 0);
    let nowhere = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";
    let error = refused(&aws, nowhere).await.to_string();
    assert!(error.contains(nowhere) && error.contains("is not there: compare ARN, account and region"), "{error}");
}

#[tokio::test]
async fn a_key_that_is_away_is_told_of_and_comes_back() {
    let aws = Aws::start().await;
    let arn = aws.key("ECC_NIST_P256").await;
    let signer = signer(&aws, &arn).await;
    for (state, words) in [("Disabled", "enable it, or cancel its deletion"), ("PendingDeletion", "enable it, or cancel its deletion")] {
        aws.set_key_state(&arn, state).await;
        let error = signer.sign(&sha256()).await.unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&arn), "{state}: {error}");
        aws.set_key_state(&arn, "Enabled").await;
        signer.sign(&sha256()).await.unwrap();
    }
    for (code, words) in [
        ("AccessDeniedException", "the role may not kms:Sign on"),
        ("ThrottlingException", "AWS throttles kms:Sign"),
        ("KMSInternalException", "AWS refuses kms:Sign"),
    ] {
        aws.turn(json!({ "refuse": { "Sign": { "name": code, "times": 1_000 } } })).await;
        let error = signer.sign(&sha256()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{code}: {error}");
    }
    // What passes is not told of.
    aws.turn(json!({ "refuse": { "Sign": { "name": "ThrottlingException", "times": 2 } } })).await;
    signer.sign(&sha256()).await.unwrap();
    aws.turn(json!({ "reset": { "Sign": 1 } })).await;
    signer.sign(&sha256()).await.unwrap();
}
