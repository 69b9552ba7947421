//! Every record says which copy of the workload it is of: the ECS task or the pod, as the platform says it, unless the configuration says otherwise.

use crate::support::metadata::{METADATA, Metadata};
use crate::support::{App, Setup};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The labels of the record that opens the log.
async fn labels(setup: &mut Setup) -> Value {
    let sidecar = setup.start(&App::start().await).await;
    sidecar.record("the first", |record| record["kind"] == "boot").await["labels"].clone()
}

#[tokio::test]
async fn of_a_task() {
    let body = r#"{"TaskARN":"arn:aws:ecs:eu-west-1:123456789012:task/prod/158d1c80","AvailabilityZone":"eu-west-1a"}"#;
    let metadata = Metadata::start(Some(&format!("HTTP/1.0 200 OK\r\n\r\n{body}"))).await;
    let mut setup = Setup::new();
    setup.env(METADATA, &metadata.url).set("workload.labels", "{ team = 'shop', zone = 'ours' }");
    let expected = json!({"account": "123456789012", "task": "158d1c80", "team": "shop", "zone": "ours"});
    assert_eq!(labels(&mut setup).await, expected);
    // It starts all the same where the platform does not say.
    metadata.say("HTTP/1.0 500 Oh\r\n\r\n");
    let mut setup = Setup::new();
    let sidecar = setup.env(METADATA, &metadata.url).start(&App::start().await).await;
    sidecar.log_line("records do not say which task or pod they are of").await;
}

#[tokio::test]
async fn of_a_pod() {
    let mut setup = Setup::new();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"kubernetes.io":{"pod":{"name":"orders-1"}}}"#);
    let token = setup.path("token");
    std::fs::write(&token, format!("e30.{claims}.c2ln")).unwrap();
    setup.env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    assert_eq!(labels(&mut setup).await, json!({"pod": "orders-1"}));
}
