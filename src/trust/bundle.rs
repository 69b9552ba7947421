//! Trust bundles: the roots of each trust domain, as one immutable snapshot.

use super::crl::{CrlError, Crls};
use super::deny::BadLine;
use super::pem::{PemError, certificates};
use super::revocation::Revocation;
use crate::identity::pattern::PrincipalPattern;
use crate::identity::x509::{Leaf, LeafError};
use crate::identity::{Principal, TrustDomain};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The roots of one trust domain.
#[derive(Debug, Clone)]
pub struct Bundle {
    domain: TrustDomain,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    dns_names: Vec<PrincipalPattern>,
    development: bool,
    revocation: Arc<Revocation>,
}

/// All bundles; replaced as a whole.
#[derive(Debug, Clone, Default)]
pub struct Bundles {
    /// Counts up with every published snapshot.
    pub generation: u64,
    by_domain: HashMap<Box<str>, Arc<Bundle>>,
}

/// Whether bundles with a development root are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevelopmentRoots {
    /// They are: this is no production, or `--allow-development-roots` was given.
    Accepted,
    /// They are not, because this variable says that this is production.
    Refused(&'static str),
}

impl DevelopmentRoots {
    /// What the surroundings and `--allow-development-roots` say.
    pub fn here(allow_development_roots: bool) -> Self {
        match crate::runtime::surroundings::production() {
            Some(variable) if !allow_development_roots => Self::Refused(variable),
            _ => Self::Accepted,
        }
    }
}

/// Why roots are refused; the last good bundles stay.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The source cannot be read now; trying again helps once it is there.
    #[error("trust domain {domain}: cannot read {}: {error}", .path.display())]
    Unavailable {
        /// The trust domain.
        domain: TrustDomain,
        /// The file.
        path: PathBuf,
        /// What reading it said.
        error: std::io::Error,
    },
    /// An authority cannot be asked for its root now; what it says tells whether trying again helps.
    #[error("trust domain {domain}: {error}")]
    Authority {
        /// The trust domain.
        domain: TrustDomain,
        /// What asking it said.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text is no list of certificates; trying again helps after it was changed.
    #[error("trust domain {domain}: {origin} {error}")]
    Pem {
        /// The trust domain.
        domain: TrustDomain,
        /// The source, such as the file's path.
        origin: String,
        /// What is wrong with it.
        error: PemError,
    },
    /// A certificate cannot be read.
    #[error("trust domain {domain}: {origin}, certificate {index}: {error}")]
    Certificate {
        /// The trust domain.
        domain: TrustDomain,
        /// The source.
        origin: String,
        /// Which one, from 1.
        index: usize,
        /// What is wrong with it.
        error: LeafError,
    },
    /// A certificate is not a CA's, such as a leaf that was put among the roots.
    #[error("trust domain {domain}: {origin}, certificate {index} ({subject}) is not a CA's; only roots belong here")]
    NotCa {
        /// The trust domain.
        domain: TrustDomain,
        /// The source.
        origin: String,
        /// Which one, from 1.
        index: usize,
        /// Its subject.
        subject: String,
    },
    /// A root carries the development extension and this is production.
    #[error(
        "trust domain {domain}: {origin} holds a development root ({subject}) and {variable} says that this is production; \
         use roots of a real CA, or --allow-development-roots"
    )]
    Development {
        /// The trust domain.
        domain: TrustDomain,
        /// The source.
        origin: String,
        /// The root's subject.
        subject: String,
        /// The variable that says that this is production.
        variable: &'static str,
    },
    /// A pattern of `dns_names` does not parse.
    #[error("trust domain {domain}: dns_names: {pattern:?} {problem}")]
    DnsName {
        /// The trust domain.
        domain: TrustDomain,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A line of the deny list cannot be read; trying again helps after it was changed.
    #[error("trust domain {domain}: deny_list {}, {bad}", .path.display())]
    DenyList {
        /// The trust domain.
        domain: TrustDomain,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        bad: BadLine,
    },
    /// A file of revocation lists cannot be used; trying again helps after it was changed.
    #[error("trust domain {domain}: crl {} {error}", .path.display())]
    Crl {
        /// The trust domain.
        domain: TrustDomain,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: CrlError,
    },
    /// A trust domain is listed twice.
    #[error("trust domain {domain} is listed twice")]
    Twice {
        /// The trust domain.
        domain: TrustDomain,
    },
}

impl TrustError {
    /// Whether the source was not there, as opposed to there and bad.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Authority { .. })
    }
}

impl Bundle {
    /// Reads the roots of `domain` from a PEM text; `origin` names it in errors.
    ///
    /// # Errors
    /// See [`TrustError`]; one bad element refuses all of it.
    pub fn from_pem(domain: &TrustDomain, origin: &str, pem: &[u8], development: DevelopmentRoots) -> Result<Self, TrustError> {
        let named = |error| TrustError::Pem { domain: domain.clone(), origin: origin.to_owned(), error };
        Self::from_roots(domain, origin, certificates(pem).map_err(named)?, development)
    }

    /// Takes `roots` for those of `domain`; `origin` names them in errors.
    ///
    /// # Errors
    /// See [`TrustError`]; one bad element refuses all of it.
    pub fn from_roots(
        domain: &TrustDomain,
        origin: &str,
        roots: Vec<CertificateDer<'static>>,
        development: DevelopmentRoots,
    ) -> Result<Self, TrustError> {
        let (count, revocation) = (roots.len(), Arc::default());
        let (domain, anchors) = (domain.clone(), Vec::with_capacity(count));
        let mut bundle = Self { domain, roots: Vec::with_capacity(count), anchors, dns_names: Vec::new(), development: false, revocation };
        for (index, root) in (1..).zip(roots) {
            bundle.add(origin, index, root, development)?;
        }
        Ok(bundle)
    }

    /// Accepts leaves without a URI SAN by a DNS SAN inside `patterns`.
    ///
    /// # Errors
    /// [`TrustError::DnsName`].
    pub fn with_dns_names(mut self, patterns: &[String]) -> Result<Self, TrustError> {
        let parse = |pattern: &String| {
            let named = |problem| TrustError::DnsName { domain: self.domain.clone(), pattern: pattern.clone(), problem };
            PrincipalPattern::dns(pattern).map_err(named)
        };
        self.dns_names = patterns.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Refuses what `revocation` names.
    pub fn with_revocation(mut self, revocation: Arc<Revocation>) -> Self {
        self.revocation = revocation;
        self
    }

    /// What is refused although a root vouches for it.
    pub fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// The trust domain that the roots speak for.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The roots, in the source's order.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Whether a root is a development CA's.
    pub fn is_development(&self) -> bool {
        self.development
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Whether it judges leaves of this identity.
    pub(super) fn judges(&self, principal: &Principal) -> bool {
        match principal {
            Principal::Spiffe(id) => self.domain.as_str() == id.trust_domain(),
            Principal::Dns(_) => self.accepts_dns(principal),
        }
    }

    pub(super) fn accepts_dns(&self, principal: &Principal) -> bool {
        self.dns_names.iter().any(|pattern| pattern.matches(principal))
    }

    fn covers(&self, old: &Self) -> bool {
        old.roots.iter().all(|root| self.roots.contains(root))
            && old.dns_names.iter().all(|pattern| self.dns_names.contains(pattern))
            && self.revocation.is_within(&old.revocation)
    }

    fn add(&mut self, origin: &str, index: usize, root: CertificateDer<'static>, roots: DevelopmentRoots) -> Result<(), TrustError> {
        let (domain, origin) = (self.domain.clone(), origin.to_owned());
        let leaf = match Leaf::parse(&root) {
            Ok(leaf) => leaf,
            Err(error) => return Err(TrustError::Certificate { domain, origin, index, error }),
        };
        if !leaf.is_ca {
            return Err(TrustError::NotCa { domain, origin, index, subject: leaf.subject });
        }
        if let (true, DevelopmentRoots::Refused(variable)) = (leaf.is_development, roots) {
            return Err(TrustError::Development { domain, origin, subject: leaf.subject, variable });
        }
        match webpki::anchor_from_trusted_cert(&root) {
            Ok(anchor) => self.anchors.push(anchor.to_owned()),
            Err(_) => return Err(TrustError::Certificate { domain, origin, index, error: LeafError::Encoding }),
        }
        self.development |= leaf.is_development;
        self.roots.push(root);
        Ok(())
    }
}

impl Bundles {
    /// Collects bundles into a snapshot.
    ///
    /// # Errors
    /// [`TrustError::Twice`].
    pub fn new(generation: u64, bundles: impl IntoIterator<Item = Bundle>) -> Result<Self, TrustError> {
        let mut by_domain = HashMap::new();
        for bundle in bundles {
            let domain = bundle.domain.clone();
            if by_domain.insert(domain.as_str().into(), Arc::new(bundle)).is_some() {
                return Err(TrustError::Twice { domain });
            }
        }
        Ok(Self { generation, by_domain })
    }

    /// The bundle that speaks for a trust domain.
    pub fn of(&self, domain: &str) -> Option<&Arc<Bundle>> {
        self.by_domain.get(domain)
    }

    /// All bundles, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Bundle>> {
        self.by_domain.values()
    }

    /// The same bundles, asking no revocation list.
    pub fn without_crls(&self) -> Self {
        let without = |bundle: &Arc<Bundle>| {
            let revocation = Revocation::new(bundle.revocation.deny().clone(), Crls::default());
            Arc::new((**bundle).clone().with_revocation(Arc::new(revocation)))
        };
        let by_domain = self.by_domain.iter().map(|(domain, bundle)| (domain.clone(), without(bundle)));
        Self { generation: self.generation, by_domain: by_domain.collect() }
    }

    /// Whether both say the same of every peer.
    pub fn is_same(&self, other: &Self) -> bool {
        self.by_domain.len() == other.by_domain.len()
            && self.by_domain.iter().all(|(domain, ours)| {
                other.of(domain).is_some_and(|theirs| {
                    theirs.roots == ours.roots && theirs.dns_names == ours.dns_names && theirs.revocation == ours.revocation
                })
            })
    }

    /// Whether these accept everybody whom `other` accepts: nothing was removed from it and nobody is refused in addition.
    pub fn covers(&self, other: &Self) -> bool {
        other.by_domain.iter().all(|(domain, old)| self.of(domain).is_some_and(|new| new.covers(old)))
    }
}
