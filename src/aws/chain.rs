//! The chain of a certificate as handshakes send it, from what AWS hands out.

use crate::identity::x509::Leaf;
use crate::trust::{MAX_INTERMEDIATES, certificates};
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The leaf first, then its issuers. The root is found by its signature, wherever it stands, and left out: peers have it.
///
/// # Errors
/// What is wrong with the texts.
pub fn assemble(certificate: &str, chain: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut assembled = certificates(certificate.as_bytes()).map_err(|error| format!("the certificate {error}"))?;
    if assembled.len() != 1 {
        return Err(format!("{} certificates instead of one", assembled.len()));
    }
    assembled.extend(issuers(chain)?.into_iter().filter(|issuer| !is_self_signed(issuer)));
    Ok(assembled)
}

/// The root above an authority: among its chain, or the authority's own certificate.
///
/// # Errors
/// What is wrong with the texts, or that no certificate in them is a root.
pub fn root(certificate: &str, chain: &str) -> Result<CertificateDer<'static>, String> {
    let own = certificates(certificate.as_bytes()).map_err(|error| format!("the certificate {error}"))?;
    let mut roots = own.into_iter().chain(issuers(chain)?).filter(|certificate| is_self_signed(certificate));
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (Some(_), Some(_)) => Err("more than one root".to_owned()),
        (None, _) => Err("no root: nothing in the chain is signed with its own key".to_owned()),
    }
}

/// The way from an authority up to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The root.
    pub root: CertificateDer<'static>,
    /// Whether the authority is the root itself.
    pub is_root: bool,
    /// How many authorities are between the two.
    pub between: usize,
    /// How many authorities there may be below it, one below the other; `None`: any number.
    pub length: Option<u32>,
    /// When the first certificate on the way ends.
    pub first_end: SystemTime,
}

/// Goes from an authority's certificate up to a root through those of `chain`, in whatever order they are.
///
/// # Errors
/// What is wrong with the texts or on the way, such as a certificate that has ended.
pub fn path(certificate: &str, chain: &str, now: SystemTime) -> Result<Path, String> {
    let own = certificates(certificate.as_bytes()).map_err(|error| format!("the certificate {error}"))?;
    let [own] = own.as_slice() else { return Err(format!("{} certificates instead of one", own.len())) };
    let above = issuers(chain)?;
    let (mut at, mut below, length) = (own, 0, bounds(own)?);
    let mut first_end = link(own, 0, now)?;
    while !is_self_signed(at) {
        at = above
            .iter()
            .find(|issuer| *issuer != at && is_signed_by(at, issuer))
            .ok_or_else(|| format!("nothing in the chain issued {}", subject(at)))?;
        below += 1;
        if below > MAX_INTERMEDIATES {
            return Err(format!("no root within {MAX_INTERMEDIATES} steps"));
        }
        first_end = first_end.min(link(at, below, now)?);
    }
    Ok(Path { root: at.clone(), is_root: below == 0, between: below.saturating_sub(1), length, first_end })
}

/// The end of one certificate on the way, if it may be there: an authority's, in force, and with room for those `below` it.
fn link(der: &CertificateDer<'_>, below: usize, now: SystemTime) -> Result<SystemTime, String> {
    let read = Leaf::parse(der).map_err(|error| format!("in the chain: {error}"))?;
    match bounds(der)? {
        _ if now < read.not_before => Err(format!("{} is not valid yet", read.subject)),
        _ if now > read.not_after => Err(format!("{} has expired", read.subject)),
        Some(length) if (length as usize) < below => {
            Err(format!("{} allows {length} authorities below it, and there are {below}", read.subject))
        }
        _ => Ok(read.not_after),
    }
}

/// The path length of an authority.
fn bounds(der: &CertificateDer<'_>) -> Result<Option<u32>, String> {
    let (_, read) = X509Certificate::from_der(der).map_err(|_| "in the chain: no X.509 certificate")?;
    match read.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => Ok(constraints.value.path_len_constraint),
        _ => Err(format!("{} is not an authority's", subject(der))),
    }
}

fn subject(der: &CertificateDer<'_>) -> String {
    Leaf::parse(der).map(|read| read.subject).unwrap_or_default()
}

/// Whether a certificate is signed with its own key, as roots are.
fn is_self_signed(der: &CertificateDer<'_>) -> bool {
    is_signed_by(der, der)
}

/// Whether a certificate names the other one as its issuer and is signed with its key, by an algorithm that peers verify.
fn is_signed_by(der: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok((_, read)), Ok((_, above))) = (X509Certificate::from_der(der), X509Certificate::from_der(issuer)) else { return false };
    let Ok(key) = EndEntityCert::try_from(issuer) else { return false };
    let signed = |algorithm| key.verify_signature(algorithm, read.tbs_certificate.as_ref(), &read.signature_value.data).is_ok();
    read.issuer() == above.subject() && ALL_VERIFICATION_ALGS.iter().any(|algorithm| signed(*algorithm))
}

/// An authority at the top has no chain.
fn issuers(chain: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if chain.trim().is_empty() {
        return Ok(Vec::new());
    }
    certificates(chain.as_bytes()).map_err(|error| format!("the chain {error}"))
}
