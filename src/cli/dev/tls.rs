//! A TLS client with development certificates, as curl would be one.

use super::setup::Setup;
use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects to the app's sidecar, which must be `localhost` to the development CA; `name`: with the certificate of that name.
///
/// # Errors
/// The sidecar is not who it should be, or refuses us. In TLS 1.3 the refusal may come only when something is read.
pub async fn connect(setup: &Setup, name: Option<&str>) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, setup.inbound)).await?;
    let config = config(&setup.dir, name)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?)
}

fn config(dir: &Path, name: Option<&str>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in read(&dir.join(crate::trust::DEVELOPMENT_ROOT_FILE))? {
        roots.add(root)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_root_certificates(roots);
    let Some(name) = name else { return Ok(builder.with_no_client_auth()) };
    let key = dir.join(format!("{name}-key.pem"));
    let key = PrivateKeyDer::from_pem_file(&key).with_context(|| key.display().to_string())?;
    Ok(builder.with_client_auth_cert(read(&dir.join(format!("{name}.pem")))?, key)?)
}

fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    certificates.with_context(|| path.display().to_string())
}
