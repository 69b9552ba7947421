//! `[[trust]]`.

#[cfg(feature = "aws")]
use super::authority::Authority;
use crate::fetch::Url;
use crate::identity::TrustDomain;
use std::fmt;
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
    /// Where revocation lists come from.
    pub crls: Vec<CrlSource>,
}

/// Where a revocation list comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrlSource {
    /// A file, watched.
    File(PathBuf),
    /// A server, asked again before the list ends and at least once an hour. A list is signed, so plain http will do.
    Url(Url),
}

impl CrlSource {
    /// Reads a path or a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        match text.split_once("://") {
            None if text.is_empty() => Err(("is empty", "write a path or a URL")),
            None => Ok(Self::File(PathBuf::from(text))),
            Some(("s3", _)) => Err(("is no http or https URL", "write https://<bucket>.s3.<region>.amazonaws.com/<key>")),
            Some(_) => Url::parse(text).map(Self::Url).map_err(|what| (what, "write http://<host>/<path>, the same with https, or a path")),
        }
    }
}

/// As it was written.
impl fmt::Display for CrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url.as_str()),
        }
    }
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
