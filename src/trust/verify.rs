//! The chain verifier: a leaf is judged by the bundle of its own trust domain and by no other.

use super::bundle::{Bundle, Bundles};
use super::crl::is_unknown;
use super::live::LivePeer;
use super::refused::RefusedPeer;
use crate::identity::x509::{Leaf, UriError};
use crate::identity::{PeerIdentity, Principal};
use rustls::pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use webpki::{EndEntityCert, KeyUsage};

/// The most intermediates a peer may send; real chains have one or two, and each costs a signature check.
pub const MAX_INTERMEDIATES: usize = 8;

/// The most bytes of DER a peer's chain may have.
pub const MAX_CHAIN_BYTES: usize = 64 << 10;

/// The code of a chain with a revoked certificate.
pub const REVOKED: &str = "revoked";

/// The code of a chain of which it is not known whether a certificate was revoked, where that must be known.
pub const REVOCATION_UNKNOWN: &str = "revocation_unknown";

/// What the leaf must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It calls us.
    Client,
    /// We call it.
    Server,
}

/// Verifies a peer's chain against the bundle of the leaf's own trust domain.
///
/// # Errors
/// Who was refused and why; see [`RefusedPeer::code`].
///
/// # Security
/// The signature over the handshake is not judged here: whoever calls this must also have checked that the peer holds the leaf's key.
pub fn verify(
    bundles: &Bundles,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: SystemTime,
    usage: Usage,
) -> Result<PeerIdentity, Arc<RefusedPeer>> {
    check_size(end_entity, intermediates)?;
    let leaf = read(end_entity)?;
    let principal = principal(&leaf)?;
    check_leaf(&leaf, now)?;
    let judges = judges(bundles, &leaf, &principal)?;
    let mut verdict = Err(Arc::new(RefusedPeer::leaf(&leaf, "untrusted_chain", "no bundle judges it")));
    for bundle in &judges {
        verdict = check_chain(bundle, &leaf, end_entity, intermediates, now, usage);
        if verdict.is_ok() {
            break;
        }
    }
    verdict?;
    check_denied(&judges, &leaf, &principal)?;
    Ok(leaf.into_peer(principal))
}

/// Why a peer that was verified before is denied by the bundles; `None`: it is not. Reads no certificate.
pub(super) fn denied(bundles: &Bundles, peer: &PeerIdentity) -> Option<&'static str> {
    let mut judges = bundles.iter().filter(|bundle| bundle.judges(&peer.principal));
    judges.find_map(|bundle| bundle.revocation().denies(&peer.principal, &peer.serial))
}

/// Who a leaf is that was verified before, in the same handshake, against the same bundles.
///
/// # Errors
/// As [`verify`], as far as the leaf goes.
///
/// # Security
/// Verifies nothing.
pub fn identify(end_entity: &CertificateDer<'_>) -> Result<PeerIdentity, Arc<RefusedPeer>> {
    let leaf = read(end_entity)?;
    let principal = principal(&leaf)?;
    Ok(leaf.into_peer(principal))
}

/// Whether a peer's chain leads to one root of a bundle, by its place there. Asks no revocation list.
pub(super) fn chains_to(bundle: &Bundle, root: usize, peer: &LivePeer, now: SystemTime) -> bool {
    let Some(anchor) = bundle.anchors().get(root..=root) else { return false };
    let (now, usage) = (seconds(now), key_usage(peer.usage));
    EndEntityCert::try_from(&peer.leaf).is_ok_and(|certificate| {
        certificate.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, anchor, &peer.issuers, now, usage, None, None).is_ok()
    })
}

fn check_size(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), Arc<RefusedPeer>> {
    let bytes = intermediates.iter().fold(end_entity.len(), |sum, der| sum.saturating_add(der.len()));
    if intermediates.len() <= MAX_INTERMEDIATES && bytes <= MAX_CHAIN_BYTES {
        return Ok(());
    }
    let detail = format!(
        "its chain has {} intermediates and {bytes} bytes; at most {MAX_INTERMEDIATES} and {MAX_CHAIN_BYTES} are read",
        intermediates.len()
    );
    Err(Arc::new(RefusedPeer::unread(end_entity, "chain_too_long", detail)))
}

fn read(end_entity: &CertificateDer<'_>) -> Result<Leaf, Arc<RefusedPeer>> {
    Leaf::parse(end_entity).map_err(|error| Arc::new(RefusedPeer::unread(end_entity, "bad_certificate", error.to_string())))
}

fn principal(leaf: &Leaf) -> Result<Principal, Arc<RefusedPeer>> {
    let refused = |code, detail: String| Err(Arc::new(RefusedPeer::leaf(leaf, code, detail)));
    match leaf.spiffe_id() {
        Ok(Some(id)) => return Ok(Principal::Spiffe(id)),
        Ok(None) => {}
        Err(error @ UriError::Several(_)) => return refused("two_uri_sans", error.to_string()),
        Err(error @ UriError::NotSpiffe(_)) => return refused("bad_spiffe_id", error.to_string()),
    }
    match leaf.dns_names.as_slice() {
        [name] => Ok(Principal::Dns(name.as_str().into())),
        [] => refused("no_identity", "it has neither a URI SAN nor a DNS SAN".into()),
        several => refused("no_identity", format!("it has no URI SAN, and {} DNS SANs instead of one", several.len())),
    }
}

fn check_leaf(leaf: &Leaf, now: SystemTime) -> Result<(), Arc<RefusedPeer>> {
    let refused = |code, detail: &str| Err(Arc::new(RefusedPeer::leaf(leaf, code, detail)));
    // The last second is inclusive (RFC 5280, section 4.1.2.5).
    let ends = leaf.not_after.checked_add(Duration::from_secs(1)).unwrap_or(leaf.not_after);
    match () {
        () if leaf.is_ca => refused("is_ca", "it may issue certificates, so it is no workload's"),
        () if now < leaf.not_before => refused("not_yet_valid", "its validity has not begun; compare the clocks"),
        () if now >= ends => refused("expired", "its validity has ended"),
        () => Ok(()),
    }
}

/// The bundles that may judge the leaf: one for a SPIFFE id; for a DNS name those that list it.
fn judges<'a>(bundles: &'a Bundles, leaf: &Leaf, principal: &Principal) -> Result<Vec<&'a Bundle>, Arc<RefusedPeer>> {
    let judges: Vec<&Bundle> = match principal {
        Principal::Spiffe(id) => bundles.of(id.trust_domain()).into_iter().map(|bundle| &**bundle).collect(),
        Principal::Dns(_) => bundles.iter().map(|bundle| &**bundle).filter(|bundle| bundle.accepts_dns(principal)).collect(),
    };
    match (judges.is_empty(), principal) {
        (false, _) => Ok(judges),
        (true, Principal::Spiffe(id)) => {
            let detail = format!("no bundle speaks for the trust domain {}", id.trust_domain());
            Err(Arc::new(RefusedPeer::leaf(leaf, "unknown_trust_domain", detail)))
        }
        (true, Principal::Dns(_)) => {
            Err(Arc::new(RefusedPeer::leaf(leaf, "no_identity", "it has no URI SAN, and no bundle lists its DNS SAN in dns_names")))
        }
    }
}

/// After the chain, so that who is said to be denied is who they say.
fn check_denied(judges: &[&Bundle], leaf: &Leaf, principal: &Principal) -> Result<(), Arc<RefusedPeer>> {
    let denied = judges.iter().find_map(|bundle| Some((bundle.domain(), bundle.revocation().denies(principal, &leaf.serial)?)));
    denied.map_or(Ok(()), |(domain, code)| Err(Arc::new(RefusedPeer::leaf(leaf, code, format!("the deny_list of {domain} has it")))))
}

fn check_chain(
    bundle: &Bundle,
    leaf: &Leaf,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: SystemTime,
    usage: Usage,
) -> Result<(), Arc<RefusedPeer>> {
    let (now, usage) = (seconds(now), key_usage(usage));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let verified = EndEntityCert::try_from(end_entity).and_then(|certificate| {
        let crls = bundle.revocation().crls();
        let chain = std::iter::once(end_entity).chain(intermediates).map(AsRef::as_ref);
        crls.ask(chain, |revocation| {
            let path = certificate.verify_for_usage(algorithms, bundle.anchors(), intermediates, now, usage, revocation, None)?;
            crls.confirm(&path);
            Ok(())
        })
    });
    verified.map_err(|error| {
        let detail = format!("{} (judged by the bundle of {})", explained(&error), bundle.domain());
        Arc::new(RefusedPeer::leaf(leaf, code(&error), detail))
    })
}

fn key_usage(usage: Usage) -> KeyUsage {
    match usage {
        Usage::Client => KeyUsage::client_auth(),
        Usage::Server => KeyUsage::server_auth(),
    }
}

fn seconds(now: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn code(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => "expired",
        Error::CertNotValidYet { .. } => "not_yet_valid",
        Error::CaUsedAsEndEntity => "is_ca",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => "wrong_usage",
        Error::InvalidSignatureForPublicKey => "bad_signature",
        Error::CertRevoked => REVOKED,
        error if is_unknown(error) => REVOCATION_UNKNOWN,
        Error::BadDer | Error::BadDerTime | Error::MalformedExtensions | Error::TrailingData(_) | Error::UnsupportedCertVersion => {
            "bad_certificate"
        }
        _ => "untrusted_chain",
    }
}

fn explained(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertRevoked => "a CRL has a certificate of its chain".to_owned(),
        webpki::Error::UnknownRevocationStatus => {
            "no CRL is there for an issuer in its chain, and revocation.mode is \"require\"".to_owned()
        }
        webpki::Error::CrlExpired { .. } => "the CRL for it is past its nextUpdate, and revocation.mode is \"require\"".to_owned(),
        error if is_unknown(error) => format!("the CRL for it cannot be used ({error}), and revocation.mode is \"require\""),
        webpki::Error::UnknownIssuer => "no root or intermediate issued it".to_owned(),
        webpki::Error::InvalidSignatureForPublicKey => {
            "a signature in its chain is not the issuer's: another CA of the same name, or a forgery".to_owned()
        }
        webpki::Error::RequiredEkuNotFoundContext(_) => "its extended key usage does not allow this side of the handshake".to_owned(),
        webpki::Error::CertExpired { .. } => "a certificate of its chain has expired".to_owned(),
        other => format!("its chain does not verify: {other}"),
    }
}
