//! Signed bundles come from S3: signed for, asked for by their entity tag, and with words that tell what to fix where they do not come.

use crate::support::aws::Aws;
use crate::support::bundles::Signer;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use serde_json::json;

fn alice() -> String {
    policy(&[("alice", ALICE, "/**")])
}

fn both() -> String {
    policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")])
}

async fn gets(peer: &mut Peer, status: u16) {
    eventually(&format!("{status}"), async || (peer.get("/orders").await.status == status).then_some(())).await;
}

/// Waits until the source says this of itself.
async fn says(sidecar: &Sidecar, problem: &str) {
    let look = async || sidecar.status().await?["policy_sources"][0]["problem"].as_str()?.contains(problem).then_some(());
    eventually(&format!("a problem of the source: {problem}"), look).await;
}

#[tokio::test]
async fn an_object_is_signed_for_and_followed() {
    let (signer, app, aws) = (Signer::new().await, App::start().await, Aws::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    aws.lead(&mut setup);
    setup.env("AWS_REGION", "eu-west-1");
    setup.set("policy.file", "'s3://tables/prod/orders.json'").set("policy.refresh", "'1s'").in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    says(&sidecar, "arn:aws:s3:::tables/prod/orders.json is not there").await;
    assert!(sidecar.status().await.unwrap()["policy"].is_null());

    aws.put("tables", "prod/orders.json", &signer.bundle(&alice(), 3).await).await;
    eventually("readiness", async || sidecar.status().await.filter(|status| status["ready"] == true)).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.get("/orders").await.status, 403);
    sidecar.metric_reaches("countersign_policy_fetches_total", &["result=\"unchanged\""], 1.0).await;
    sidecar.metric_reaches("countersign_aws_calls_total", &["operation=\"GetObject\"", "result=\"ok\""], 2.0).await;

    aws.turn(json!({ "deny": ["GetObject:/tables/*"] })).await;
    says(&sidecar, "the role may not s3:GetObject on arn:aws:s3:::tables/prod/orders.json").await;
    aws.turn(json!({ "deny": [] })).await;
    aws.put("tables", "prod/orders.json", &signer.bundle(&both(), 4).await).await;
    gets(&mut bob, 200).await;
}

#[tokio::test]
async fn who_asks_with_another_secret_gets_nothing() {
    let (signer, app, aws) = (Signer::new().await, App::start().await, Aws::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    aws.lead(&mut setup);
    setup.env("AWS_SECRET_ACCESS_KEY", "another");
    aws.put("tables", "orders.json", &signer.bundle(&alice(), 3).await).await;
    setup.set("policy.file", "'s3://tables/orders.json'").in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    says(&sidecar, "nothing says which region the bucket is in; set AWS_REGION").await;
    drop(sidecar);
    setup.env("AWS_REGION", "eu-west-1");
    let sidecar = Sidecar::start_unready(&setup).await;
    says(&sidecar, "the role may not s3:GetObject").await;
    assert!(sidecar.status().await.unwrap()["policy"].is_null());
}
