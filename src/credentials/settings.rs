//! `[credentials]` and `[workload]` as far as the certificate goes.

use crate::identity::SpiffeId;
use std::path::PathBuf;
use std::time::Duration;

/// How we get our own certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whom it is for.
    pub id: SpiffeId,
    /// DNS SANs to ask for.
    pub dns_names: Vec<String>,
    /// Where it comes from.
    pub source: Source,
    /// When it is renewed.
    pub renew: Renew,
}

/// Where our certificate comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The development CA in `dir`, made on first use.
    Dev {
        /// Its directory.
        dir: PathBuf,
        /// The life of the certificates it issues.
        validity: Duration,
    },
    /// Files, watched through renames and symlink swaps, and polled every 30 s.
    File {
        /// PEM: the leaf first, then its issuers without the root.
        chain: PathBuf,
        /// PEM: PKCS#8, SEC1 or PKCS#1.
        key: PathBuf,
    },
}

/// The development CA in `certs-dev`, certificates of one hour.
impl Default for Source {
    fn default() -> Self {
        Self::Dev { dir: PathBuf::from("certs-dev"), validity: Duration::from_secs(3_600) }
    }
}

/// `[credentials.renew]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Renew {
    /// The share of the validity after which it is renewed, from issue; 0.1 to 0.9. Default 0.5.
    pub after: f64,
    /// The share of the validity that is added at random, 0 to 0.5. Default 0.2.
    pub jitter: f64,
    /// Not ready when less life than this, or than a tenth of the validity, whichever is less, is left. Default 10 min.
    pub readiness_lead: Duration,
}

impl Default for Renew {
    fn default() -> Self {
        Self { after: 0.5, jitter: 0.2, readiness_lead: Duration::from_secs(600) }
    }
}
