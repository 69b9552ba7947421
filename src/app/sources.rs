//! Which source the settings of trust and credentials name.

use super::StartError;
use crate::audit::Signing;
#[cfg(feature = "aws")]
use crate::aws::{AcmPcaSource, AuthorityRoots, Aws, KmsSealer, KmsSigner, S3Source};
use crate::credentials::dev::DevSource;
use crate::credentials::{self, FilePair};
#[cfg(feature = "aws")]
use crate::credentials::{Cache, Issuing, SealingKey};
use crate::document::Problems;
use crate::fetch::Fetcher;
use crate::policy::bundle::{Open, Remote};
use crate::runtime::readiness::Readiness;
#[cfg(feature = "aws")]
use crate::runtime::sealer::{KeyFile, Sealer};
use crate::runtime::signer::{DigestSigner, FileSigner, SigningKeyError};
use crate::trust::{self, DEVELOPMENT_ROOT_FILE, DevelopmentRoots, FileSource, TrustSource};
use crate::upstream::Resolver;
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "aws")]
use std::sync::OnceLock;

/// What makes the sources of roots, and of our own certificate.
pub fn factories(readiness: &Readiness) -> (trust::Factory, credentials::Factory) {
    #[cfg(feature = "aws")]
    let readiness = readiness.clone();
    #[cfg(not(feature = "aws"))]
    let _ = readiness;
    #[cfg(feature = "aws")]
    let (for_roots, for_certificates) = {
        let aws = way_to_aws();
        (aws.clone(), aws)
    };
    let roots: trust::Factory = Box::new(move |settings, development| match &settings.source {
        trust::Source::Dev(dir) => file(settings, dir.join(DEVELOPMENT_ROOT_FILE), development),
        trust::Source::File(path) => file(settings, path.clone(), development),
        #[cfg(feature = "aws")]
        trust::Source::AcmPca(authority) => Box::new(AuthorityRoots::new(for_roots.clone(), authority.clone(), settings, development)),
    });
    // One for all sources that follow each other.
    #[cfg(feature = "aws")]
    let budget = OnceLock::<Issuing>::new();
    let certificates: credentials::Factory = Box::new(move |settings, clock, bundles| match &settings.source {
        credentials::Source::Dev { dir, validity } => Box::new(DevSource::new(settings, dir.clone(), *validity, clock)),
        credentials::Source::File { chain, key } => {
            Box::new(FilePair::new(settings.id.clone(), chain.clone(), key.clone(), clock, bundles))
        }
        #[cfg(feature = "aws")]
        credentials::Source::AcmPca(pca) => {
            let is_first = budget.get().is_none();
            let new = || Issuing::new(pca.ceilings, settings.id.clone(), pca.cache.as_deref(), Arc::clone(&clock), readiness.clone());
            let issuing = budget.get_or_init(new).clone();
            let cache = pca.cache.as_deref().zip(pca.sealing_key.as_ref());
            let cache = cache.map(|(dir, key)| Cache::new(dir, sealer(&for_certificates, key), settings, readiness.clone()));
            let source = AcmPcaSource::new(for_certificates.clone(), settings, pca.clone(), issuing, cache, clock, bundles);
            Box::new(if is_first { source } else { source.anew() })
        }
    });
    (roots, certificates)
}

/// Who signs for the key of each boot.
pub fn boot_signer(signing: &Signing) -> Result<Arc<dyn DigestSigner>, StartError> {
    match signing {
        Signing::File(path) => {
            let instead = "give a file that only this user may read, with the key in PEM, or take key_file out of [audit.signing]";
            let unusable = |error: SigningKeyError| Problems::of_file(&path.display().to_string(), error.to_string(), instead);
            Ok(Arc::new(FileSigner::read(path).map_err(unusable)?))
        }
        #[cfg(feature = "aws")]
        Signing::Kms(arn) => Ok(Arc::new(KmsSigner::new(way_to_aws(), arn.clone()))),
    }
}

/// What fetches documents from elsewhere; it finds names as upstreams do.
pub fn fetcher() -> Fetcher {
    let resolver = Arc::new(Resolver::new(super::system()));
    Fetcher::new(Arc::new(move |name: String| {
        let resolver = Arc::clone(&resolver);
        Box::pin(async move { resolver.ask(&name).await.map(|answer| answer.addresses).map_err(|error| error.to_string()) })
    }))
}

/// What asks for policy bundles elsewhere.
pub fn bundles(fetcher: &Fetcher) -> Open {
    let fetcher = fetcher.clone();
    #[cfg(feature = "aws")]
    let aws = way_to_aws();
    Arc::new(move |remote, limit| match remote {
        Remote::Https(url) => Box::new(fetcher.at(url.clone(), limit)),
        #[cfg(feature = "aws")]
        Remote::S3(object) => Box::new(S3Source::new(aws.clone(), fetcher.clone(), object.clone(), limit)),
    })
}

/// Who keeps the key that a kept certificate is sealed under.
#[cfg(feature = "aws")]
fn sealer(aws: &Aws, key: &SealingKey) -> Arc<dyn Sealer> {
    match key {
        SealingKey::File(path) => Arc::new(KeyFile::new(path.clone())),
        SealingKey::Kms(arn) => Arc::new(KmsSealer::new(aws.clone(), arn.clone())),
    }
}

/// The way to AWS, which finds names as upstreams do.
#[cfg(feature = "aws")]
pub fn way_to_aws() -> Aws {
    let resolver = Arc::new(Resolver::new(super::system()));
    Aws::new(Arc::new(move |name: String| {
        let resolver = Arc::clone(&resolver);
        Box::pin(async move { resolver.ask(&name).await.map(|answer| answer.addresses).map_err(Into::into) })
    }))
}

fn file(settings: &trust::Settings, path: PathBuf, development: DevelopmentRoots) -> Box<dyn TrustSource> {
    Box::new(FileSource { domain: settings.domain.clone(), path, dns_names: settings.dns_names.clone(), development })
}
