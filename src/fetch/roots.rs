//! Whom an https server is verified by: the CA roots of the machine, or of the image.

use super::error::FetchError;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// What to shake hands with. Reads the machine's roots, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, again each time: they change while we
/// run, and it is done once an hour. Blocks.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let said = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(FetchError::NoRoots(said));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let config = config.map_err(|error| FetchError::Tls(std::io::Error::other(error)))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
