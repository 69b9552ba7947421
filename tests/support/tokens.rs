//! An issuer of tokens: its keys, its key set on a server or in a file, and tokens, good and bad.

use super::lists::{Answer, ListServer};
use super::{Setup, eventually};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::testing::pki::{LeafOptions, TestCa};
use serde_json::{Value, json};
use std::time::SystemTime;

/// What its tokens have in `iss`.
pub const ISS: &str = "https://idp.test/pool";

/// A key pair of an issuer.
pub enum Key {
    /// Signs with RS256.
    Rsa(String, RsaKeyPair),
    /// Signs with ES256.
    P256(String, EcdsaKeyPair),
}

impl Key {
    /// A new RSA key of this name.
    pub fn rsa(kid: &str) -> Self {
        Self::Rsa(kid.into(), RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// A new P-256 key of this name.
    pub fn p256(kid: &str) -> Self {
        Self::P256(kid.into(), EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// Its public half as a set has it.
    pub fn jwk(&self) -> Value {
        match self {
            Self::Rsa(kid, pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": b64(n), "e": b64(e) })
            }
            Self::P256(kid, pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(x), "y": b64(y) })
            }
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let (alg, kid) = match self {
            Self::Rsa(kid, _) => ("RS256", kid),
            Self::P256(kid, _) => ("ES256", kid),
        };
        self.token_under(&json!({ "alg": alg, "kid": kid, "typ": "JWT" }), claims)
    }

    /// A token with this header, whatever it says, signed by this key.
    pub fn token_under(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(_, pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::P256(_, pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", b64(signature))
    }
}

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Claims of a good token for `orders` with a scope.
pub fn claims(scope: &str) -> Value {
    json!({ "iss": ISS, "aud": "orders", "sub": "alice", "scope": scope, "iat": now(), "nbf": now(), "exp": now() + 600 })
}

/// A key set with these keys.
pub fn set(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}

/// An answer with a key set, and with this beside it in its head.
pub fn served(set: &str, head: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{head}\r\n{set}", set.len()).into_bytes())
}

/// The part of a table that believes the issuer.
pub fn issuer(jwks: &str) -> String {
    format!("[[jwt_issuer]]\niss = '{ISS}'\naud = ['orders']\njwks = '{jwks}'\nalgs = ['RS256', 'ES256']\n")
}

/// An https server of key sets, whose root the sidecar trusts as it would a public one.
pub async fn server(setup: &mut Setup, answer: Answer) -> ListServer {
    let web = TestCa::named("web", "web root");
    let server = ListServer::https(answer, &web.issue_with(&LeafOptions::dns("localhost"))).await;
    web.write_root(setup.dir.path(), "web.pem");
    let roots = setup.path("web.pem").display().to_string();
    setup.env("SSL_CERT_FILE", &roots);
    server
}

/// Where its key set is.
pub fn url(server: &ListServer) -> String {
    server.url_at("localhost")
}

/// Waits until the sidecar has so many keys of its only source.
pub async fn has_keys(sidecar: &super::Sidecar, count: u64) {
    let keys = async || (sidecar.status().await?["key_sets"][0]["keys"] == count).then_some(());
    eventually(&format!("{count} keys"), keys).await;
}
