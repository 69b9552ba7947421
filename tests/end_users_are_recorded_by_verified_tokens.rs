//! A record names the end user whose token a rule looked at and was verified, and nobody else; with `hash_user` under another name.

use crate::support::lists::ListServer;
use crate::support::sidecar::run_for;
use crate::support::tokens::{ISS, Key, claims, has_keys, issuer, served, server, set, url};
use crate::support::{ALICE, App, Peer, Setup, Sidecar, get};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// `/tokens/**` asks for a token; nothing else does.
fn table(issuer: &str) -> String {
    let rule = |id: &str, path: &str| {
        format!("[[rule]]\nid = '{id}'\neffect = 'allow'\nfrom = {{ spiffe = ['{ALICE}'] }}\nwhy = 'test'\npaths = ['{path}']\n")
    };
    format!(
        "schema = 1\nname = 'test'\n{issuer}\n{}[rule.claims]\nscope = {{ has = 'read' }}\n{}",
        rule("asks", "/tokens/**"),
        rule("any", "/open/**")
    )
}

async fn started(key: &Key, keys: &[(&str, &str)]) -> (App, ListServer, Setup, Sidecar) {
    let mut setup = Setup::new();
    let server = server(&mut setup, served(&set(&[key]), "")).await;
    setup.write_policy(&table(&issuer(&url(&server))));
    for (name, value) in keys {
        setup.set(name, value);
    }
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    has_keys(&sidecar, 1).await;
    (app, server, setup, sidecar)
}

/// The `user` of the record of a request with this token.
async fn user(sidecar: &Sidecar, peer: &mut Peer, path: &str, token: Option<&str>, status: StatusCode) -> Value {
    let mut request = get(path);
    if let Some(token) = token {
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    }
    assert_eq!(peer.send(request).await.unwrap().status, status, "{path}");
    sidecar.record(path, |record| record["http"]["path"] == path).await["user"].clone()
}

#[tokio::test]
async fn by_name() {
    let (key, foreign) = (Key::p256("k"), Key::p256("k"));
    let (_app, _server, setup, sidecar) = started(&key, &[]).await;
    let said = |sub: &str, scope: &str| {
        let mut claims = claims(scope);
        claims["sub"] = json!(sub);
        claims
    };
    let bob = key.token(&said("bob \"the\u{1b}\" user", "read"));
    let lesser = key.token(&said("carol", "write"));
    let forged = foreign.token(&said("root", "read"));
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let path = |name: &str| format!("/tokens/{name}/{}", peer.name());
        let paths = ["bob", "again", "lesser", "forged", "none"].map(path);
        let open = format!("/open/{}", peer.name());
        let expected = json!({"iss": ISS, "sub": "bob \"the\u{1b}\" user"});
        assert_eq!(user(&sidecar, &mut peer, &paths[0], Some(&bob), StatusCode::OK).await, expected);
        assert_eq!(user(&sidecar, &mut peer, &paths[1], Some(&bob), StatusCode::OK).await, expected);
        // Known, and not allowed.
        assert_eq!(user(&sidecar, &mut peer, &paths[2], Some(&lesser), StatusCode::FORBIDDEN).await["sub"], "carol");
        // What nobody vouches for names nobody, and what no rule asks for is not looked at.
        assert_eq!(user(&sidecar, &mut peer, &paths[3], Some(&forged), StatusCode::FORBIDDEN).await, Value::Null);
        assert_eq!(user(&sidecar, &mut peer, &paths[4], None, StatusCode::FORBIDDEN).await, Value::Null);
        assert_eq!(user(&sidecar, &mut peer, &open, Some(&bob), StatusCode::OK).await, Value::Null);
    }
}

#[tokio::test]
async fn by_another_name() {
    let key = Key::p256("k");
    let (_app, _server, setup, sidecar) = started(&key, &[("audit.hash_user", "true")]).await;
    let [mut peer, _] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let token = key.token(&claims("read"));
    let first = user(&sidecar, &mut peer, "/tokens/1", Some(&token), StatusCode::OK).await;
    assert_eq!(first, user(&sidecar, &mut peer, "/tokens/2", Some(&token), StatusCode::OK).await);
    let digits = first["sub"].as_str().unwrap().strip_prefix("hmac-sha256:").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let text = serde_json::to_string(&sidecar.records()).unwrap();
    assert!(!text.contains(&format!("\"{}\"", claims("read")["sub"].as_str().unwrap())), "{text}");
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    let mut setup = Setup::new();
    let key = setup.path("users.key");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    setup
        .in_front_of(([127, 0, 0, 1], 9).into())
        .set("audit.hash_user", "true")
        .set("audit.hash_user_key_file", &format!("'{}'", key.display()));
    for (mode, code) in [(0o640, 2), (0o600, 0)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let (ended, said) = run_for(&setup, &["check"]).await;
        assert_eq!((ended, said.contains("audit.hash_user_key_file")), (code, code == 2), "{said}");
    }
}
