//! Certificate revocation lists (RFC 5280, section 5): read whole or refused whole, and asked while a chain is verified.

use super::settings::CrlMode;
use crate::identity::x509::hex;
use crate::telemetry::metrics::Process;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use webpki::{CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationOptions, UnknownStatusPolicy};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

/// The lists of one trust domain, and what is made of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crls {
    mode: CrlMode,
    /// The newest first: of two lists of one issuer it counts.
    lists: Vec<Arc<Crl>>,
}

/// One list. Its signature is verified with each chain that it is asked about: only there its issuer is known.
#[derive(Debug)]
pub struct Crl {
    list: CertRevocationList<'static>,
    /// Its issuer's name.
    pub issuer: String,
    /// When it was made.
    pub this_update: SystemTime,
    /// When the next one is due.
    pub next_update: SystemTime,
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
}

/// Why bytes are no list that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// It is neither DER nor PEM of a CRL.
    #[error("holds no CRL in DER or PEM")]
    Empty,
    /// Something other than CRLs is in it.
    #[error("holds something other than CRLs")]
    Foreign,
    /// It is malformed, a delta, or has no nextUpdate.
    #[error("holds a CRL that cannot be used: {0}")]
    Unusable(String),
}

impl PartialEq for Crl {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Crl {}

impl Crl {
    /// Reads a file: one list in DER, or any number in PEM.
    ///
    /// # Errors
    /// See [`CrlError`]; one bad list refuses all of it.
    pub fn read(bytes: &[u8]) -> Result<Vec<Arc<Self>>, CrlError> {
        const SEQUENCE: u8 = 0x30;
        if bytes.first() == Some(&SEQUENCE) {
            return Ok(vec![Arc::new(Self::from_der(bytes)?)]);
        }
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
        let lists = sections.map(|section| match section {
            Ok((SectionKind::Crl, der)) => Self::from_der(&CertificateRevocationListDer::from(der)).map(Arc::new),
            Ok(_) => Err(CrlError::Foreign),
            Err(error) => Err(CrlError::Unusable(error.to_string())),
        });
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        if lists.is_empty() { Err(CrlError::Empty) } else { Ok(lists) }
    }

    fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        let unusable = |error: &dyn std::fmt::Display| CrlError::Unusable(error.to_string());
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| unusable(&error))?;
        let (_, read) = CertificateRevocationList::from_der(der).map_err(|error| unusable(&error))?;
        let next = read.next_update().ok_or(CrlError::Unusable("it has no nextUpdate".into()))?;
        let moment = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        Ok(Self {
            list: list.into(),
            issuer: read.issuer().to_string(),
            this_update: moment(read.last_update().timestamp()),
            next_update: moment(next.timestamp()),
            fingerprint: hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref()),
        })
    }
}

impl Crls {
    /// These lists, used as `mode` says.
    pub fn new(mode: CrlMode, mut lists: Vec<Arc<Crl>>) -> Self {
        lists.sort_by_key(|list| std::cmp::Reverse(list.this_update));
        Self { mode, lists }
    }

    /// The lists.
    pub fn lists(&self) -> &[Arc<Crl>] {
        &self.lists
    }

    /// Whether nobody is refused whom `other` accepts.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.mode == CrlMode::Off || self == other
    }

    /// Verifies a chain with `verify`, asking the lists as the mode says.
    pub(super) fn ask<T>(&self, verify: impl Fn(Option<RevocationOptions<'_>>) -> Result<T, Error>) -> Result<T, Error> {
        match self.mode {
            CrlMode::Off => verify(None),
            CrlMode::Require => self.strict(&verify),
            CrlMode::BestEffort => match self.strict(&verify) {
                Err(error) if is_unknown(&error) => self.lenient(&verify),
                verdict => verdict,
            },
        }
    }

    /// Every certificate of the chain below the root must be on a list that is signed by its issuer and not past its time, and not revoked there.
    fn strict<T>(&self, verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<T, Error>) -> Result<T, Error> {
        let mut lists: Vec<_> = self.lists.iter().map(|list| &list.list).collect();
        // The library takes the first list by its issuer's name; another CA of the same name has another key.
        for _ in 1..lists.len() {
            match verify(options(&lists, UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce)) {
                Err(Error::InvalidCrlSignatureForPublicKey) => lists.rotate_left(1),
                verdict => return verdict,
            }
        }
        match options(&lists, UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce) {
            None => verify(None).and(Err(Error::UnknownRevocationStatus)),
            options => verify(options),
        }
    }

    /// What the lists know counts, also where they are old; what they do not know is accepted and counted.
    fn lenient<T>(&self, verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<T, Error>) -> Result<T, Error> {
        for list in &self.lists {
            // Each alone, so that one that cannot be used does not hide what another says.
            let verdict = verify(options(&[&list.list], UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore));
            if let Err(Error::CertRevoked) = verdict {
                return verdict;
            }
        }
        let accepted = verify(None)?;
        Process::handles().revocation_unknown.increment(1);
        Ok(accepted)
    }
}

/// `None` where there is no list.
fn options<'a>(
    lists: &'a [&'a CertRevocationList<'a>],
    unknown: UnknownStatusPolicy,
    expiration: ExpirationPolicy,
) -> Option<RevocationOptions<'a>> {
    let builder = webpki::RevocationOptionsBuilder::new(lists).ok()?;
    Some(builder.with_status_policy(unknown).with_expiration_policy(expiration).build())
}

/// Whether the error says that it is not known whether a certificate was revoked.
pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(
        error,
        Error::UnknownRevocationStatus
            | Error::CrlExpired { .. }
            | Error::InvalidCrlSignatureForPublicKey
            | Error::IssuerNotCrlSigner
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
    )
}
