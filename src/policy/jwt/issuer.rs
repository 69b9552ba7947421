//! `[[jwt_issuer]]`: whose tokens are believed, and by which keys.

use super::algorithm::Algorithm;
use super::keeper::{KeysError, read_file};
use super::key_set::KeySet;
use super::keys::Keys;
use crate::fetch::Url;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// One issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    /// What its tokens have in `iss`, byte by byte.
    pub iss: Box<str>,
    /// One of these must be in `aud`.
    pub aud: Box<[Box<str>]>,
    /// How its tokens may be signed.
    pub algs: Box<[Algorithm]>,
    jwks: Source,
    /// The keys in force, shared with every other table that names the source; set when the table is about to be.
    keys: OnceLock<Arc<Keys>>,
}

/// Where a key set comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, watched.
    File(PathBuf),
    /// An `https` URL, asked by the control runtime, never in a request.
    Remote(Url),
}

/// As the table writes it, without the query of a URL.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str(&self.as_written()),
            Self::Remote(url) => url.fmt(f),
        }
    }
}

impl Source {
    /// As the table writes it.
    pub(in crate::policy) fn as_written(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Remote(url) => url.as_str().to_owned(),
        }
    }
}

impl Issuer {
    /// An issuer whose keys nobody reads yet.
    pub(in crate::policy) fn new(iss: &str, aud: Vec<Box<str>>, algs: Vec<Algorithm>, jwks: Source) -> Self {
        Self { iss: iss.into(), aud: aud.into(), algs: algs.into(), jwks, keys: OnceLock::new() }
    }

    /// Reads its keys where they are in a file, and says what is wrong with them. Blocks.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn look(&self) -> Result<(), KeysError> {
        match self.source() {
            Source::File(path) => Ok(KeySet::parse(&read_file(path)?).map(|_| ())?),
            Source::Remote(_) => Ok(()),
        }
    }

    /// Where its keys come from.
    pub fn source(&self) -> &Source {
        &self.jwks
    }

    /// Its keys; `None`: nobody reads them.
    pub(super) fn keys(&self) -> Option<&Arc<Keys>> {
        self.keys.get()
    }

    /// Its keys, which are `make`'s from now on where it has none.
    pub(super) fn adopt(&self, make: impl FnOnce() -> Arc<Keys>) -> &Arc<Keys> {
        self.keys.get_or_init(make)
    }
}

/// The issuers of one table.
#[derive(Debug)]
pub struct Issuers {
    /// Unlike that of every other table of this process: what one table believes, another does not have to.
    pub(super) id: u64,
    all: Box<[Issuer]>,
}

impl Issuers {
    pub(in crate::policy) fn new(all: Vec<Issuer>) -> Self {
        static ID: AtomicU64 = AtomicU64::new(0);
        Self { id: ID.fetch_add(1, Ordering::Relaxed), all: all.into() }
    }

    /// All of them, in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        self.all.iter()
    }

    pub(in crate::policy) fn named(&self, iss: &str) -> Option<&Issuer> {
        self.all.iter().find(|issuer| &*issuer.iss == iss)
    }

    /// Moves whenever one of them has other keys.
    pub(super) fn stamp(&self) -> u64 {
        self.all.iter().fold(0, |stamp, issuer| stamp.wrapping_add(issuer.keys().map_or(0, |keys| keys.generation())))
    }
}
