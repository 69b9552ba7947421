//! The chain of a certificate as handshakes send it, from what AWS hands out.

use crate::identity::x509::is_self_signed;
use crate::trust::certificates;
use rustls::pki_types::CertificateDer;

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

/// An authority at the top has no chain.
fn issuers(chain: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if chain.trim().is_empty() {
        return Ok(Vec::new());
    }
    certificates(chain.as_bytes()).map_err(|error| format!("the chain {error}"))
}
