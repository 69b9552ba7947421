//! A client's certificates: issued by the development CA that the sidecar believes and renewed before they end, or read from files.

use super::target::Protocol;
use anyhow::Context as _;
use countersign::credentials::dev::{DevCa, Request};
use countersign::identity::SpiffeId;
use countersign::identity::x509::Leaf;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What TLS offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// What the library offers.
    All,
    /// X25519 and AES-128-GCM, so that whoever is measured does the same work.
    Same,
}

/// What the next handshake offers.
struct Current {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// The end of our certificate.
    ends: Option<SystemTime>,
}

/// What a client shows and believes.
pub struct Wallet {
    issuer: Option<(DevCa, Request)>,
    /// Whom it believes beside its own CA.
    roots: Vec<CertificateDer<'static>>,
    offer: Offer,
    current: RefCell<Current>,
}

impl Wallet {
    /// A client `id` of the development CA in `dir`.
    ///
    /// # Errors
    /// The CA cannot be opened or does not issue.
    pub fn open(dir: &Path, id: &str, validity: Duration, offer: Offer) -> anyhow::Result<Rc<Self>> {
        Self::issued(dir, id, validity, offer, Vec::new())
    }

    /// The same, which also believes the roots in a file.
    ///
    /// # Errors
    /// The CA cannot be opened or does not issue, or the file is not what it should be.
    pub fn open_believing(dir: &Path, id: &str, validity: Duration, roots: &Path) -> anyhow::Result<Rc<Self>> {
        Self::issued(dir, id, validity, Offer::All, certificates(roots)?)
    }

    fn issued(dir: &Path, id: &str, validity: Duration, offer: Offer, roots: Vec<CertificateDer<'static>>) -> anyhow::Result<Rc<Self>> {
        let ca = DevCa::open(dir)?;
        let request =
            Request { id: SpiffeId::parse(id).map_err(|error| anyhow::anyhow!("{id}: {error}"))?, dns_names: Vec::new(), validity };
        let current = RefCell::new(issue(&ca, &request, offer, &roots)?);
        Ok(Rc::new(Self { issuer: Some((ca, request)), roots, offer, current }))
    }

    /// PEM files: roots, and a chain with its key where the client shows a certificate.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub fn read(roots: &Path, own: Option<(&Path, &Path)>) -> anyhow::Result<Rc<Self>> {
        let own = match own {
            Some((chain, key)) => {
                Some((certificates(chain)?, PrivateKeyDer::from_pem_file(key).with_context(|| key.display().to_string())?))
            }
            None => None,
        };
        let current = RefCell::new(configurations(certificates(roots)?, own, Offer::All)?);
        Ok(Rc::new(Self { issuer: None, roots: Vec::new(), offer: Offer::All, current }))
    }

    /// What the next handshake offers, and when our certificate in it ends.
    pub fn config(&self, protocol: Protocol) -> (Arc<ClientConfig>, Option<SystemTime>) {
        let current = self.current.borrow();
        (Arc::clone(if protocol == Protocol::Http1 { &current.http1 } else { &current.http2 }), current.ends)
    }

    /// Renews after each third of the validity, until dropped; what was read from files stays.
    ///
    /// # Errors
    /// The CA does not issue any more.
    pub async fn renew(&self) -> anyhow::Result<()> {
        let Some((ca, request)) = &self.issuer else { return std::future::pending().await };
        loop {
            tokio::time::sleep(request.validity / 3).await;
            let next = issue(ca, request, self.offer, &self.roots)?;
            self.current.replace(next);
        }
    }
}

/// The configurations with one new certificate.
fn issue(ca: &DevCa, request: &Request, offer: Offer, roots: &[CertificateDer<'static>]) -> anyhow::Result<Current> {
    let own = ca.issue(request, SystemTime::now()).context("the client's certificate")?;
    configurations(roots.iter().chain([ca.root()]).cloned().collect(), Some(own), offer)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = CertificateDer::pem_file_iter(path).with_context(|| path.display().to_string())?;
    text.collect::<Result<_, _>>().with_context(|| path.display().to_string())
}

/// The configurations for HTTP/1.1 and HTTP/2.
fn configurations(
    roots: Vec<CertificateDer<'static>>,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    offer: Offer,
) -> anyhow::Result<Current> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let provider = match offer {
        Offer::All => default_provider(),
        Offer::Same => CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        },
    };
    let ends = match own.as_ref().and_then(|(chain, _)| chain.first()) {
        Some(leaf) => Some(Leaf::parse(leaf)?.not_after),
        None => None,
    };
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions()?.with_root_certificates(store);
    let mut config = match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    // Each connection shakes hands in full, so that each shows the certificate in force.
    config.resumption = Resumption::disabled();
    let of = |alpn: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    };
    Ok(Current { http1: of(b"http/1.1"), http2: of(b"h2"), ends })
}
