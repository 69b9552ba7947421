//! Key sets and tokens, good and bad, with keys made here.

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::issuer::{Issuer, Issuers, Source};
use super::key_set::{KeySet, KeySetError};
use super::keys::Keys;
use super::remember::judge;
use super::verify::{TokenError, verify};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

const ISS: &str = "https://idp.example/pool";

/// 2026-11-21T12:00:00Z.
const NOON: u64 = 1_795_262_400;

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOON)
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair, with its public half as a set has it.
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

impl Pair {
    /// Made once: an RSA key takes a while.
    fn rsa() -> &'static Self {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(|| Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, crv: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(algorithm).unwrap(), crv)
    }

    fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": kid, "n": b64(n), "e": b64(e) })
            }
            Self::Ec(pair, crv) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({ "kty": "EC", "crv": crv, "kid": kid, "x": b64(x), "y": b64(y) })
            }
            Self::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key()) }),
        }
    }

    fn sign(&self, encoding: &'static dyn RsaEncoding, signed: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().into(),
            Self::Ed(pair) => pair.sign(signed.as_bytes()).as_ref().into(),
        }
    }

    /// A token with this header and these claims, signed with PKCS #1 and SHA-256 where it is RSA.
    fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_by(&RSA_PKCS1_SHA256, header, claims)
    }

    fn token_by(&self, encoding: &'static dyn RsaEncoding, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.sign(encoding, &signed);
        format!("{signed}.{}", b64(signature))
    }
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// One issuer with these keys, for `orders`.
fn issuers(algs: &[Algorithm], keys: &[Value]) -> Issuers {
    let source = Source::File("/nonexistent".into());
    let issuer = Issuer::new(ISS, vec!["orders".into(), "other".into()], algs.to_vec(), source);
    let current = issuer.adopt(|| Arc::new(Keys::new(issuer.source().clone())));
    current.take(set(keys).as_bytes()).unwrap();
    Issuers::new(vec![issuer])
}

fn claims() -> Value {
    json!({ "iss": ISS, "aud": "orders", "sub": "alice", "exp": NOON + 600, "nbf": NOON - 600, "iat": NOON - 600 })
}

/// The usual claims with one changed; null takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn judged(issuers: &Issuers, token: &str) -> Result<(), TokenError> {
    let by_hand = verify(issuers, token.as_bytes()).map_err(|refusal| refusal.error).and_then(|verified| verified.holds_at(noon()));
    let remembered = [(); 3].map(|()| judge(issuers, token.as_bytes(), noon()).map(|_| ()));
    assert_eq!(remembered, [by_hand; 3], "{token}");
    by_hand
}

#[test]
fn every_algorithm_is_verified_by_its_own_key_alone() {
    let (p256, p384) = (Pair::p256(), Pair::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"));
    let ed = Pair::Ed(Ed25519KeyPair::generate().unwrap());
    let rsa = Pair::rsa();
    let table: [(&str, &Pair, &'static dyn RsaEncoding); 9] = [
        ("RS256", rsa, &RSA_PKCS1_SHA256),
        ("RS384", rsa, &RSA_PKCS1_SHA384),
        ("RS512", rsa, &RSA_PKCS1_SHA512),
        ("PS256", rsa, &RSA_PSS_SHA256),
        ("PS384", rsa, &RSA_PSS_SHA384),
        ("PS512", rsa, &RSA_PSS_SHA512),
        ("ES256", &p256, &RSA_PKCS1_SHA256),
        ("ES384", &p384, &RSA_PKCS1_SHA256),
        ("EdDSA", &ed, &RSA_PKCS1_SHA256),
    ];
    let all: Vec<Algorithm> = table.iter().map(|(name, ..)| Algorithm::named(name).unwrap()).collect();
    // One name for all of them: the type of the key tells them apart.
    let keys = [rsa, &p256, &p384, &ed].map(|pair| pair.jwk("k"));
    for (name, pair, encoding) in table {
        let token = |alg: &str| pair.token_by(encoding, &json!({ "alg": alg, "kid": "k" }), &claims());
        let everything = issuers(&all, &keys);
        assert_eq!(judged(&everything, &token(name)), Ok(()), "{name}");
        for other in all.iter().map(|algorithm| algorithm.as_str()).filter(|other| *other != name) {
            assert!(judged(&everything, &token(other)).is_err(), "{name} as {other}");
            let only = issuers(&[Algorithm::named(other).unwrap()], &keys);
            assert_eq!(judged(&only, &token(name)), Err(TokenError::Algorithm), "{name} where {other} is allowed");
        }
        // A key that its owner restricts to another algorithm of its type.
        let mut restricted = pair.jwk("k");
        restricted["alg"] = json!(if name == "RS256" { "RS512" } else { "RS256" });
        if matches!(pair, Pair::Rsa(_)) {
            assert_eq!(judged(&issuers(&all, &[restricted]), &token(name)), Err(TokenError::UnknownKey), "{name}");
        }
    }
}

#[test]
fn a_token_that_nobody_or_somebody_else_signed_proves_nothing() {
    let (rsa, other, p256) = (Pair::rsa(), Pair::p256(), Pair::p256());
    let ours = issuers(&[Algorithm::Rs256, Algorithm::Es256], &[rsa.jwk("r"), p256.jwk("e")]);
    let header = json!({ "alg": "ES256", "kid": "e" });
    let good = p256.token(&header, &claims());
    assert_eq!(judged(&ours, &good), Ok(()));
    assert_eq!(judged(&ours, &other.token(&header, &claims())), Err(TokenError::Signature));
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let unsigned = |alg: &str| b64(json!({ "alg": alg, "kid": "r" }).to_string());
    // The public key as the secret of a symmetric signature, by its text and by its set.
    let table = [
        (format!("{}.{body}.", unsigned("none")), TokenError::Algorithm),
        (format!("{}.{body}.", unsigned("NONE")), TokenError::Algorithm),
        (format!("{}.{body}.{signature}", unsigned("HS256")), TokenError::Algorithm),
        (format!("{head}.{body}."), TokenError::Signature),
        (format!("{head}.{}.{signature}", b64(with("sub", json!("bob")).to_string())), TokenError::Signature),
        (format!("{head}.{body}.{}", b64([0; 64])), TokenError::Signature),
        (format!("{head}.{body}.{}", b64([0xff; 64])), TokenError::Signature),
        (format!("{head}.{body}.{}", b64([1; 63])), TokenError::Signature),
        (format!("{head}.{body}"), TokenError::Malformed),
        (format!("{good}."), TokenError::Malformed),
        (format!("{good}.x.y"), TokenError::Malformed),
        (format!("{good}="), TokenError::Malformed),
        (format!(" {good}"), TokenError::Malformed),
        (format!("{good},{good}"), TokenError::Malformed),
        (format!("{head}.{body}.{signature}\n"), TokenError::Malformed),
        (String::new(), TokenError::Malformed),
        ("..".to_owned(), TokenError::Malformed),
        ("garbage".to_owned(), TokenError::Malformed),
        ("x".repeat((16 << 10) + 1), TokenError::TooLong),
    ];
    for (token, error) in table {
        assert_eq!(judged(&ours, &token), Err(error), "{token}");
    }
}

#[test]
fn a_header_is_read_in_one_way_or_not_at_all() {
    let pair = Pair::p256();
    let ours = issuers(&[Algorithm::Es256], &[pair.jwk("e")]);
    let table = [
        (json!({ "alg": "ES256", "kid": "e" }), Ok(())),
        (json!({ "alg": "ES256" }), Ok(())),
        (json!({ "alg": "ES256", "kid": "e", "typ": "JWT" }), Ok(())),
        (json!({ "alg": "ES256", "kid": "e", "typ": "at+jwt" }), Ok(())),
        (json!({ "alg": "ES256", "kid": "e", "typ": "application/AT+JWT" }), Ok(())),
        (json!({ "alg": "ES256", "kid": "e", "typ": "dpop+jwt" }), Err(TokenError::Type)),
        (json!({ "alg": "ES256", "kid": "e", "typ": 1 }), Err(TokenError::Type)),
        (json!({ "alg": "ES256", "kid": "e", "crit": ["exp"], "exp": 1 }), Err(TokenError::Critical)),
        (json!({ "alg": "ES256", "kid": "e", "crit": [] }), Err(TokenError::Critical)),
        (json!({ "alg": ["ES256"], "kid": "e" }), Err(TokenError::Algorithm)),
        (json!({ "kid": "e" }), Err(TokenError::Algorithm)),
        (json!({ "alg": "ES256", "kid": 1 }), Err(TokenError::Malformed)),
        (json!({ "alg": "ES256", "kid": "../../../../dev/null" }), Err(TokenError::UnknownKey)),
        (json!({ "alg": "ES256", "kid": "e' OR '1'='1" }), Err(TokenError::UnknownKey)),
        (json!({ "alg": "ES256", "kid": "e\u{0}" }), Err(TokenError::UnknownKey)),
        (json!({ "alg": "ES256", "kid": "" }), Err(TokenError::UnknownKey)),
        (json!({ "alg": "ES256", "kid": "x".repeat(257) }), Err(TokenError::Malformed)),
        // Keys that a token brings along are nobody's.
        (json!({ "alg": "ES256", "kid": "x", "jwk": pair.jwk("x"), "jku": "https://evil.example/" }), Err(TokenError::UnknownKey)),
    ];
    for (header, expected) in table {
        assert_eq!(judged(&ours, &pair.token(&header, &claims())), expected, "{header}");
    }
    let twice = r#"{"alg":"none","kid":"e","alg":"ES256"}"#;
    let signed = format!("{}.{}", b64(twice), b64(claims().to_string()));
    let token = format!("{signed}.{}", b64(pair.sign(&RSA_PKCS1_SHA256, &signed)));
    assert_eq!(judged(&ours, &token), Err(TokenError::Malformed));
    // Without a name there must be one key only that could be meant.
    let two = issuers(&[Algorithm::Es256], &[pair.jwk("e"), Pair::p256().jwk("f")]);
    assert_eq!(judged(&two, &pair.token(&json!({ "alg": "ES256" }), &claims())), Err(TokenError::UnknownKey));
}

#[test]
fn cve_2026_25537_registered_claims_have_their_type() {
    let pair = Pair::p256();
    let ours = issuers(&[Algorithm::Es256], &[pair.jwk("e")]);
    let table = [
        ("nbf", json!("1"), Err(TokenError::Claim)),
        ("nbf", json!((NOON + 600).to_string()), Err(TokenError::Claim)),
        ("nbf", json!([NOON]), Err(TokenError::Claim)),
        ("nbf", json!(true), Err(TokenError::Claim)),
        ("nbf", Value::Null, Ok(())),
        ("nbf", json!(NOON + 59), Ok(())),
        ("nbf", json!(NOON + 61), Err(TokenError::NotYet)),
        ("exp", Value::Null, Err(TokenError::Claim)),
        ("exp", json!((NOON + 600).to_string()), Err(TokenError::Claim)),
        ("exp", json!({}), Err(TokenError::Claim)),
        ("exp", json!(-1), Err(TokenError::Claim)),
        ("exp", json!(1e300), Err(TokenError::Claim)),
        // Milliseconds would be good for fifty thousand years.
        ("exp", json!(NOON * 1_000), Err(TokenError::Claim)),
        ("exp", json!(NOON as f64 + 0.5), Ok(())),
        ("exp", json!(NOON - 59), Ok(())),
        ("exp", json!(NOON - 60), Err(TokenError::Expired)),
        ("exp", json!(0), Err(TokenError::Expired)),
        ("iat", json!("yesterday"), Err(TokenError::Claim)),
        ("iat", Value::Null, Ok(())),
        ("aud", json!(["x", "other"]), Ok(())),
        ("aud", json!("orders "), Err(TokenError::Audience)),
        ("aud", json!("Orders"), Err(TokenError::Audience)),
        ("aud", json!([]), Err(TokenError::Audience)),
        ("aud", json!(["orders", 1]), Err(TokenError::Claim)),
        ("aud", json!({ "orders": 1 }), Err(TokenError::Claim)),
        ("aud", Value::Null, Err(TokenError::Audience)),
        ("iss", json!("https://idp.example/pool/"), Err(TokenError::Issuer)),
        ("iss", json!([ISS]), Err(TokenError::Issuer)),
        ("iss", Value::Null, Err(TokenError::Issuer)),
    ];
    for (name, value, expected) in table {
        let token = pair.token(&json!({ "alg": "ES256", "kid": "e" }), &with(name, value.clone()));
        assert_eq!(judged(&ours, &token), expected, "{name} = {value}");
    }
}

#[test]
fn what_is_remembered_ends_with_its_time_and_with_its_key() {
    let (pair, next) = (Pair::p256(), Pair::p256());
    let ours = issuers(&[Algorithm::Es256], &[pair.jwk("e")]);
    let token = pair.token(&json!({ "alg": "ES256", "kid": "e" }), &claims());
    let at = |seconds| judge(&ours, token.as_bytes(), noon() + Duration::from_secs(seconds)).map(|_| ());
    assert_eq!((at(0), at(659), at(660), at(0)), (Ok(()), Ok(()), Err(TokenError::Expired), Ok(())));
    let keys = ours.iter().next().unwrap().keys().unwrap();
    assert_eq!(keys.take(set(&[pair.jwk("e")]).as_bytes()), Ok(false));
    assert_eq!(keys.take(set(&[next.jwk("e")]).as_bytes()), Ok(true));
    assert_eq!(at(0), Err(TokenError::Signature));
    assert_eq!(keys.take(b"{}"), Err(KeySetError::Malformed));
    assert_eq!(keys.take(set(&[next.jwk("f"), pair.jwk("e")]).as_bytes()), Ok(true));
    assert_eq!(at(0), Ok(()));
    // Another table believes something else, whatever this one remembers.
    let others = Issuers::new(vec![Issuer::new(ISS, vec!["x".into()], vec![Algorithm::Es256], Source::File("/x".into()))]);
    assert_eq!(judge(&others, token.as_bytes(), noon()).map(|_| ()), Err(TokenError::Audience));
}

#[test]
fn a_key_set_is_taken_whole_or_refused_whole() {
    let (rsa, p256) = (Pair::rsa(), Pair::p256());
    let changed = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let weak = Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let Value::String(modulus) = weak.jwk("w")["n"].clone() else { panic!() };
    let short = b64(&URL_SAFE_NO_PAD.decode(modulus).unwrap()[..128]);
    let refused = |index, what| Err(KeySetError::Key { index, what });
    let coordinate = "has a coordinate of another length than its curve's";
    let exponent = "has an exponent that is even, 1, or beyond 64 bits";
    let table = [
        (vec![rsa.jwk("a"), p256.jwk("a")], Ok(2)),
        (vec![changed(rsa.jwk("a"), "use", json!("sig")), changed(p256.jwk("b"), "key_ops", json!(["verify"]))], Ok(2)),
        // Not for verifying tokens: passed over, whatever else they are.
        (vec![rsa.jwk("a"), changed(rsa.jwk("b"), "use", json!("enc"))], Ok(1)),
        (vec![rsa.jwk("a"), changed(p256.jwk("b"), "key_ops", json!(["deriveKey"]))], Ok(1)),
        (vec![rsa.jwk("a"), changed(rsa.jwk("b"), "alg", json!("RSA-OAEP-256"))], Ok(1)),
        (vec![rsa.jwk("a"), json!({ "kty": "oct", "k": "AAAA" }), json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" })], Ok(1)),
        (vec![changed(rsa.jwk("a"), "use", json!("enc"))], Err(KeySetError::Empty)),
        (vec![], Err(KeySetError::Empty)),
        (vec![rsa.jwk("a"), rsa.jwk("a")], Err(KeySetError::Ambiguous(1))),
        (vec![json!({ "kid": "a" })], refused(0, "has no kty")),
        (vec![changed(rsa.jwk("a"), "kid", json!(1))], refused(0, "has a kty, crv, alg, use or kid that is no string")),
        (vec![changed(rsa.jwk("a"), "alg", json!("ES256"))], refused(0, "has an alg of another type of key")),
        (vec![changed(rsa.jwk("a"), "n", json!(short))], refused(0, "is an RSA key of less than 2048 or more than 8192 bits")),
        (vec![changed(rsa.jwk("a"), "n", json!(""))], refused(0, "is an RSA key of less than 2048 or more than 8192 bits")),
        (vec![changed(rsa.jwk("a"), "e", json!("AA"))], refused(0, exponent)),
        (vec![changed(rsa.jwk("a"), "e", json!("AQ"))], refused(0, exponent)),
        (vec![changed(rsa.jwk("a"), "e", json!("Ag"))], refused(0, exponent)),
        (vec![changed(rsa.jwk("a"), "e", json!(""))], refused(0, exponent)),
        (vec![changed(rsa.jwk("a"), "e", json!("AAED"))], refused(0, "is no RSA key")),
        (vec![changed(rsa.jwk("a"), "n", json!(b64([0; 256])))], refused(0, "is an RSA key of less than 2048 or more than 8192 bits")),
        (vec![changed(rsa.jwk("a"), "n", json!("+/=="))], refused(0, "has a member that is no base64url without padding")),
        (vec![changed(p256.jwk("a"), "x", json!(b64([1; 32])))], refused(0, "is no point of its curve")),
        (vec![changed(p256.jwk("a"), "x", json!(b64([1; 31])))], refused(0, coordinate)),
        (vec![changed(p256.jwk("a"), "crv", json!("P-384"))], refused(0, coordinate)),
        (
            vec![rsa.jwk("a"), changed(p256.jwk("b"), "d", json!("AA"))],
            refused(1, "is a private key: whoever has read it can sign; make new keys and publish the public ones"),
        ),
        (vec![json!({ "kty": "oct" }); 257], Err(KeySetError::TooMany(257))),
    ];
    for (keys, expected) in table {
        let text = set(&keys);
        assert_eq!(KeySet::parse(text.as_bytes()).map(|set| set.count()), expected, "{text}");
    }
    let good = rsa.jwk("a");
    for text in [
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[1]}",
        "<html>",
        &good.to_string(),
        &format!("{{\"keys\":[],\"keys\":[{good}]}}"),
        &format!("{{\"keys\":[{good}]}}x"),
    ] {
        assert_eq!(KeySet::parse(text.as_bytes()).map(|_| ()), Err(KeySetError::Malformed), "{text}");
    }
}

#[test]
fn claims_are_not_shown() {
    let Value::Object(claims) = json!({ "sub": "alice", "secret": "x" }) else { panic!() };
    assert_eq!(format!("{:?}", Claims::new(claims)), "[\"secret\", \"sub\"]");
}
