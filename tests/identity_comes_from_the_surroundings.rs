//! The workload's id may be made of what the platform says of it: the ECS task, or the pod's service account.

use crate::support::metadata::{METADATA, Metadata, task};
use crate::support::sidecar::run_with;
use crate::support::{ALICE, App, Setup, eventually};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use countersign::testing::pki::LeafOptions;

const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

fn token(claims: &str) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}\n", part(r#"{"alg":"RS256"}"#), part(claims), part("signature"))
}

const OF_A_POD: &str = r#"{"aud":["sts.amazonaws.com"],"kubernetes.io":{"namespace":"shop","pod":{"name":"orders-1"},"serviceaccount":{"name":"orders"}},"sub":"system:serviceaccount:shop:orders"}"#;

/// What `check --effective` says of a configuration whose id is this, and how it ends.
async fn check(setup: &mut Setup, id: &str, environment: &[(&str, &str)]) -> (i32, String) {
    setup.set("workload.id", &format!("'{id}'")).in_front_of("127.0.0.1:80".parse().unwrap());
    let path = setup.write_config().display().to_string();
    run_with(&["check", "--effective", "--config", &path], setup.dir.path(), environment).await
}

#[tokio::test]
async fn a_task_is_called_by_its_cluster_and_family() {
    let (mut setup, id) = (Setup::new(), "spiffe://test.example/ecs/prod/orders");
    setup.own_certificate(&LeafOptions::id(id));
    let metadata = Metadata::start(None).await;
    for cluster in ["prod", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"] {
        metadata.say(&task(cluster, "orders"));
        metadata.asked.lock().unwrap().clear();
        let (code, said) = check(&mut setup, "spiffe://test.example/ecs/${ecs.cluster}/${ecs.family}", &[(METADATA, &metadata.url)]).await;
        assert!(code == 0 && said.contains(id), "{said}");
        let asked = metadata.asked.lock().unwrap().clone();
        assert!(asked.len() <= 2 && asked.iter().all(|head| head.starts_with("GET /v4/abc/task HTTP/1.0\r\n")), "{asked:?}");
    }
    // It serves under that name, and a reload that finds another one is refused.
    setup.env(METADATA, &metadata.url);
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    assert_eq!(sidecar.status().await.unwrap()["id"], id);
    assert!(crate::support::client::is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await);
    assert_eq!(sidecar.post("/reload").await.status, 200);
    metadata.say(&task("prod", "payments"));
    let answer = sidecar.post("/reload").await;
    assert!(
        answer.status != 200 && answer.body.contains("workload.id") && answer.body.contains("cannot change while running"),
        "{answer:?}"
    );
    metadata.say("HTTP/1.0 500 Oh\r\n\r\n");
    let answer = sidecar.post("/reload").await;
    assert!(answer.status != 200 && answer.body.contains("cannot be asked (it answers 500)"), "{answer:?}");
    eventually("the old id", async || (sidecar.status().await?["id"] == id).then_some(())).await;
}

#[tokio::test]
async fn a_pod_is_called_by_its_namespace_and_service_account() {
    let (mut setup, id) = (Setup::new(), "spiffe://test.example/ns/shop/sa/orders");
    setup.own_certificate(&LeafOptions::id(id));
    let path = setup.path("token").display().to_string();
    std::fs::write(&path, token(OF_A_POD)).unwrap();
    let template = "spiffe://test.example/ns/${k8s.namespace}/sa/${k8s.service_account}";
    for variable in [TOKEN, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
        let (code, said) = check(&mut setup, template, &[(variable, &path)]).await;
        assert!(code == 0 && said.contains(id), "{said}");
        assert!(!said.contains("signature") && !said.contains("eyJ"), "{said}");
    }
}

#[tokio::test]
async fn a_laptop_is_told_what_to_write() {
    let mut setup = Setup::new();
    let (code, said) = check(&mut setup, "spiffe://test.example/${ecs.family}", &[]).await;
    let remedy = "write the value in place of ${ecs.family}, or pass it in an environment variable";
    assert!(code == 2 && said.contains("workload.id") && said.contains("this is no ECS task") && said.contains(remedy), "{said}");
    let (code, said) = check(&mut setup, "spiffe://test.example/${k8s.namespace}", &[]).await;
    assert!(code == 2 && said.contains("there is no service account token") && said.contains("${k8s.namespace}"), "{said}");
    let (code, said) = check(&mut setup, "spiffe://test.example/${ecs.zone}", &[]).await;
    assert!(code == 2 && said.contains("write one of ${ecs.cluster}, ${ecs.family}, ${k8s.namespace}, ${k8s.service_account}"), "{said}");
}

#[tokio::test]
async fn what_says_nothing_usable_is_named() {
    let mut setup = Setup::new();
    let metadata = Metadata::start(None).await;
    let answers = [
        (None, "cannot be asked"),
        (Some("HTTP/1.0 404 Not Found\r\n\r\n".to_owned()), "cannot be asked (it answers 404)"),
        (Some("HTTP/1.0 200 OK\r\n\r\n<html>".to_owned()), "answers no JSON"),
        (Some("HTTP/1.0 200 OK\r\n\r\n{}".to_owned()), "does not say it"),
        (Some(task("a b", "f")), "says \"a b\", which cannot stand in a SPIFFE id"),
        (Some(task("c/", "f")), "says \"\", which cannot stand in a SPIFFE id"),
        (Some(task("..", "f")), "says \"..\", which cannot stand in a SPIFFE id"),
    ];
    for (answer, problem) in answers {
        *metadata.says.lock().unwrap() = answer;
        let (code, said) = check(&mut setup, "spiffe://test.example/${ecs.cluster}", &[(METADATA, &metadata.url)]).await;
        assert!(code == 2 && said.contains(problem) && said.contains(&metadata.url), "{problem}: {said}");
    }
    let path = setup.path("token").display().to_string();
    let tokens = [
        ("not a token".to_owned(), "holds no JSON web token"),
        (token(r#"{"sub":"a"}"#), "is no projected service account token"),
        (token(r#"{"kubernetes.io":{"namespace":"a/b","serviceaccount":{"name":"o"}}}"#), "which cannot stand in a SPIFFE id"),
    ];
    for (text, problem) in tokens {
        std::fs::write(&path, text).unwrap();
        let (code, said) = check(&mut setup, "spiffe://test.example/${k8s.namespace}", &[(TOKEN, &path)]).await;
        assert!(code == 2 && said.contains(problem) && said.contains(&path), "{problem}: {said}");
    }
    for url in ["https://127.0.0.1/v4", "http://metadata.internal/v4"] {
        let (code, said) = check(&mut setup, "spiffe://test.example/${ecs.cluster}", &[(METADATA, url)]).await;
        assert!(code == 2 && said.contains("is no http URL with an IP address"), "{said}");
    }
}
