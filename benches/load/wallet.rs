//! A client's certificates: issued by the development CA that the sidecar believes, renewed before they end.

use super::client::Protocol;
use anyhow::Context as _;
use countersign::credentials::dev::{DevCa, Request};
use countersign::identity::SpiffeId;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Issues one client's certificates.
pub struct Wallet {
    ca: DevCa,
    request: Request,
    current: RefCell<(Arc<ClientConfig>, Arc<ClientConfig>)>,
}

impl Wallet {
    /// A client `id` of the development CA in `dir`.
    ///
    /// # Errors
    /// The CA cannot be opened or does not issue.
    pub fn open(dir: &Path, id: &str, validity: Duration) -> anyhow::Result<Rc<Self>> {
        let ca = DevCa::open(dir)?;
        let request =
            Request { id: SpiffeId::parse(id).map_err(|error| anyhow::anyhow!("{id}: {error}"))?, dns_names: Vec::new(), validity };
        let current = RefCell::new(issue(&ca, &request)?);
        Ok(Rc::new(Self { ca, request, current }))
    }

    /// What the next handshake offers.
    pub fn config(&self, protocol: Protocol) -> Arc<ClientConfig> {
        let current = self.current.borrow();
        Arc::clone(if protocol == Protocol::Http1 { &current.0 } else { &current.1 })
    }

    /// Renews after each third of the validity, until dropped.
    ///
    /// # Errors
    /// The CA does not issue any more.
    pub async fn renew(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(self.request.validity / 3).await;
            let next = issue(&self.ca, &self.request)?;
            self.current.replace(next);
        }
    }
}

/// The configurations for HTTP/1.1 and HTTP/2, with one new certificate.
fn issue(ca: &DevCa, request: &Request) -> anyhow::Result<(Arc<ClientConfig>, Arc<ClientConfig>)> {
    let (chain, key) = ca.issue(request, SystemTime::now()).context("the client's certificate")?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.root().clone())?;
    let mut config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    // Each connection shakes hands in full, so that each shows the certificate in force.
    config.resumption = Resumption::disabled();
    let of = |alpn: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    };
    Ok((of(b"http/1.1"), of(b"h2")))
}
