//! Certificate revocation lists (RFC 5280, section 5): read whole or refused whole, and asked while a chain is verified.

use super::confirm::{Series, Unconfirmed, Way};
use super::settings::CrlMode;
use crate::identity::x509::hex;
use crate::telemetry::metrics::Process;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use webpki::{CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationOptions, UnknownStatusPolicy, VerifiedPath};
use x509_parser::asn1_rs::Any;
use x509_parser::oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

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
    series: Series,
    /// Until a chain told whose signature it bears.
    unconfirmed: Unconfirmed,
    /// Where it came from: a path or a URL.
    pub origin: String,
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
    /// Reads what came from `origin`: one list in DER, or any number in PEM.
    ///
    /// # Errors
    /// See [`CrlError`]; one bad list refuses all of it.
    pub fn read(origin: &str, way: Way, bytes: &[u8]) -> Result<Vec<Arc<Self>>, CrlError> {
        const SEQUENCE: u8 = 0x30;
        if bytes.first() == Some(&SEQUENCE) {
            return Ok(vec![Arc::new(Self::from_der(origin, way, bytes)?)]);
        }
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
        let lists = sections.map(|section| match section {
            Ok((SectionKind::Crl, der)) => Self::from_der(origin, way, &CertificateRevocationListDer::from(der)).map(Arc::new),
            Ok(_) => Err(CrlError::Foreign),
            Err(error) => Err(CrlError::Unusable(error.to_string())),
        });
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        if lists.is_empty() { Err(CrlError::Empty) } else { Ok(lists) }
    }

    /// Whether its issuer's signature was seen on it; of a file nobody asks.
    pub fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_confirmed()
    }

    /// Its number (RFC 5280, section 5.2.3), decimal.
    pub fn number(&self) -> Option<String> {
        self.series.number()
    }

    /// From `now` until the next one is due; zero: it is overdue.
    pub fn left(&self, now: SystemTime) -> Duration {
        self.next_update.duration_since(now).unwrap_or_default()
    }

    /// Whether `old` is a list of the same issuer, key and partition, and newer than this one.
    pub(super) fn is_older_than(&self, old: &Self) -> bool {
        self.continues(old) && (self.series.is_before(&old.series) || self.this_update < old.this_update)
    }

    /// Whether `old` is a list of the same issuer, key and partition.
    pub(super) fn continues(&self, old: &Self) -> bool {
        self.series.is_same(&old.series)
    }

    /// Whether it speaks only for the certificates that name its distribution point.
    fn is_partition(&self) -> bool {
        self.list.issuing_distribution_point().is_some()
    }

    fn from_der(origin: &str, way: Way, der: &[u8]) -> Result<Self, CrlError> {
        let unusable = |error: &dyn std::fmt::Display| CrlError::Unusable(error.to_string());
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| unusable(&error))?;
        let (_, read) = CertificateRevocationList::from_der(der).map_err(|error| unusable(&error))?;
        let next = read.next_update().ok_or(CrlError::Unusable("it has no nextUpdate".into()))?;
        let moment = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        Ok(Self {
            series: Series::of(&read),
            unconfirmed: Unconfirmed::new(way, der),
            list: list.into(),
            origin: origin.to_owned(),
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

    /// Verifies `chain`, leaf first, with `verify`, asking the lists as the mode says.
    pub(super) fn ask<'c>(
        &self,
        chain: impl Iterator<Item = &'c [u8]> + Clone,
        verify: impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let unconfirmed = self.unconfirmed().count();
        let verdict = self.judge(chain.clone(), &verify);
        // The path told that a list is good which was asked last, behind one that it replaces.
        if verdict.is_ok() && self.unconfirmed().count() != unconfirmed { self.judge(chain, &verify) } else { verdict }
    }

    fn judge<'c>(
        &self,
        chain: impl Iterator<Item = &'c [u8]>,
        verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.mode {
            CrlMode::Off => verify(None),
            CrlMode::Require => self.strict(chain, verify),
            CrlMode::BestEffort => match self.strict(chain, verify) {
                Err(error) if is_unknown(&error) => self.lenient(verify),
                verdict => verdict,
            },
        }
    }

    /// Tells lists that came over a network whose signature they bear, once a chain was verified that has their issuer in it.
    pub(super) fn confirm(&self, path: &VerifiedPath<'_>) {
        for list in self.unconfirmed() {
            list.unconfirmed.confirm(list.list.issuer(), path);
        }
    }

    fn unconfirmed(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.lists.iter().filter(|list| !list.is_confirmed())
    }

    /// Those whose issuer's signature was seen first: what somebody on the way made up costs no look while there is a good one.
    fn in_order(&self) -> impl Iterator<Item = &Arc<Crl>> {
        self.lists.iter().filter(|list| list.is_confirmed()).chain(self.unconfirmed())
    }

    /// Every certificate of the chain below the root must be on a list that is signed by its issuer and not past its time, and not revoked there.
    fn strict<'c>(
        &self,
        chain: impl Iterator<Item = &'c [u8]>,
        verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut lists, others) = self.speaking_for(chain);
        // Of a certificate that names no distribution point, a partition can say that it is revoked and never that it is not.
        self.look_for_revoked(&others, verify)?;
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

    /// The lists that can clear certificates of this chain, and those that cannot: partitions of an issuer that has a certificate in the chain without a
    /// distribution point, for which the library would take any one partition for the whole (RFC 5280, section 6.3.3, b 2 i).
    fn speaking_for<'c>(&self, chain: impl Iterator<Item = &'c [u8]>) -> (Vec<&List>, Vec<&List>) {
        if !self.lists.iter().any(|list| list.is_partition()) {
            return (self.in_order().map(|list| &list.list).collect(), Vec::new());
        }
        let unassigned: Vec<Vec<u8>> = chain.filter_map(issuer_without_distribution_point).collect();
        let speaks = |list: &&Arc<Crl>| !list.is_partition() || !unassigned.iter().any(|issuer| issuer == list.list.issuer());
        let (speaking, others): (Vec<&Arc<Crl>>, Vec<&Arc<Crl>>) = self.in_order().partition(speaks);
        (speaking.into_iter().map(|list| &list.list).collect(), others.into_iter().map(|list| &list.list).collect())
    }

    /// What the lists know counts, also where they are old; what they do not know is accepted and counted.
    fn lenient(&self, verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>) -> Result<(), Error> {
        self.look_for_revoked(&self.lists.iter().map(|list| &list.list).collect::<Vec<_>>(), verify)?;
        verify(None)?;
        Process::handles().revocation_unknown.increment(1);
        Ok(())
    }

    /// Each alone, so that one that cannot be used does not hide what another says.
    fn look_for_revoked(&self, lists: &[&List], verify: &impl Fn(Option<RevocationOptions<'_>>) -> Result<(), Error>) -> Result<(), Error> {
        for list in lists {
            if let Err(Error::CertRevoked) = verify(options(&[*list], UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore)) {
                return Err(Error::CertRevoked);
            }
        }
        Ok(())
    }
}

type List = CertRevocationList<'static>;

/// The issuer's name (the content of its SEQUENCE) of a certificate that names no distribution point of a revocation list.
fn issuer_without_distribution_point(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names_one = certificate.extensions().iter().any(|extension| extension.oid == OID_X509_EXT_CRL_DISTRIBUTION_POINTS);
    let (_, issuer) = Any::from_der(certificate.issuer().as_raw()).ok()?;
    (!names_one).then(|| issuer.data.to_vec())
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
