//! On whose behalf a request is made, looked at once a decision and only when a rule asks.

use super::claims::Claims;
use super::issuer::Issuers;
use super::remember::judge;
use super::user::User;
use super::verify::{TokenError, Verified};
use crate::request::{CanonicalRequest, Field};
use http::header::AUTHORIZATION;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

/// The end user of one request.
pub(in crate::policy) struct EndUser<'r> {
    issuers: &'r Issuers,
    /// Absent of a TCP connection.
    request: Option<&'r CanonicalRequest>,
    now: SystemTime,
    token: OnceCell<Token<'r>>,
}

/// What a request brought.
enum Token<'r> {
    /// Nothing.
    None,
    /// Something that proves nothing.
    Unverified,
    /// A token of one of the issuers.
    Verified(Rc<Verified>),
    /// A case of the table, which says what a token would.
    Given(&'r Claims),
}

/// What is known of an end user.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) enum Known<'k> {
    /// There is none.
    Nobody,
    /// There may be one, and it cannot be told who.
    Unclear,
    /// These claims are true.
    Claims(&'k Claims),
}

impl<'r> EndUser<'r> {
    /// The one that the request's token names, judged by these issuers at `now`.
    pub(in crate::policy) fn of(request: &'r CanonicalRequest, issuers: &'r Issuers, now: SystemTime, given: Option<&'r Claims>) -> Self {
        let token = given.map_or_else(OnceCell::new, |claims| OnceCell::from(Token::Given(claims)));
        Self { issuers, request: Some(request), now, token }
    }

    /// That of a TCP connection, which brings no token.
    pub(in crate::policy) fn nobody(issuers: &'r Issuers, now: SystemTime) -> Self {
        Self { issuers, request: None, now, token: OnceCell::new() }
    }

    pub(in crate::policy) fn known(&self) -> Known<'_> {
        match self.token.get_or_init(|| self.read()) {
            Token::None => Known::Nobody,
            Token::Unverified => Known::Unclear,
            Token::Verified(verified) => Known::Claims(&verified.claims),
            Token::Given(claims) => Known::Claims(claims),
        }
    }

    /// Who it is, where a rule looked and the token was verified.
    pub(in crate::policy) fn verified(&self) -> Option<&Arc<User>> {
        match self.token.get()? {
            Token::Verified(verified) => Some(&verified.user),
            Token::None | Token::Unverified | Token::Given(_) => None,
        }
    }

    fn read(&self) -> Token<'r> {
        let value = match self.request.map(|request| request.noted.field(&AUTHORIZATION)) {
            None | Some(Field::Absent) => return Token::None,
            Some(Field::Unknown) => return Token::Unverified,
            Some(Field::Present(value)) => value.as_bytes(),
        };
        // Credentials of another kind are not nobody's: the app may read a user from them.
        bearer(value).and_then(|token| judge(self.issuers, token, self.now)).map_or(Token::Unverified, Token::Verified)
    }
}

/// The token of `Bearer`, one blank, and nothing else (RFC 6750 section 2.1).
fn bearer(value: &[u8]) -> Result<&[u8], TokenError> {
    let (scheme, token) = value.split_at_checked("Bearer ".len()).ok_or(TokenError::Malformed)?;
    if scheme.eq_ignore_ascii_case(b"Bearer ") { Ok(token) } else { Err(TokenError::Malformed) }
}
