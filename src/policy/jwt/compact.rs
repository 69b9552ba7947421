//! A token as it comes: three parts in base64url (RFC 7515 section 7.1), of which nothing is believed yet.

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::key_set::MAX_KID;
use super::verify::TokenError;
use crate::policy::json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The most bytes of a token.
const MAX_BYTES: usize = 16 << 10;

/// A token in its parts.
#[derive(Debug)]
pub(super) struct Compact<'t> {
    /// Header and payload as they were signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) claims: Claims,
}

impl<'t> Compact<'t> {
    pub(super) fn parse(token: &'t [u8]) -> Result<Self, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Malformed);
        };
        let decoded = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let header = json::object(&decoded(header)?).ok_or(TokenError::Malformed)?;
        let (algorithm, kid) = read_header(&header)?;
        let claims = json::object(&decoded(payload)?).ok_or(TokenError::Malformed)?;
        let signed = token.get(..token.len() - signature.len() - 1).unwrap_or_default();
        Ok(Self { signed, signature: decoded(signature)?, algorithm, kid, claims: Claims::new(claims) })
    }
}

/// What the header says of the signature. Where a key is to be had from (`jku`, `jwk`, `x5u`, `x5c`) is nothing that a token says.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), TokenError> {
    // Whatever is critical is nothing that is understood here (RFC 7515 section 4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::Critical);
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) if ["jwt", "at+jwt"].iter().any(|known| is_type(typ, known)) => {}
        Some(_) => return Err(TokenError::Type),
    }
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::named(name).ok_or(TokenError::Algorithm)?,
        _ => return Err(TokenError::Algorithm),
    };
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Ok((algorithm, Some(kid.clone()))),
        Some(_) => Err(TokenError::Malformed),
    }
}

/// A media type, whose `application/` may be left out (RFC 7515 section 4.1.9).
fn is_type(typ: &str, known: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == known
}
