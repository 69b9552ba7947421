//! Where our certificate comes from.

use super::budget::Exhausted;
use super::csr::SigningRequestError;
use super::dev::DevError;
use super::issued::{Issued, KeyError};
use super::schedule::Setback;
use super::settings::Settings;
use crate::runtime::clock::Clock;
use crate::trust::{BoxFuture, Bundles, PemError, RefusedPeer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Gives us certificates.
pub trait CertificateSource: Send {
    /// Obtains one: a new one where the source issues, the present one where it is handed out by files.
    fn obtain(&mut self) -> BoxFuture<'_, Result<Issued, SourceError>>;

    /// Waits until [`CertificateSource::obtain`] may give something new outside the schedule.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// Makes the source that settings name; the bundles judge what others issue. Handed in, as sources may live in rooms that this one does not know.
pub type Factory =
    Box<dyn Fn(&Settings, Arc<dyn Clock>, watch::Receiver<Option<Arc<Bundles>>>) -> Box<dyn CertificateSource> + Send + Sync>;

/// Why there is no certificate now; the last good one stays.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read; trying again helps once it is there.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        error: std::io::Error,
    },
    /// The chain's file is no list of certificates.
    #[error("{} {error}", .path.display())]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: PemError,
    },
    /// The key's file holds no private key in PEM; what it holds is not repeated.
    #[error("{} holds no private key in PEM (PKCS#8, SEC1 or PKCS#1, not encrypted)", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Chain and key make no certificate of ours; also between the two writes of one rotation.
    #[error("{0}")]
    Pair(#[from] KeyError),
    /// There are no trust bundles yet to judge the chain by.
    #[error("no trust bundle is loaded yet to judge our own chain by")]
    NoTrust,
    /// Our own bundle does not accept the chain: peers with the same bundle would refuse us.
    #[error("our own trust bundle refuses our own certificate: {0}")]
    Refused(Arc<RefusedPeer>),
    /// The development CA cannot issue.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// No request for a certificate can be made.
    #[error(transparent)]
    Request(#[from] SigningRequestError),
    /// A certificate authority elsewhere gives none; what it says tells whether trying again helps.
    #[error("{error}")]
    Authority {
        /// What it says.
        error: Box<dyn std::error::Error + Send + Sync>,
        /// The stable label of metrics.
        reason: &'static str,
        /// What the pause before the next attempt follows from.
        setback: Setback,
    },
    /// The issuing budget is used up; it passes by itself.
    #[error(transparent)]
    Budget(#[from] Exhausted),
    /// The source did not answer in the time that an attempt has.
    #[error("the source did not answer within 60 s")]
    Silent,
}

impl SourceError {
    /// The stable label of metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Chain { .. } => "bad_chain",
            Self::Key { .. } => "bad_key",
            Self::Pair(error) => error.reason(),
            Self::NoTrust => "no_trust",
            Self::Refused(refused) => refused.code,
            Self::Dev(_) => "development_ca",
            Self::Request(_) => "request",
            Self::Authority { reason, .. } => reason,
            Self::Budget(_) => "budget",
            Self::Silent => "silent",
        }
    }

    /// What the pause before the next attempt follows from.
    pub fn setback(&self) -> Setback {
        match self {
            Self::Authority { setback, .. } => *setback,
            _ => Setback::Here,
        }
    }
}
