//! Whether a token is what it says: its issuer's, for us, and of this time. Whatever is not plain refuses it.

use super::claims::{Claims, date};
use super::compact::Compact;
use super::issuer::Issuers;
use super::key_set::NoSuchKey;
use super::keys::Keys;
use super::user::User;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far an issuer's clock may be from ours.
pub(in crate::policy) const LEEWAY: Duration = Duration::from_secs(60);

/// A token that its issuer signed for us.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: Claims,
    /// For records; another thread writes them.
    pub(super) user: Arc<User>,
    expires: SystemTime,
    not_before: Option<SystemTime>,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has more than 16 KiB.
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// It is not three parts of base64url with JSON in them, or the field holds something beside a token.
    #[error("it is no signed token in compact form")]
    Malformed,
    /// It has critical extensions.
    #[error("it has critical extensions")]
    Critical,
    /// It is a token for something else.
    #[error("its typ is neither JWT nor at+jwt")]
    Type,
    /// It is signed in a way that its issuer is not allowed, or not at all.
    #[error("its alg is not one that the table allows its issuer")]
    Algorithm,
    /// No issuer of the table has its name.
    #[error("its iss is no issuer of the table")]
    Issuer,
    /// It is for somebody else.
    #[error("its aud is not ours")]
    Audience,
    /// A registered claim is missing or of the wrong type.
    #[error("exp, nbf, iat or aud is missing or of the wrong type")]
    Claim,
    /// The issuer's keys are not there yet. Helps to wait.
    #[error("the issuer's keys are not there")]
    NoKeys,
    /// The key set has no such key, or more than one. Helps to wait: the set is asked for again.
    #[error("the issuer's key set has not exactly one key that it names")]
    UnknownKey,
    /// Somebody else signed it, or it was changed.
    #[error("its signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
}

impl TokenError {
    /// The stable label of metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claim => "claim",
            Self::NoKeys => "no_keys",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
        }
    }
}

/// A token that proves nothing.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) error: TokenError,
    /// The keys of which newer ones may be another word about it.
    stale: Option<Arc<Keys>>,
}

impl Refusal {
    /// Gives the reason, and has newer keys asked for where they may help: each time, since the first answer may have come too early.
    pub(super) fn say(&self) -> TokenError {
        if let Some(keys) = &self.stale {
            keys.want();
        }
        self.error
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self { error, stale: None }
    }
}

/// Checks everything but the time, which is looked at each time: the signature last, since it costs most.
pub(super) fn verify(issuers: &Issuers, token: &[u8]) -> Result<Verified, Refusal> {
    let token = Compact::parse(token)?;
    let iss = token.claims.get("iss").and_then(Value::as_str).ok_or(TokenError::Issuer)?;
    let issuer = issuers.named(iss).ok_or(TokenError::Issuer)?;
    if !issuer.algs.contains(&token.algorithm) {
        return Err(TokenError::Algorithm.into());
    }
    if !audiences(&token.claims)?.any(|aud| issuer.aud.iter().any(|ours| **ours == *aud)) {
        return Err(TokenError::Audience.into());
    }
    let moment = |name: &str| token.claims.get(name).map(|value| date(value).ok_or(TokenError::Claim)).transpose();
    let (expires, not_before) = (moment("exp")?.ok_or(TokenError::Claim)?, moment("nbf")?);
    moment("iat")?;
    let keys = issuer.keys().ok_or(TokenError::NoKeys)?;
    let set = keys.current().ok_or(TokenError::NoKeys)?;
    match set.verify(token.kid.as_deref(), token.algorithm, token.signed, &token.signature) {
        Ok(true) => {
            let user = Arc::new(User::new(iss, token.claims.get("sub").and_then(Value::as_str)));
            Ok(Verified { expires, not_before, user, claims: token.claims })
        }
        // A key without a name may have been replaced by another one without a name.
        Ok(false) => Err(Refusal { error: TokenError::Signature, stale: token.kid.is_none().then(|| Arc::clone(keys)) }),
        Err(NoSuchKey) => Err(Refusal { error: TokenError::UnknownKey, stale: Some(Arc::clone(keys)) }),
    }
}

impl Verified {
    /// Whether its time is now (RFC 7519 sections 4.1.4 and 4.1.5).
    pub(super) fn holds_at(&self, now: SystemTime) -> Result<(), TokenError> {
        let is_over = self.expires.checked_add(LEEWAY).is_some_and(|end| now >= end);
        let is_early = self.not_before.and_then(|begin| begin.checked_sub(LEEWAY)).is_some_and(|begin| now < begin);
        match () {
            () if is_over => Err(TokenError::Expired),
            () if is_early => Err(TokenError::NotYet),
            () => Ok(()),
        }
    }
}

/// A string, or a list of strings and nothing else (RFC 7519 section 4.1.3).
fn audiences(claims: &Claims) -> Result<impl Iterator<Item = &str>, TokenError> {
    let listed = match claims.get("aud") {
        None => return Err(TokenError::Audience),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        Some(Value::Array(several)) if several.iter().all(Value::is_string) => several,
        Some(_) => return Err(TokenError::Claim),
    };
    Ok(listed.iter().filter_map(Value::as_str))
}
