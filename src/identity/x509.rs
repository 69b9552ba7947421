//! What an X.509 leaf says of itself: everything from the DER, nothing from the common name.

mod name;
#[cfg(test)]
mod tests;

use super::{PeerIdentity, Principal, SpiffeId, SpiffeIdError};
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The private extension that marks certificates of a development CA: an arc under 2.25 (X.667) drawn at random for this purpose.
///
/// Bundles that hold a root with it are refused in production.
pub const DEVELOPMENT_EXTENSION: &[u64] = &[2, 25, 4_821_947_360_155_270_323];

/// The most hex digits of a serial number: 20 bytes, and a sign byte (RFC 5280, section 4.1.2.2).
const SERIAL_DIGITS: usize = 42;

/// What one certificate says of itself; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its URI SANs, in its order; ASCII without NUL.
    pub uris: Vec<String>,
    /// Its DNS SANs, in its order and lower case; ASCII without NUL.
    pub dns_names: Vec<String>,
    /// Its serial number, lower-case hex without separators or leading zero bytes.
    pub serial: String,
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
    /// Its issuer as an RFC 4514 string.
    pub issuer: String,
    /// Its subject as an RFC 4514 string.
    pub subject: String,
    /// The beginning of its validity.
    pub not_before: SystemTime,
    /// The end of its validity (inclusive second).
    pub not_after: SystemTime,
    /// Whether it may issue: basic constraints say CA, or its key usage has keyCertSign or cRLSign (SPIFFE X509-SVID 4.3).
    pub is_ca: bool,
    /// Whether it carries [`DEVELOPMENT_EXTENSION`].
    pub is_development: bool,
}

/// Why bytes are not a certificate that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It is no DER of an X.509 certificate, or bytes follow it.
    #[error("it is no X.509 certificate in DER")]
    Encoding,
    /// An extension is malformed or there twice.
    #[error("it has an extension that is malformed or there twice")]
    Extension,
    /// A URI or DNS SAN holds a NUL or a byte outside ASCII.
    #[error("it has a subject alternative name with a NUL or something other than ASCII")]
    AlternativeName,
    /// Its validity cannot be represented.
    #[error("its validity cannot be represented")]
    Validity,
}

/// Why a leaf's URI SANs give no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is more than one URI SAN.
    #[error("it has {0} URI SANs instead of one")]
    Several(usize),
    /// The only URI SAN is no SPIFFE id.
    #[error("its URI SAN {0}")]
    NotSpiffe(SpiffeIdError),
}

impl Leaf {
    /// Reads a certificate.
    ///
    /// # Errors
    /// See [`LeafError`]; nothing is repaired and no part is skipped.
    pub fn parse(der: &[u8]) -> Result<Self, LeafError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| LeafError::Encoding)?;
        if !rest.is_empty() {
            return Err(LeafError::Encoding);
        }
        certificate.extensions_map().map_err(|_| LeafError::Extension)?;
        let mut leaf = Self {
            uris: Vec::new(),
            dns_names: Vec::new(),
            serial: serial(certificate.raw_serial()),
            fingerprint: fingerprint(der),
            issuer: name::rfc4514(certificate.issuer()),
            subject: name::rfc4514(certificate.subject()),
            not_before: moment(certificate.validity().not_before)?,
            not_after: moment(certificate.validity().not_after)?,
            is_ca: false,
            is_development: false,
        };
        certificate.extensions().iter().try_for_each(|extension| {
            leaf.is_development |= extension.oid.iter().is_some_and(|arcs| arcs.eq(DEVELOPMENT_EXTENSION.iter().copied()));
            leaf.read(extension.parsed_extension())
        })?;
        Ok(leaf)
    }

    /// The SPIFFE id: `None` where there is no URI SAN at all.
    ///
    /// # Errors
    /// See [`UriError`]; a leaf with a URI SAN never falls back to something else.
    pub fn spiffe_id(&self) -> Result<Option<SpiffeId>, UriError> {
        match self.uris.as_slice() {
            [] => Ok(None),
            [uri] => SpiffeId::parse(uri).map(Some).map_err(UriError::NotSpiffe),
            several => Err(UriError::Several(several.len())),
        }
    }

    /// What it claims to be, for records: its first URI SAN, or its first DNS SAN.
    pub fn claimed(&self) -> Option<&str> {
        self.uris.first().or(self.dns_names.first()).map(String::as_str)
    }

    /// The identity of a peer whose chain was verified.
    pub fn into_peer(self, principal: Principal) -> PeerIdentity {
        PeerIdentity {
            principal,
            serial: self.serial,
            fingerprint: self.fingerprint,
            issuer: self.issuer,
            subject: self.subject,
            dns_names: self.dns_names,
            not_after: self.not_after,
            not_before: self.not_before,
        }
    }

    fn read(&mut self, extension: &ParsedExtension<'_>) -> Result<(), LeafError> {
        match extension {
            ParsedExtension::ParseError { .. } | ParsedExtension::Unparsed => Err(LeafError::Extension),
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca |= constraints.ca;
                Ok(())
            }
            ParsedExtension::KeyUsage(usage) => {
                self.is_ca |= usage.key_cert_sign() || usage.crl_sign();
                Ok(())
            }
            ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().try_for_each(|name| self.read_name(name)),
            _ => Ok(()),
        }
    }

    fn read_name(&mut self, name: &GeneralName<'_>) -> Result<(), LeafError> {
        match name {
            GeneralName::URI(text) => self.uris.push(plain(text)?.to_owned()),
            GeneralName::DNSName(text) => self.dns_names.push(plain(text)?.to_ascii_lowercase()),
            GeneralName::Invalid(..) => return Err(LeafError::AlternativeName),
            _ => {}
        }
        Ok(())
    }
}

/// SHA-256 of a certificate's DER, lower-case hex.
pub fn fingerprint(der: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}

fn plain(text: &str) -> Result<&str, LeafError> {
    let fits = text.bytes().all(|byte| byte != 0 && byte.is_ascii());
    if fits { Ok(text) } else { Err(LeafError::AlternativeName) }
}

fn serial(raw: &[u8]) -> String {
    let zeros = raw.iter().take_while(|byte| **byte == 0).count().min(raw.len().saturating_sub(1));
    hex(raw.get(zeros..).unwrap_or_default())
}

/// A serial number as [`Leaf::serial`] has it, from hex in either case, with or without colons; `None`: it is none.
pub fn serial_number(text: &str) -> Option<Box<str>> {
    let mut digits: String = text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let hex = !digits.is_empty() && digits.len() <= SERIAL_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || text.starts_with(':') || text.ends_with(':') || text.contains("::") {
        return None;
    }
    if digits.len() % 2 == 1 {
        digits.insert(0, '0');
    }
    while digits.len() > 2 && digits.starts_with("00") {
        digits.drain(..2);
    }
    Some(digits.into())
}

/// Lower-case hex without separators.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn moment(time: ASN1Time) -> Result<SystemTime, LeafError> {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) };
    moment.ok_or(LeafError::Validity)
}
