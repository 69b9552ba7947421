//! What is refused although a root vouches for it, in one trust domain.

use super::bundle::TrustError;
use super::deny::DenyList;
use super::settings::Settings;
use crate::identity::{Principal, TrustDomain};
use std::path::PathBuf;
use std::sync::Arc;

/// The most bytes that are read of a deny list: some ten thousand ids.
const MAX_DENY_LIST_BYTES: u64 = 1 << 20;

/// The refusals of one trust domain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    deny: DenyList,
}

impl Revocation {
    /// Refuses those on `deny`.
    pub fn new(deny: DenyList) -> Self {
        Self { deny }
    }

    /// Who is denied by id or serial number.
    pub fn deny(&self) -> &DenyList {
        &self.deny
    }

    /// Why a peer is refused for what it is called; `None`: it is not.
    pub(super) fn denies(&self, principal: &Principal, serial: &str) -> Option<&'static str> {
        self.deny.denies(principal, serial)
    }

    /// Whether it refuses nobody whom `other` does not refuse.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.deny.is_within(&other.deny)
    }
}

/// Where they are read from.
#[derive(Debug)]
pub(super) struct RevocationFiles {
    domain: TrustDomain,
    deny_list: Option<PathBuf>,
}

impl RevocationFiles {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { domain: settings.domain.clone(), deny_list: settings.deny_list.clone() }
    }

    /// Reads them as they are now.
    pub(super) async fn load(&self) -> Result<Arc<Revocation>, TrustError> {
        let Some(path) = &self.deny_list else { return Ok(Arc::default()) };
        let (domain, file) = (self.domain.clone(), path.clone());
        match crate::runtime::watch::read_capped(path, MAX_DENY_LIST_BYTES).await {
            Err(error) => Err(TrustError::Unavailable { domain, path: file, error }),
            Ok(text) => match DenyList::parse(&domain, &text) {
                Ok(deny) => Ok(Arc::new(Revocation::new(deny))),
                Err(bad) => Err(TrustError::DenyList { domain, path: file, bad }),
            },
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.deny_list.clone().into_iter()
    }
}
