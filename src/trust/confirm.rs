//! Lists that came over a network: whose signature they bear, and which of two is the newer one.
//!
//! Anybody on the way can put a list of their own making in place of the issuer's, or an old one of the issuer's in place of the new one. So such a list replaces
//! another one only once its signature was seen to be its issuer's, and never one that is newer than itself.

use aws_lc_rs::digest::{SHA256, digest};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use webpki::VerifiedPath;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::extensions::ParsedExtension;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::CertificateRevocationList;

/// How a list came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The operator put it there.
    File,
    /// A server that said so sent it.
    Network,
}

/// Whether a list's signature was seen to be its issuer's.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    confirmed: AtomicBool,
    pending: Mutex<Option<Pending>>,
}

/// What is kept until then.
#[derive(Debug)]
struct Pending {
    /// The list.
    der: Vec<u8>,
    /// SHA-256 of keys that it is not signed with: looking takes as long as hashing all of it, and each handshake may come with the same key.
    strangers: Vec<Vec<u8>>,
}

impl Unconfirmed {
    /// What the operator put there is taken as it is.
    pub(super) fn new(way: Way, der: &[u8]) -> Self {
        let pending = (way == Way::Network).then(|| Pending { der: der.to_vec(), strangers: Vec::new() });
        Self { confirmed: AtomicBool::new(pending.is_none()), pending: Mutex::new(pending) }
    }

    /// By one atomic load.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }

    /// Looks for the signature among the issuers of a path that was verified; `name` is what the list's issuer is called, without its SEQUENCE.
    pub(super) fn confirm(&self, name: &[u8], path: &VerifiedPath<'_>) {
        let intermediates = path.intermediate_certificates().filter(|issuer| issuer.subject() == name);
        let mut keys: Vec<Vec<u8>> =
            intermediates.filter_map(|issuer| element(&issuer.subject_public_key_info()).map(|key| key.content.to_vec())).collect();
        if path.anchor().subject.as_ref() == name {
            keys.push(path.anchor().subject_public_key_info.to_vec());
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.as_mut().is_some_and(|pending| keys.iter().any(|key| pending.is_signed_with(key))) {
            *pending = None;
            self.confirmed.store(true, Ordering::Release);
        }
    }
}

impl Pending {
    fn is_signed_with(&mut self, key: &[u8]) -> bool {
        /// Authorities of one name below our roots; of more, none is asked again and again.
        const STRANGERS: usize = 16;
        let digest = digest(&SHA256, key).as_ref().to_vec();
        if self.strangers.contains(&digest) || self.strangers.len() >= STRANGERS {
            return false;
        }
        let signed = is_signed_by(&self.der, key).unwrap_or(false);
        if !signed {
            self.strangers.push(digest);
        }
        signed
    }
}

/// Which list of which row of lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Series {
    /// The issuer, its key's identifier, the partition: what each is written as.
    row: [Vec<u8>; 3],
    number: Option<BigUint>,
}

impl Series {
    pub(super) fn of(list: &CertificateRevocationList<'_>) -> Self {
        let mut row = [list.issuer().as_raw().to_vec(), Vec::new(), Vec::new()];
        for extension in list.extensions() {
            if let ParsedExtension::AuthorityKeyIdentifier(issuer) = extension.parsed_extension() {
                row[1] = issuer.key_identifier.as_ref().map(|id| id.0.to_vec()).unwrap_or_default();
            } else if extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT {
                row[2] = extension.value.to_vec();
            }
        }
        Self { row, number: list.crl_number().cloned() }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.row == other.row
    }

    /// Whether the other's number is higher.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        matches!((&self.number, &other.number), (Some(ours), Some(theirs)) if ours < theirs)
    }

    pub(super) fn number(&self) -> Option<String> {
        self.number.as_ref().map(ToString::to_string)
    }
}

/// Whether a list (RFC 5280, section 5.1) is signed with the key of a SubjectPublicKeyInfo, which comes without its SEQUENCE. Takes the algorithms that chains
/// are verified with; `None`: one of the two is no such thing.
fn is_signed_by(list: &[u8], key: &[u8]) -> Option<bool> {
    let signed = element(element(list)?.content)?;
    let algorithm = element(signed.behind)?;
    let signature = bits(algorithm.behind)?;
    let key_algorithm = element(key)?;
    let public = bits(key_algorithm.behind)?;
    let fitting = webpki::ALL_VERIFICATION_ALGS.iter().filter(|known| {
        known.signature_alg_id().as_ref() == algorithm.content && known.public_key_alg_id().as_ref() == key_algorithm.content
    });
    Some(fitting.into_iter().any(|known| known.verify_signature(public, signed.whole, signature).is_ok()))
}

/// The first element of some DER.
struct Element<'d> {
    whole: &'d [u8],
    content: &'d [u8],
    behind: &'d [u8],
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (behind, any) = Any::from_der(der).ok()?;
    Some(Element { whole: der.get(..der.len() - behind.len())?, content: any.data, behind })
}

/// The octets of a BIT STRING of whole octets.
fn bits(der: &[u8]) -> Option<&[u8]> {
    element(der)?.content.strip_prefix(&[0])
}
