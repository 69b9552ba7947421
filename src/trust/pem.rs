//! PEM files of certificates: read whole or refused whole.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};

/// Why a PEM text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// There is no certificate in it.
    #[error("holds no certificate in PEM")]
    Empty,
    /// A private key is in it: it belongs into a file of its own that less people read.
    #[error("holds a private key; only certificates belong here")]
    PrivateKey,
    /// Something other than a certificate is in it.
    #[error("holds something other than certificates ({0})")]
    Foreign(String),
    /// It is malformed.
    #[error("is no PEM: {0}")]
    Malformed(String),
}

/// The certificates of a PEM text, in its order.
///
/// # Errors
/// See [`PemError`]; nothing in it is skipped but text between the sections, as RFC 7468 allows.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
    let certificates = sections.map(|section| match section.map_err(|error| PemError::Malformed(error.to_string()))? {
        (SectionKind::Certificate, der) => Ok(CertificateDer::from(der)),
        (kind, _) if is_private(kind) => Err(PemError::PrivateKey),
        (kind, _) => Err(PemError::Foreign(format!("{kind:?}"))),
    });
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>()?;
    match () {
        // A kind of section that the parser does not know is passed over by it; a key may hide there.
        () if has_private_key(pem) => Err(PemError::PrivateKey),
        () if sections_begun(pem) != certificates.len() => Err(PemError::Malformed("a section that is not a certificate".into())),
        () if certificates.is_empty() => Err(PemError::Empty),
        () => Ok(certificates),
    }
}

/// Whether a PEM text has a private key of any kind, encrypted ones included.
pub fn has_private_key(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

fn sections_begun(pem: &[u8]) -> usize {
    const MARK: &[u8] = b"-----BEGIN ";
    pem.windows(MARK.len()).filter(|window| *window == MARK).count()
}

fn is_private(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey)
}
