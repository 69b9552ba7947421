//! A request for a certificate, from its key pair to its end. It outlives attempts: what was asked for is not asked for again.

use crate::credentials::{SigningRequest, SigningRequestError};
use crate::identity::SpiffeId;
use std::time::{Duration, SystemTime};

/// How long an answer to `IssueCertificate` is asked for with the same token. AWS remembers tokens for five minutes.
const TOKEN_LIFE: Duration = Duration::from_secs(240);

/// How long a certificate that AWS does not know yet, although it gave its name, is asked for.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// How long a certificate that our own bundle refuses is looked at again; the bundle may be what is wrong.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// What was asked for.
pub struct Pending {
    /// The key pair, and the request that it signed.
    pub request: SigningRequest,
    /// AWS issues one certificate for one token.
    pub token: String,
    /// When it was made; the certificate's life is counted from here.
    pub since: SystemTime,
    /// The end of the certificate that was asked for.
    pub ends: SystemTime,
    /// What AWS calls the certificate, once it has said so: from then on it is only asked for.
    pub arn: Option<String>,
}

impl Pending {
    /// A new key pair, request and token for a certificate of `validity` from `now`.
    ///
    /// # Errors
    /// See [`SigningRequestError`].
    pub fn new(id: &SpiffeId, dns_names: &[String], validity: Duration, now: SystemTime) -> Result<Self, SigningRequestError> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
        let token = format!("{:032x}", u128::from_be_bytes(bytes));
        let ends = now.checked_add(validity).unwrap_or(now);
        Ok(Self { request: SigningRequest::new(id, dns_names)?, token, since: now, ends, arn: None })
    }

    /// Whether it is still worth anything at `now`: its certificate would live, and its token or its name is known to AWS.
    pub fn is_of_use(&self, now: SystemTime) -> bool {
        now < self.ends && (self.arn.is_some() || self.is_younger(TOKEN_LIFE, now))
    }

    /// Whether AWS may still come to know the certificate.
    pub fn may_appear(&self, now: SystemTime) -> bool {
        self.is_younger(UNKNOWN_FOR, now)
    }

    /// Whether our bundle may still come to accept the certificate.
    pub fn may_be_accepted(&self, now: SystemTime) -> bool {
        self.is_younger(REFUSED_FOR, now)
    }

    /// A clock that was set back makes it old: nobody knows how old.
    fn is_younger(&self, age: Duration, now: SystemTime) -> bool {
        now.duration_since(self.since).is_ok_and(|since| since < age)
    }
}
