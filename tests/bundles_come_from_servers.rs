//! Signed bundles come from a server over https: asked for over and over by their entity tag, and through its failures the last good one stays.

use crate::support::bundles::Signer;
use crate::support::lists::{Answer, ListServer, status};
use crate::support::setup::replace;
use crate::support::tokens::server;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};

fn alice() -> String {
    policy(&[("alice", ALICE, "/**")])
}

fn both() -> String {
    policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")])
}

/// A sidecar that is in front of `app` and asks this server every second.
async fn started(signer: &Signer, app: &App, answer: Answer) -> (Setup, Sidecar, ListServer) {
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    let server = server(&mut setup, answer).await;
    setup.set("policy.file", &format!("'{}'", server.url_at("localhost"))).set("policy.refresh", "'1s'").in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    eventually("a certificate", async || sidecar.status().await.filter(|status| !status["certificate"].is_null())).await;
    (setup, sidecar, server)
}

async fn gets(peer: &mut Peer, status: u16) {
    eventually(&format!("{status}"), async || (peer.get("/orders").await.status == status).then_some(())).await;
}

async fn problem(sidecar: &Sidecar, said: &str) {
    let look = async || sidecar.status().await?["policy_sources"][0]["problem"].as_str()?.contains(said).then_some(());
    eventually(&format!("a problem of the source: {said}"), look).await;
}

async fn is_good_again(sidecar: &Sidecar) {
    let look = async || sidecar.status().await.filter(|status| status["policy_sources"][0]["problem"].is_null());
    eventually("a source without a problem", look).await;
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_denies_everything_until_it_answers() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let (setup, sidecar, server) = started(&signer, &app, status("503 Not Yet")).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let denied = peer.get("/orders").await;
    assert_eq!(denied.status, 403);
    assert_eq!(sidecar.record_of(denied.header("x-countersign-decision")).await["reason"], "no_policy");
    let said = sidecar.status().await.unwrap();
    assert!(said["ready"] == false && said["pending"]["policy"].as_str().unwrap().contains("the server answers 503"), "{said}");
    // What is no bundle, or none of ours, does not do either.
    server.answers(Answer::List(alice().into_bytes(), "plain"));
    sidecar.log_line("is not signed, and [policy] public_key accepts nothing but signed bundles").await;
    let other = Signer::new().await;
    server.answers(Answer::List(other.bundle(&alice(), 9).await.into_bytes(), "other"));
    sidecar.log_line("the signature of its manifest is not by the key").await;
    assert_eq!(peer.get("/orders").await.status, 403);
    server.answers(Answer::List(signer.bundle(&alice(), 3).await.into_bytes(), "three"));
    gets(&mut peer, 200).await;
    assert_eq!(sidecar.status().await.unwrap()["ready"], true);
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again_and_what_is_new_is_in_force() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let (setup, sidecar, server) = started(&signer, &app, Answer::List(signer.bundle(&alice(), 3).await.into_bytes(), "three")).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    gets(&mut bob, 403).await;
    sidecar.metric_reaches("countersign_policy_fetches_total", &["result=\"unchanged\""], 2.0).await;
    assert_eq!(sidecar.metric("countersign_policy_fetches_total", &["result=\"ok\""]).await, 1.0);
    assert!(server.asked()[1].contains("if-none-match: \"three\""), "{:?}", server.asked());
    assert_eq!(sidecar.metric("countersign_policy_reloads_total", &["result=\"failed\""]).await, 0.0);
    server.answers(Answer::List(signer.bundle(&both(), 4).await.into_bytes(), "four"));
    gets(&mut bob, 200).await;
    // An old one that somebody puts back is fetched, and refused.
    server.answers(Answer::List(signer.bundle(&alice(), 3).await.into_bytes(), "three"));
    sidecar.log_line("it has the sequence 3, and 4 is the least that is accepted").await;
    assert_eq!(bob.get("/orders").await.status, 200);
}

#[tokio::test]
async fn whatever_a_server_answers_the_last_good_one_stays() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let good = Answer::List(signer.bundle(&alice(), 3).await.into_bytes(), "three");
    let (setup, sidecar, server) = started(&signer, &app, good.clone()).await;
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    gets(&mut peer, 200).await;
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://evil/\r\ncontent-length: 0\r\n\r\n";
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 67108865\r\n\r\n";
    let faults = [
        ("answers 500", status("500 Oh")),
        ("points to", Answer::Raw(moved.into())),
        ("longer than 64 MiB", Answer::Raw(huge.into())),
        ("cannot be read", Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"manifest\":".to_vec())),
    ];
    for (said, answer) in faults {
        server.answers(answer);
        sidecar.post("/reload").await;
        problem(&sidecar, said).await;
        assert_eq!(peer.get("/orders").await.status, 200, "{said}");
        server.answers(good.clone());
        sidecar.post("/reload").await;
        is_good_again(&sidecar).await;
    }
    assert_eq!(sidecar.status().await.unwrap()["ready"], true);
}

#[tokio::test]
async fn a_reload_that_names_a_server_waits_for_its_bundle() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    let server = server(&mut setup, status("503 Not Yet")).await;
    setup.write_policy(&signer.bundle(&alice(), 3).await);
    let sidecar = setup.start(&app).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    setup.set("policy.file", &format!("'{}'", server.url_at("localhost")));
    replace(&setup.path("countersign.toml"), &setup.config());
    let refused = sidecar.post("/reload").await;
    assert!(refused.status == 422 && refused.body.contains("the server answers 503"), "{}", refused.body);
    let said = sidecar.status().await.unwrap();
    assert!(said["policy_sources"].as_array().unwrap().is_empty() && said["ready"] == true, "{said}");
    server.answers(Answer::List(signer.bundle(&both(), 4).await.into_bytes(), "four"));
    let taken = sidecar.post("/reload").await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(bob.get("/orders").await.status, 200);
}
