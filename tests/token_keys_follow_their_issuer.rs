//! Tokens of end users are verified by the keys that their issuer publishes, in a file or on a server, through its roll-overs and its failures.

use crate::support::expiry::MovedClock;
use crate::support::lists::{Answer, ListServer, status};
use crate::support::tokens::{Key, claims, has_keys, issuer, served, server, set, url};
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, get, within};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::time::{Duration, Instant, SystemTime};

/// A table that lets [`ALICE`] in with a token of the issuers at these sources.
fn table(issuers: &str) -> String {
    format!(
        "schema = 1\nname = 'test'\n{issuers}\n[[rule]]\nid = 'reads'\neffect = 'allow'\nfrom = {{ spiffe = ['{ALICE}'] }}\nwhy = 'test'\n\
         paths = ['/**']\n[rule.claims]\nscope = {{ has = 'read' }}\n"
    )
}

/// What [`ALICE`] gets with this token.
async fn with(peer: &mut Peer, token: &str) -> StatusCode {
    peer.send(asking("/x", token)).await.unwrap().status
}

fn asking(path: &str, token: &str) -> Request<Full<Bytes>> {
    let mut request = get(path);
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    request
}

async fn is_believed(peer: &mut Peer, token: &str) {
    eventually("the token to be believed", async || (with(peer, token).await == StatusCode::OK).then_some(())).await;
}

async fn is_not_believed(peer: &mut Peer, token: &str) {
    eventually("the token to be believed no more", async || (with(peer, token).await == StatusCode::FORBIDDEN).then_some(())).await;
}

/// The sidecar, its app, and a server of this answer.
async fn started(answer: Answer) -> (Setup, App, Sidecar, ListServer) {
    let mut setup = Setup::new();
    let server = server(&mut setup, answer).await;
    setup.write_policy(&table(&issuer(&url(&server))));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    (setup, app, sidecar, server)
}

/// How a key set stands.
async fn standing(sidecar: &Sidecar, from: &str) -> serde_json::Value {
    let status = sidecar.status().await.unwrap();
    status["key_sets"].as_array().unwrap().iter().find(|set| set["from"] == from).cloned().unwrap_or_default()
}

async fn is_troubled_by(sidecar: &Sidecar, from: &str, said: &str) {
    let look = async || standing(sidecar, from).await["problem"].as_str()?.contains(said).then_some(());
    eventually(&format!("a problem: {said}"), look).await;
}

#[tokio::test]
async fn a_server_that_comes_late_and_rolls_over() {
    let (one, two) = (Key::rsa("one"), Key::p256("two"));
    let (_setup, _app, sidecar, server) = started(status("503 Not Yet")).await;
    let mut alice = Peer::http2(sidecar.inbound(), &_setup.cert(ALICE)).await;
    // Ready without keys, and nothing is believed.
    is_troubled_by(&sidecar, &url(&server), "answers 503").await;
    assert_eq!(with(&mut alice, &one.token(&claims("read"))).await, StatusCode::FORBIDDEN);
    let note = sidecar.status().await.unwrap()["notes"]["key_sets"].as_str().unwrap().to_owned();
    assert!(note.contains("tokens of its issuer prove nothing until it is there"), "{note}");
    server.answers(served(&set(&[&one]), "cache-control: max-age=3600\r\n"));
    is_believed(&mut alice, &one.token(&claims("read"))).await;
    has_keys(&sidecar, 1).await;
    // The first token of a key that nobody knows has it asked for, and again as long as it comes before the key.
    let (early, before) = (two.token(&claims("read")), server.asked().len());
    assert_eq!(with(&mut alice, &early).await, StatusCode::FORBIDDEN);
    server.is_asked_after(before).await;
    server.answers(served(&set(&[&one, &two]), ""));
    is_believed(&mut alice, &early).await;
    // The old one goes when the set says so.
    assert_eq!(with(&mut alice, &one.token(&claims("read"))).await, StatusCode::OK);
    let remembered = one.token(&claims("read"));
    assert_eq!(with(&mut alice, &remembered).await, StatusCode::OK);
    server.answers(served(&set(&[&two]), ""));
    assert_eq!(sidecar.post("/reload").await.status, 200);
    is_not_believed(&mut alice, &remembered).await;
    assert_eq!(with(&mut alice, &two.token(&claims("read"))).await, StatusCode::OK);
}

#[tokio::test]
async fn whatever_a_server_answers_the_last_good_keys_stay() {
    let key = Key::p256("one");
    let (_setup, _app, sidecar, server) = started(served(&set(&[&key]), "")).await;
    let mut alice = Peer::http1(sidecar.inbound(), &_setup.cert(ALICE)).await;
    is_believed(&mut alice, &key.token(&claims("read"))).await;
    let huge = format!("{{\"keys\":[{}]}}", " ".repeat(10 << 20));
    let many = serde_json::json!({ "keys": vec![key.jwk(); 300] }).to_string();
    let mut private = key.jwk();
    private["d"] = "AA".into();
    let private = serde_json::json!({ "keys": [private] }).to_string();
    let faults = [
        ("answers 500", "status", status("500 Oh")),
        ("points to", "redirect", Answer::Raw(b"HTTP/1.1 302 Found\r\nlocation: https://evil/\r\ncontent-length: 0\r\n\r\n".to_vec())),
        ("longer than 512 KiB", "too_large", served(&huge, "")),
        ("longer than 512 KiB", "too_large", Answer::Endless("HTTP/1.1 200 OK\r\n\r\n")),
        ("holds 300 keys", "unusable", served(&many, "")),
        ("is no JSON Web Key Set", "unusable", served("<html>", "")),
        ("holds no key for signatures", "unusable", served("{\"keys\":[]}", "")),
        ("key 0 is a private key", "unusable", served(&private, "")),
    ];
    for (said, result, answer) in faults {
        let labels = [&*format!("result=\"{result}\"")];
        let before = sidecar.metric("countersign_jwks_reads_total", &labels).await;
        server.answers(answer);
        assert_eq!(sidecar.post("/reload").await.status, 200);
        sidecar.metric_reaches("countersign_jwks_reads_total", &labels, before + 1.0).await;
        is_troubled_by(&sidecar, &url(&server), said).await;
        assert_eq!(with(&mut alice, &key.token(&claims("read"))).await, StatusCode::OK, "{said}");
    }
    assert_eq!(standing(&sidecar, &url(&server)).await["keys"], 1);
    // A server that is not there at all.
    let address = server.address;
    drop(server);
    assert_eq!(sidecar.post("/reload").await.status, 200);
    is_troubled_by(&sidecar, &format!("https://localhost:{}/a.crl", address.port()), "cannot connect").await;
    assert_eq!(with(&mut alice, &key.token(&claims("read"))).await, StatusCode::OK);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_question_in_ten_seconds() {
    const FLOOD: usize = 3_000;
    let key = Key::p256("one");
    let (_setup, _app, sidecar, server) = started(served(&set(&[&key]), "")).await;
    let mut alice = Peer::http1(sidecar.inbound(), &_setup.cert(ALICE)).await;
    is_believed(&mut alice, &key.token(&claims("read"))).await;
    let (before, begun) = (server.asked().len(), Instant::now());
    let stranger = Key::p256("x");
    for number in 0..FLOOD {
        let header = serde_json::json!({ "alg": "ES256", "kid": format!("unknown-{number}") });
        assert_eq!(with(&mut alice, &stranger.token_under(&header, &claims("read"))).await, StatusCode::FORBIDDEN);
    }
    sidecar.metric_reaches("countersign_tokens_verified_total", &["result=\"unknown_key\""], FLOOD as f64).await;
    let asked = server.asked().len() - before;
    // Counted while the flood lasted: one at once, and one for each ten seconds.
    let most = 1 + usize::try_from(begun.elapsed().as_secs() / 10).unwrap() + 1;
    assert!((1..=most).contains(&asked), "{asked} questions in {:?}", begun.elapsed());
    // What was good is remembered through all of it, and a signature is not checked again.
    let verified = sidecar.metric("countersign_tokens_verified_total", &["result=\"ok\""]).await;
    let token = key.token(&claims("read"));
    for _ in 0..100 {
        assert_eq!(with(&mut alice, &token).await, StatusCode::OK);
    }
    let since = sidecar.metric("countersign_tokens_verified_total", &["result=\"ok\""]).await - verified;
    assert!(since <= 1.0, "{since} of 100 were verified anew");
}

#[tokio::test]
async fn a_file_is_followed_and_a_bad_one_is_not() {
    let (one, two) = (Key::rsa("one"), Key::p256("two"));
    let mut setup = Setup::new();
    let file = setup.path("jwks.json");
    let source = format!("file:{}", file.display());
    std::fs::write(&file, set(&[&one])).unwrap();
    setup.write_policy(&table(&issuer(&source)));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    let mut alice = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    // From the first request on.
    assert_eq!(with(&mut alice, &one.token(&claims("read"))).await, StatusCode::OK);
    crate::support::setup::replace(&file, &set(&[&two]));
    is_believed(&mut alice, &two.token(&claims("read"))).await;
    assert_eq!(with(&mut alice, &one.token(&claims("read"))).await, StatusCode::FORBIDDEN);
    for (bad, said) in [("{}", "is no JSON Web Key Set"), (&*"x".repeat(600 << 10), "longer than 512 KiB")] {
        crate::support::setup::replace(&file, bad);
        is_troubled_by(&sidecar, &source, said).await;
        assert_eq!(with(&mut alice, &two.token(&claims("read"))).await, StatusCode::OK);
    }
    // A reload of the table does not lose what its file does not have any more.
    setup.write_policy(&table(&issuer(&source)).replace("'test'\n[[jwt", "'changed'\n[[jwt"));
    assert_eq!(sidecar.post("/reload").await.status, 200);
    assert_eq!(sidecar.status().await.unwrap()["policy"]["name"], "changed");
    assert_eq!(with(&mut alice, &two.token(&claims("read"))).await, StatusCode::OK);
    // And what no table names any more is not looked at.
    setup.write_policy(&crate::support::policy(&[("alice", ALICE, "/**")]));
    assert_eq!(sidecar.post("/reload").await.status, 200);
    assert_eq!(sidecar.status().await.unwrap()["key_sets"], serde_json::json!([]));
    assert!(sidecar.status().await.unwrap()["notes"]["key_sets"].is_null());
}

#[tokio::test]
async fn a_bad_file_is_told_of_before_anything_starts() {
    let mut setup = Setup::new();
    let file = setup.path("jwks.json");
    setup.write_policy(&table(&issuer(&format!("file:{}", file.display()))));
    setup.in_front_of(([127, 0, 0, 1], 9).into());
    let check = async |setup: &Setup| {
        let config = setup.write_config();
        crate::support::sidecar::run(&["check", "--config", config.to_str().unwrap()], setup.dir.path()).await
    };
    let missing = check(&setup).await;
    assert!(
        missing.0 != 0 && missing.1.contains("jwks.json") && missing.1.contains("no token of `https://idp.test/pool` is believed"),
        "{missing:?}"
    );
    std::fs::write(&file, "{\"keys\":[{\"kty\":\"RSA\"}]}").unwrap();
    let bad = check(&setup).await;
    assert!(bad.0 == 2 && bad.1.contains("key 0 lacks a member of its type"), "{bad:?}");
    let config = setup.write_config();
    let run = crate::support::sidecar::run(&["run", "--config", config.to_str().unwrap()], setup.dir.path()).await;
    assert!(run.0 == 2 && run.1.contains("key 0 lacks a member of its type"), "{run:?}");
    std::fs::write(&file, set(&[&Key::p256("one")])).unwrap();
    let good = check(&setup).await;
    assert_eq!(good.0, 0, "{good:?}");
}

#[tokio::test]
async fn what_a_token_allowed_ends_with_it() {
    let key = Key::p256("one");
    let mut setup = Setup::new();
    let server = server(&mut setup, served(&set(&[&key]), "")).await;
    let clock = MovedClock::of(&mut setup);
    setup.write_policy(&table(&issuer(&url(&server))));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let token = key.token(&claims("read"));
    is_believed(&mut http2, &token).await;
    let mut bodies = Vec::new();
    for peer in [&mut http1, &mut http2] {
        let sent = peer.begin(asking(&format!("/unfinished/{}", peer.name()), &token));
        let mut body = within("a response head", sent).await.unwrap().into_body();
        let frame = within("the first bytes", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "beginning");
        bodies.push(body);
    }
    // Their shards have looked at them since they began, by the table in force: what follows is not that.
    for target in ["/unfinished/http1", "/unfinished/http2"] {
        sidecar.record(target, |record| record["http"]["path"] == target && record["phase"] == "open").await;
    }
    // Ten minutes, the minute by which clocks may differ, and the ten seconds until it is looked at again.
    clock.show(SystemTime::now() + Duration::from_secs(680));
    for mut body in bodies {
        assert!(within("the end of a body", body.frame()).await.unwrap().is_err(), "a torn body must not look whole");
    }
    for target in ["/unfinished/http1", "/unfinished/http2"] {
        let record = sidecar.record(target, |record| record["http"]["path"] == target && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "policy_changed", "{record}");
    }
    assert_eq!(with(&mut http2, &token).await, StatusCode::FORBIDDEN);
}
