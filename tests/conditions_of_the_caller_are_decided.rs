//! What a rule asks of the connection, of the certificate, of the identity and of the hour decides, and the record says what came out.

use crate::support::client::{Peer, shake, tls_config_by};
use crate::support::{ALICE, App, BOB, Setup, Sidecar, within};
use countersign::testing::pki::LeafOptions;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A table that lets every caller pass where `yes` holds (path `/yes`) and where `no` does (path `/no`).
fn table(head: &str, yes: &str, no: &str) -> String {
    let rule = |id: &str, when: &str| {
        format!(
            "[[rule]]\nid = '{id}'\neffect = 'allow'\nfrom = {{ any_authenticated = true }}\nwhy = 'test'\npaths = ['/{id}']\nwhen = {{ {when} }}\n"
        )
    };
    format!("schema = 1\nname = 'test'\n{head}\n{}{}", rule("yes", yes), rule("no", no))
}

async fn start(text: &str) -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(text);
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// The one condition in a record: its name and what came out.
fn looked(record: &Value) -> (&Value, &Value) {
    let conditions = record["conds"].as_array().unwrap_or_else(|| panic!("no conditions: {record}"));
    assert!(conditions.len() == 1 && conditions[0]["cond"].as_str().unwrap().len() == 16, "{record}");
    (&conditions[0]["name"], &conditions[0]["result"])
}

/// Over both protocols: one passes, the other does not, and both records say by which condition.
async fn decides(sidecar: &Sidecar, peers: [Peer; 2], name: &str) {
    for mut peer in peers {
        assert_eq!(peer.get("/yes").await.status, 200, "{name} {}", peer.name());
        let denied = peer.get("/no").await;
        assert_eq!(denied.status, 403, "{name} {}", peer.name());
        let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
        assert_eq!((&record["reason"], looked(&record)), (&json!("implicit_deny"), (&json!(name), &json!("f"))));
    }
    let record = sidecar.record("the allow", |record| record["rule"] == "yes").await;
    assert_eq!(looked(&record), (&json!(name), &json!("t")));
}

#[tokio::test]
async fn the_address_of_the_tcp_peer() {
    let sets = "[sets.cidrs]\nhere = ['192.0.2.0/24', '127.0.0.0/8']";
    let text = table(sets, "source_ip = { in = ['@here'] }", "source_ip = { in = ['10.0.0.0/8', '::/0'] }");
    let (_app, setup, sidecar) = start(&text).await;
    decides(&sidecar, Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await, "source_ip").await;
}

#[tokio::test]
async fn the_age_of_the_certificate() {
    let hour = Duration::from_secs(3_600);
    let (_app, setup, sidecar) = start(&table("", "cert_age = { max = '12h' }", "cert_age = { max = '2h' }")).await;
    let cert = setup.ca.issue_with(&LeafOptions { not_before: SystemTime::now() - 6 * hour, ..LeafOptions::id(ALICE) });
    decides(&sidecar, Peer::both(sidecar.inbound(), &cert).await, "cert_age").await;
}

#[tokio::test]
async fn the_hour() {
    // Far from its edges, whenever the test runs: six hours around now, and six on the other side of the day.
    let clock = |hours: u64| {
        let at = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(3_600 * hours));
        at.format(format_description!("[hour]:[minute]")).unwrap()
    };
    let window = |from: u64, to: u64| format!("time = {{ tz = 'Etc/UTC', between = ['{}', '{}'] }}", clock(from), clock(to));
    let (_app, setup, sidecar) = start(&table("", &window(21, 27), &window(9, 15))).await;
    decides(&sidecar, Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await, "time").await;
}

#[tokio::test]
async fn the_tags_of_the_identity() {
    let tags = "[tags]\ntemplate = ['spiffe://{td}/env/{env}/sa/{name}']";
    let (_app, setup, sidecar) = start(&table(tags, "principal_tag = { env = 'prod' }", "principal_tag = { env = 'test' }")).await;
    let cert = setup.cert("spiffe://test.example/env/prod/sa/web");
    decides(&sidecar, Peer::both(sidecar.inbound(), &cert).await, "principal_tag").await;
    // No template is about such ids: nobody knows its tags.
    let denied = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await.get("/yes").await;
    let record = sidecar.record_of(denied.header("x-countersign-decision")).await;
    assert_eq!(looked(&record), (&json!("principal_tag"), &json!("u")));
}

#[tokio::test]
async fn the_channel() {
    let (_app, setup, sidecar) = start(&table("", "tls = { min = '1.3' }", "tls = { post_quantum = true }")).await;
    let alice = setup.cert(ALICE);
    assert_eq!(Peer::http2(sidecar.inbound(), &alice).await.get("/no").await.status, 200, "what our own clients have is post-quantum");
    for (path, status) in [("/yes", "200"), ("/no", "403")] {
        let provider = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let mut old = shake(sidecar.inbound(), tls_config_by(provider, Some(&alice), &["http/1.1"])).await.unwrap();
        old.write_all(format!("GET {path} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within("the answer", old.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{path}");
    }
    let record = sidecar.record("the denial", |record| record["decision"] == "deny").await;
    assert_eq!((&record["tls"]["group"], looked(&record)), (&json!("X25519"), (&json!("tls"), &json!("f"))));
}
