//! What the fuzzer asks of tokens and key sets.

use super::algorithm::Algorithm;
use super::compact::Compact;
use super::issuer::{Issuer, Issuers, Source};
use super::key_set::KeySet;
use super::keys::Keys;
use super::remember::judge;
use super::verify::TokenError;
use crate::policy::json;
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;

/// What becomes of a token of an issuer with these keys, who may sign with RS256 and ES256.
pub(crate) fn judged(keys: &str, iss: &str, token: &[u8], now: SystemTime) -> Result<(), TokenError> {
    let issuer = Issuer::new(iss, vec!["orders".into()], vec![Algorithm::Rs256, Algorithm::Es256], Source::File("fuzz".into()));
    issuer.adopt(|| Arc::new(Keys::new(issuer.source().clone()))).take(keys.as_bytes()).expect("a key set");
    judge(&Issuers::new(vec![issuer]), token, now).map(|_| ())
}

/// The claims of a token in compact form, whoever signed it.
pub(crate) fn claims(token: &[u8]) -> Option<Value> {
    Compact::parse(token).ok().map(|compact| Value::Object(compact.claims.as_map().clone()))
}

/// An object as it is read from strangers.
pub(crate) fn object(text: &[u8]) -> Option<Value> {
    json::object(text).map(Value::Object)
}

/// How many keys a set has that verify tokens.
pub(crate) fn keys(text: &[u8]) -> Option<usize> {
    KeySet::parse(text).ok().map(|set| set.count())
}
