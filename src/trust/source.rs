//! Where roots come from.

use super::bundle::{Bundle, DevelopmentRoots, TrustError};
use super::settings::Settings;
use crate::identity::TrustDomain;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// The development CA's root, inside its directory.
pub const DEVELOPMENT_ROOT_FILE: &str = "dev-ca.pem";

/// The most bytes that are read of a bundle file; a hundred roots fit many times.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A future of a source.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives the roots of one trust domain.
pub trait TrustSource: Send + Sync {
    /// Reads the roots as they are now.
    fn load(&self) -> BoxFuture<'_, Result<Bundle, TrustError>>;

    /// The files whose change means that [`TrustSource::load`] may say something new; it is also asked every 30 s.
    fn files(&self) -> Vec<PathBuf>;

    /// What was remembered is not good enough for the next [`TrustSource::load`].
    fn forget(&self) {}
}

/// Makes the source that settings name. Handed in, as sources may live in rooms that this one does not know.
pub type Factory = Box<dyn Fn(&Settings, DevelopmentRoots) -> Box<dyn TrustSource> + Send + Sync>;

/// Roots in a PEM file; the development CA's root is one as well.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// The trust domain that they speak for.
    pub domain: TrustDomain,
    /// The file.
    pub path: PathBuf,
    /// See [`Settings::dns_names`].
    pub dns_names: Vec<String>,
    /// Whether development roots are accepted.
    pub development: DevelopmentRoots,
}

impl TrustSource for FileSource {
    fn load(&self) -> BoxFuture<'_, Result<Bundle, TrustError>> {
        Box::pin(async move {
            let unavailable = |error| TrustError::Unavailable { domain: self.domain.clone(), path: self.path.clone(), error };
            let pem = crate::runtime::watch::read_capped(&self.path, MAX_FILE_BYTES).await.map_err(unavailable)?;
            let origin = self.path.display().to_string();
            Bundle::from_pem(&self.domain, &origin, &pem, self.development)?.with_dns_names(&self.dns_names)
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}
