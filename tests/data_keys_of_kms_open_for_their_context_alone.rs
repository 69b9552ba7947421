//! What is sealed under a key of KMS opens for the same context and under the same key alone: KMS refuses all else, and what it should not say is not believed.

use crate::support::aws::{Aws, double_of};
use countersign::aws::KmsSealer;
use countersign::runtime::key_arn::KeyArn;
use countersign::runtime::sealer::{Context, SealError, Sealer as _, open, seal};
use serde_json::{Value, json};

const SECRET: &[u8] = b"a private key";

fn context(workload: &str, purpose: &'static str) -> Context {
    Context { workload: workload.to_owned(), purpose }
}

fn ours() -> Context {
    context("spiffe://d.example/orders", "certificate")
}

async fn sealer(aws: &Aws, arn: &str) -> KmsSealer {
    KmsSealer::new(double_of(aws).await, KeyArn::parse(arn).unwrap())
}

fn said<T>(outcome: Result<T, SealError>) -> String {
    outcome.err().unwrap().to_string()
}

#[tokio::test]
async fn one_key_one_context() {
    let aws = Aws::start().await;
    let (key, other) = (aws.key("SYMMETRIC_DEFAULT").await, aws.key("SYMMETRIC_DEFAULT").await);
    let sealer_of = async |arn: &str| sealer(&aws, arn).await;
    let kms = sealer_of(&key).await;
    let sealed = seal(&kms, &ours(), SECRET).await.unwrap();
    assert_eq!(*open(&kms, &ours(), &sealed).await.unwrap(), SECRET);
    assert_eq!((aws.calls("GenerateDataKey").await, aws.calls("Decrypt").await), (1, 1));

    // KMS itself refuses another context, also one whose parts are the same bytes when written one after the other.
    let wrapped = kms.data_key(&ours()).await.unwrap().wrapped;
    for other in [
        context("spiffe://d.example/payments", "certificate"),
        context("spiffe://d.example/orders", "budget"),
        context("spiffe://d.example/order", "scertificate"),
    ] {
        assert!(said(kms.unwrap(&other, &wrapped).await).contains("or for another encryption context (InvalidCiphertext"), "{other:?}");
    }
    // Nor does it open what another key of the account made.
    let foreign = sealer_of(&other).await.data_key(&ours()).await.unwrap().wrapped;
    assert!(said(kms.unwrap(&ours(), &foreign).await).contains("another key than the one that is configured"));
    assert!(said(kms.unwrap(&ours(), &wrapped[1..]).await).contains("InvalidCiphertextException"));
    // What no ciphertext can be is not asked about.
    let asked = aws.calls("Decrypt").await;
    for wrapped in [vec![], vec![0; 6_145]] {
        assert!(matches!(kms.unwrap(&ours(), &wrapped).await, Err(SealError::Damaged)));
    }
    assert_eq!(aws.calls("Decrypt").await, asked);
}

#[tokio::test]
async fn a_ciphertext_that_was_exchanged_opens_nothing() {
    let aws = Aws::start().await;
    let kms = sealer(&aws, &aws.key("SYMMETRIC_DEFAULT").await).await;
    let [first, second] = [seal(&kms, &ours(), SECRET).await.unwrap(), seal(&kms, &ours(), b"another one").await.unwrap()];
    let [mut first, second]: [Value; 2] = [&first, &second].map(|sealed| serde_json::from_slice(sealed).unwrap());
    first["key"] = second["key"].clone();
    assert!(matches!(open(&kms, &ours(), first.to_string().as_bytes()).await, Err(SealError::Refused)));
}

#[tokio::test]
async fn answers_that_cannot_be_are_not_believed() {
    let aws = Aws::start().await;
    let kms = sealer(&aws, &aws.key("SYMMETRIC_DEFAULT").await).await;
    let wrapped = kms.data_key(&ours()).await.unwrap().wrapped;
    aws.turn(json!({ "data_key": "short" })).await;
    assert!(said(kms.data_key(&ours()).await).contains("a key of 16 bytes, and 32 were asked for"));
    aws.turn(json!({ "data_key": "", "answers_of_another_key": true })).await;
    for said in [said(kms.data_key(&ours()).await), said(kms.unwrap(&ours(), &wrapped).await)] {
        assert!(said.contains("it is of the key ") && said.contains("was asked"), "{said}");
    }
}

#[tokio::test]
async fn an_alias_stands_for_one_key_at_a_time() {
    let aws = Aws::start().await;
    let kms = sealer(&aws, &aws.aliased_key("sealer").await).await;
    let sealed = seal(&kms, &ours(), SECRET).await.unwrap();
    assert_eq!(*open(&kms, &ours(), &sealed).await.unwrap(), SECRET);
    aws.aliased_key("sealer").await;
    assert!(said(open(&kms, &ours(), &sealed).await).contains("another key than the one that is configured"));
}

#[tokio::test]
async fn keys_that_do_not_seal_are_refused_by_name() {
    let aws = Aws::start().await;
    for spec in ["ECC_NIST_P256", "RSA_2048"] {
        let kms = sealer(&aws, &aws.key(spec).await).await;
        assert!(said(kms.data_key(&ours()).await).contains("look at its usage and its key spec"), "{spec}");
    }
}
