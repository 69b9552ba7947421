//! Who a peer is: SPIFFE ids, patterns over them, and what an X.509 leaf says. Pure; no I/O.

mod channel;
pub mod pattern;
mod spiffe;
pub mod x509;

pub use channel::{Channel, Group};
pub use spiffe::{SpiffeId, SpiffeIdError, TrustDomain};

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The identity that a policy decides on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// From exactly one URI SAN.
    Spiffe(SpiffeId),
    /// From exactly one DNS SAN of a leaf without any URI SAN, under a trust bundle that lists `dns_names`; lower case.
    Dns(Arc<str>),
}

impl Principal {
    /// The identity as text: the SPIFFE id, or the bare DNS name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Spiffe(id) => id.as_str(),
            Self::Dns(name) => name,
        }
    }

    /// Its parts, as those of a [`pattern`]: the kind, then trust domain and path segments, or labels.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let (kind, domain, rest, separator) = match self {
            Self::Spiffe(id) => (pattern::SPIFFE, Some(id.trust_domain()), id.path(), '/'),
            Self::Dns(name) => (pattern::DNS, None, &**name, '.'),
        };
        std::iter::once(kind).chain(domain).chain(rest.split(separator))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A peer whose certificate chain was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// What the policy decides on.
    pub principal: Principal,
    /// The leaf's serial number, lower-case hex without separators or leading zero bytes.
    pub serial: String,
    /// SHA-256 of the leaf's DER, lower-case hex.
    pub fingerprint: String,
    /// The leaf's issuer as an RFC 4514 string.
    pub issuer: String,
    /// The leaf's subject as an RFC 4514 string.
    pub subject: String,
    /// The DNS SANs of the leaf, in its order.
    pub dns_names: Vec<String>,
    /// The end of the leaf's validity (inclusive second).
    pub not_after: SystemTime,
    /// The beginning of the leaf's validity.
    pub not_before: SystemTime,
}
