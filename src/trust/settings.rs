//! `[[trust]]`.

#[cfg(feature = "aws")]
use super::authority::Authority;
use crate::identity::TrustDomain;
use std::path::PathBuf;

/// One trust domain and where its roots come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The trust domain that these roots speak for.
    pub domain: TrustDomain,
    /// Where the roots come from.
    pub source: Source,
    /// DNS name patterns under which leaves without a URI SAN are accepted; empty: none are.
    pub dns_names: Vec<String>,
    /// A file of SPIFFE ids and serial numbers that are refused, watched.
    pub deny_list: Option<PathBuf>,
    /// What is made of revocation lists.
    pub crl_mode: CrlMode,
    /// Files with revocation lists, watched.
    pub crls: Vec<PathBuf>,
}

/// What is made of certificate revocation lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrlMode {
    /// Nothing.
    #[default]
    Off,
    /// Who is revoked is refused; where that is not known, the peer is accepted and counted.
    BestEffort,
    /// Who is revoked is refused, and so is everybody of whom it is not known.
    Require,
}

/// Where roots come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The development CA's root in this directory.
    Dev(PathBuf),
    /// A PEM file with one or more roots, watched.
    File(PathBuf),
    /// The root above a private CA of AWS.
    #[cfg(feature = "aws")]
    AcmPca(Authority),
}
