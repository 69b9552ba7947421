//! What a token says, and whether that is so.

use super::{Field, Fortress, WEB, rule};
use crate::support::tokens::{Key, b64, claims, has_keys, issuer, now, served, server, set, url};
use serde_json::{Value, json};

/// A table that lets [`WEB`] do this with a token for it only.
fn with_scope(what: &str, source: &str) -> String {
    issuer(source) + &rule("needs-token", "allow", WEB, &format!("methods = ['GET']\n{what}\n[rule.claims]\nscope = {{ has = 'read' }}"))
}

/// A sidecar that has fetched the key set of these keys.
async fn fetched(what: &str, keys: &[&Key]) -> (Fortress, crate::support::lists::ListServer) {
    let mut setup = crate::support::Setup::new();
    let served = server(&mut setup, served(&set(keys), "")).await;
    let environment = setup.path("web.pem");
    let fortress = Fortress::configured(&with_scope(what, &url(&served)), |own| {
        std::fs::copy(&environment, own.path("web.pem")).unwrap();
        let roots = own.path("web.pem").display().to_string();
        own.env("SSL_CERT_FILE", &roots);
    })
    .await;
    has_keys(&fortress.sidecar, keys.len() as u64).await;
    (fortress, served)
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

impl Fortress {
    /// With this `Authorization` the request reaches the app, and the field with it, as it was.
    async fn lets_in(&self, path: &str, authorization: &[u8]) {
        for came in self.arrives(path, &[("authorization", authorization)]).await {
            assert_eq!(came.all("authorization"), [authorization]);
        }
    }

    /// With this `Authorization` no rule matches, and the record says that the claim could not be told.
    async fn believes_nothing(&self, what: &str, authorization: &[u8]) {
        for answer in self.get("/app/x", &[("authorization", authorization)]).await {
            let record = self.refused(&answer, 403, "implicit_deny").await;
            assert_eq!(conditions(&record), [("claim:scope".to_owned(), "u".to_owned())], "{what}");
            assert!(!record.to_string().contains("Bearer"), "{record}");
        }
    }
}

fn conditions(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    record["conds"].as_array().unwrap().iter().map(|looked| (text(&looked["name"]), text(&looked["result"]))).collect()
}

fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims("read");
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

#[tokio::test]
async fn cve_2022_29226() {
    let key = Key::p256("one");
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key]).await;
    fortress.lets_in("/app/x", &bearer(&key.token(&claims("read")))).await;
    fortress.lets_in("/app/x", &[b"bEARER ", key.token(&claims("x read y")).as_bytes()].concat()).await;
    // No token: nothing that a token says is so. No scope: as much.
    let without: [(&[Field<'_>], &str); 2] = [(&[], "f"), (&[("authorization", &bearer(&key.token(&changed("scope", Value::Null))))], "f")];
    for (fields, expected) in without {
        for answer in fortress.get("/app/x", fields).await {
            let record = fortress.refused(&answer, 403, "implicit_deny").await;
            assert_eq!(conditions(&record), [("claim:scope".to_owned(), expected.to_owned())]);
        }
    }
    let good = key.token(&claims("read"));
    let garbage = [
        b"Bearer garbage".to_vec(),
        b"Bearer".to_vec(),
        b"Bearer ..".to_vec(),
        b"Bearer e30.e30.e30".to_vec(),
        format!("Bearer  {good}").into_bytes(),
        format!("Bearer\t{good}").into_bytes(),
        format!("Bearer {good}, Bearer {good}").into_bytes(),
        format!("Bearer {good},{good}").into_bytes(),
        format!("Bearer {good}.").into_bytes(),
        format!("Token {good}").into_bytes(),
        format!("Basic {}", b64("user:password")).into_bytes(),
        good.clone().into_bytes(),
    ];
    for authorization in garbage {
        fortress.believes_nothing(&String::from_utf8_lossy(&authorization), &authorization).await;
    }
    fortress.lets_in("/app/x", &bearer(&good)).await;
}

#[tokio::test]
async fn cve_2020_8595() {
    let key = Key::p256("one");
    let (fortress, _server) = fetched("paths = ['/secret']", &[&key]).await;
    let token = bearer(&key.token(&claims("read")));
    for path in ["/secret", "/secret?", "/secret?x", "/secret?/public/x"] {
        fortress.unmatched(fortress.get(path, &[]).await, "/secret").await;
        fortress.lets_in(path, &token).await;
        for _ in 0..2 {
            fortress.sidecar.record(path, |record| record["rule"] == "needs-token" && record["http"]["path"] == "/secret").await;
        }
    }
}

#[tokio::test]
async fn cve_2026_25537() {
    let key = Key::rsa("one");
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key]).await;
    let wrong = [
        ("nbf", json!("0")),
        ("nbf", json!((now() - 60).to_string())),
        ("nbf", json!(now() + 600)),
        ("exp", json!((now() + 600).to_string())),
        ("exp", json!(now() - 120)),
        ("exp", Value::Null),
        ("aud", json!("payments")),
        ("aud", Value::Null),
        ("iss", json!("https://elsewhere.test/pool")),
        ("scope", json!({ "read": true })),
        ("scope", json!(["read", 1])),
    ];
    for (name, value) in wrong {
        fortress.believes_nothing(&format!("{name} = {value}"), &bearer(&key.token(&changed(name, value.clone())))).await;
    }
    fortress.lets_in("/app/x", &bearer(&key.token(&changed("nbf", json!(now()))))).await;
}

#[tokio::test]
async fn algorithms_come_from_the_table() {
    let (key, other) = (Key::rsa("one"), Key::p256("two"));
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key, &other]).await;
    let good = key.token(&claims("read"));
    let [_, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let header = |alg: &str, kid: &str| b64(json!({ "alg": alg, "kid": kid }).to_string());
    // The public key as it is published is the secret of a symmetric signature, for whoever lets the token choose.
    let symmetric = format!("{}.{body}", header("HS256", "one"));
    let secrets = [key.jwk().to_string(), key.jwk()["n"].as_str().unwrap().to_owned(), set(&[&key, &other])];
    for secret in secrets {
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&secret, symmetric.as_bytes());
        fortress.believes_nothing("HS256", &bearer(&format!("{symmetric}.{}", b64(tag)))).await;
    }
    for alg in ["none", "None", "NONE", ""] {
        fortress.believes_nothing(alg, &bearer(&format!("{}.{body}.", header(alg, "one")))).await;
        fortress.believes_nothing(alg, &bearer(&format!("{}.{body}.{signature}", header(alg, "one")))).await;
    }
    // One type of key under the name of another, an algorithm that the table does not list, a key that the token brings along.
    let stranger = Key::p256("two");
    let brought = json!({ "alg": "ES256", "kid": "two", "jwk": stranger.jwk(), "jku": "https://localhost/", "x5c": ["AA"] });
    let headers = [
        (&key, json!({ "alg": "ES256", "kid": "one" })),
        (&key, json!({ "alg": "RS256", "kid": "two" })),
        (&key, json!({ "alg": "PS256", "kid": "one" })),
        (&other, json!({ "alg": "RS256", "kid": "two" })),
        (&stranger, brought),
        (&key, json!({ "alg": "RS256", "kid": "one", "crit": ["b64"], "b64": false })),
        (&key, json!({ "alg": "RS256", "kid": "one", "typ": "secevent+jwt" })),
    ];
    for (key, header) in headers {
        fortress.believes_nothing(&header.to_string(), &bearer(&key.token_under(&header, &claims("read")))).await;
    }
    for key in [&key, &other] {
        fortress.lets_in("/app/x", &bearer(&key.token(&claims("read")))).await;
    }
}

#[tokio::test]
async fn a_kid_is_a_name_and_nothing_else() {
    let key = Key::p256("one");
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key]).await;
    let names =
        ["../../../../dev/null", "/etc/passwd", "one' OR '1'='1", "one\u{0}", "https://evil.example/jwks", "${jndi:ldap://x}", "ONE", ""];
    for kid in names {
        let token = key.token_under(&json!({ "alg": "ES256", "kid": kid }), &claims("read"));
        fortress.believes_nothing(kid, &bearer(&token)).await;
    }
    for kid in [json!(1), json!(["one"]), json!({ "one": 1 }), Value::Null] {
        let token = key.token_under(&json!({ "alg": "ES256", "kid": kid }), &claims("read"));
        fortress.believes_nothing(&kid.to_string(), &bearer(&token)).await;
    }
}

#[tokio::test]
async fn token_of_64_kib() {
    let key = Key::p256("one");
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key]).await;
    let sized = |bytes: usize| key.token(&changed("padding", json!("x".repeat(bytes))));
    // Base64 makes four of three.
    fortress.lets_in("/app/x", &bearer(&sized(11 << 10))).await;
    for bytes in [13 << 10, 47 << 10] {
        let token = sized(bytes);
        let answer = fortress.get_http1("/app/x", &[("authorization", &bearer(&token))]).await;
        let record = fortress.refused(&answer, 403, "implicit_deny").await;
        assert_eq!(conditions(&record), [("claim:scope".to_owned(), "u".to_owned())], "{bytes}");
    }
    let whole = fortress.get_http1("/app/x", &[("authorization", &bearer(&sized(96 << 10)))]).await;
    assert_eq!(whole.status, 431);
    fortress.lets_in("/app/x", &bearer(&key.token(&claims("read")))).await;
}

#[tokio::test]
async fn cve_2021_32777_with_tokens() {
    let key = Key::p256("one");
    let (fortress, _server) = fetched("paths = ['/app/**']", &[&key]).await;
    let (good, bad) = (bearer(&key.token(&claims("read"))), bearer(&key.token(&claims("nothing"))));
    for values in [[&good, &bad], [&bad, &good], [&good, &good]] {
        let fields = values.map(|value| ("authorization", value.as_slice()));
        fortress.malformed(fortress.get("/app/x", &fields).await, "header_repeated").await;
    }
    // Nor may somebody on the way take it off behind the decision.
    let nominated: [Field<'_>; 2] = [("authorization", &good), ("connection", b"authorization")];
    let answer = fortress.get_http1("/app/x", &nominated).await;
    fortress.malformed([answer], "connection_nominates").await;
}
