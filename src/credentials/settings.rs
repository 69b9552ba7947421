//! `[credentials]` and `[workload]` as far as the certificate goes.

use super::budget::Ceilings;
use super::forecast::Terms;
use crate::identity::SpiffeId;
#[cfg(feature = "aws")]
use crate::runtime::key_arn::KeyArn;
use crate::trust::Authority;
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
    /// AWS Private CA.
    #[cfg(feature = "aws")]
    AcmPca(AcmPca),
}

/// `[credentials.acm_pca]`, and `[credentials.cache]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AcmPca {
    /// Who issues.
    pub authority: Authority,
    /// What the certificate may be used for. Default: servers and clients.
    pub template: Template,
    /// From the request to the end of the certificate. Default 24 h.
    pub validity: Duration,
    /// What the authority signs with.
    pub signing_algorithm: SigningAlgorithm,
    /// How many certificates may be asked for.
    pub ceilings: Ceilings,
    /// The price of a certificate, for forecasts. Default 0.058.
    pub price: f64,
    /// From the start to the first request: up to this, at random. Default 2 s.
    pub start_spread: Duration,
    /// Where the count of issues outlives the process; nowhere by default.
    pub cache: Option<PathBuf>,
    /// The key under which certificate and key outlive it too, sealed, in the same directory; they do not by default.
    pub sealing_key: Option<SealingKey>,
}

/// What seals the certificate that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealingKey {
    /// 64 hexadecimal digits in a file.
    File(PathBuf),
    /// A symmetric key of KMS.
    #[cfg(feature = "aws")]
    Kms(KeyArn),
}

impl AcmPca {
    /// What its certificates are issued by.
    pub fn terms(&self, renew: Renew) -> Terms {
        Terms { validity: self.validity, renew, ceilings: self.ceilings, price: self.price }
    }
}

/// A template of AWS Private CA, such as `EndEntityCertificate/V1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Reads a template's name.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, version) = text.split_once("/V").ok_or("has no version")?;
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match named && !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) {
            false => Err("is no template of AWS Private CA"),
            true if name.contains("CACertificate") => Err("makes authorities, and a workload is none"),
            true => Ok(Self(text.to_owned())),
        }
    }

    /// Its name, with its version.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Servers and clients, names from the request.
impl Default for Template {
    fn default() -> Self {
        Self("EndEntityCertificate/V1".to_owned())
    }
}

/// What AWS Private CA signs a certificate with; the family must be that of the authority's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "AWS's own names")]
pub enum SigningAlgorithm {
    /// What fits the authority's key, which AWS is asked for.
    #[default]
    Auto,
    Sha256WithEcdsa,
    Sha384WithEcdsa,
    Sha512WithEcdsa,
    Sha256WithRsa,
    Sha384WithRsa,
    Sha512WithRsa,
}

impl Source {
    /// From the start to the first attempt: up to this, at random.
    pub fn start_spread(&self) -> Duration {
        match self {
            Self::Dev { .. } | Self::File { .. } => Duration::ZERO,
            #[cfg(feature = "aws")]
            Self::AcmPca(pca) => pca.start_spread,
        }
    }

    /// Whether asking it again costs nothing: an authority that is paid for each certificate is asked when one is due.
    pub fn is_reread(&self) -> bool {
        match self {
            Self::Dev { .. } | Self::File { .. } => true,
            #[cfg(feature = "aws")]
            Self::AcmPca(_) => false,
        }
    }
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
