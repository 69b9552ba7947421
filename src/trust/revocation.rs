//! What is refused although a root vouches for it, in one trust domain.

use super::bundle::TrustError;
use super::confirm::Way;
use super::crl::{Crl, Crls};
use super::deny::DenyList;
use super::remote::RemoteList;
use super::settings::{CrlMode, CrlSource, Settings};
use crate::fetch::Url;
use crate::identity::{Principal, TrustDomain};
use crate::runtime::watch::read_capped;
use std::path::PathBuf;
use std::sync::Arc;

/// The most bytes that are read of a deny list: some ten thousand ids.
const MAX_DENY_LIST_BYTES: u64 = 1 << 20;

/// The most bytes that are read of a file of revocation lists, or of a server's answer: some two hundred thousand certificates.
pub const MAX_CRL_BYTES: u64 = 8 << 20;

/// The refusals of one trust domain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    deny: DenyList,
    crls: Crls,
}

impl Revocation {
    /// Refuses those on `deny`, and whom `crls` do not clear.
    pub fn new(deny: DenyList, crls: Crls) -> Self {
        Self { deny, crls }
    }

    /// Who is denied by id or serial number.
    pub fn deny(&self) -> &DenyList {
        &self.deny
    }

    /// The revocation lists.
    pub fn crls(&self) -> &Crls {
        &self.crls
    }

    /// Whether it refuses nobody whom `other` does not refuse.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.deny.is_within(&other.deny) && self.crls.is_within(&other.crls)
    }

    /// Why a peer is refused for what it is called; `None`: it is not.
    pub(super) fn denies(&self, principal: &Principal, serial: &str) -> Option<&'static str> {
        self.deny.denies(principal, serial)
    }
}

/// Where they are read from, and what each said when it was good last.
pub(super) struct RevocationSources {
    domain: TrustDomain,
    deny_list: Option<PathBuf>,
    deny: Option<DenyList>,
    mode: CrlMode,
    crls: Vec<CrlFile>,
    remote: Vec<Arc<RemoteList>>,
}

#[derive(Debug)]
struct CrlFile {
    path: PathBuf,
    bytes: Vec<u8>,
    lists: Vec<Arc<Crl>>,
}

impl RevocationSources {
    /// `remote` gives the list at a URL.
    pub(super) fn new(settings: &Settings, mut remote: impl FnMut(&Url) -> Arc<RemoteList>) -> Self {
        let deny = settings.deny_list.is_none().then(DenyList::default);
        let (mut files, mut lists) = (Vec::new(), Vec::new());
        for source in &settings.crls {
            match source {
                CrlSource::File(path) => files.push(CrlFile { path: path.clone(), bytes: Vec::new(), lists: Vec::new() }),
                CrlSource::Url(url) => lists.push(remote(url)),
            }
        }
        let (domain, deny_list) = (settings.domain.clone(), settings.deny_list.clone());
        Self { domain, deny_list, deny, mode: settings.crl_mode, crls: files, remote: lists }
    }

    /// Reads the files as they are now, and takes what was fetched; of a file that fails, what it said last. `None`: the deny list never was good. A
    /// revocation list that never was is missing, and the mode says what that means.
    pub(super) async fn load(&mut self, failed: &mut Vec<TrustError>) -> Option<Arc<Revocation>> {
        if let Some(path) = &self.deny_list {
            let (domain, file) = (self.domain.clone(), path.clone());
            match read_capped(path, MAX_DENY_LIST_BYTES).await {
                Err(error) => failed.push(TrustError::Unavailable { domain, path: file, error }),
                Ok(text) => match DenyList::parse(&domain, &text) {
                    Ok(deny) => self.deny = Some(deny),
                    Err(bad) => failed.push(TrustError::DenyList { domain, path: file, bad }),
                },
            }
        }
        let mut lists = Vec::new();
        for crl in &mut self.crls {
            if let Err(error) = crl.load(&self.domain).await {
                failed.push(error);
            }
            lists.extend(crl.lists.iter().cloned());
        }
        lists.extend(self.remote.iter().flat_map(|remote| remote.lists()));
        let deny = self.deny.clone()?;
        Some(Arc::new(Revocation::new(deny, Crls::new(self.mode, lists))))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.deny_list.iter().chain(self.crls.iter().map(|crl| &crl.path)).cloned()
    }
}

impl CrlFile {
    async fn load(&mut self, domain: &TrustDomain) -> Result<(), TrustError> {
        let (domain, path) = (domain.clone(), self.path.clone());
        let bytes = match read_capped(&path, MAX_CRL_BYTES).await {
            Ok(bytes) if bytes == self.bytes => return Ok(()),
            Ok(bytes) => bytes,
            Err(error) => return Err(TrustError::Unavailable { domain, path, error }),
        };
        let origin = path.display().to_string();
        // A large list takes a while: not on the runtime that answers health checks.
        let read = tokio::task::spawn_blocking(move || (Crl::read(&origin, Way::File, &bytes), bytes)).await;
        let (lists, bytes) = read.map_err(|_| TrustError::Unavailable { domain: domain.clone(), path: path.clone(), error: panicked() })?;
        self.lists = lists.map_err(|error| TrustError::Crl { domain, path, error })?;
        self.bytes = bytes;
        Ok(())
    }
}

fn panicked() -> std::io::Error {
    std::io::Error::other("reading it panicked")
}
