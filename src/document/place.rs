//! Where something stands, until somebody asks for line and column: almost nobody does, and a large document has a million places.

use std::fmt;
use std::sync::Arc;

/// Where in a document something stands. [`Document::position`](super::Document::position) makes line, column and dotted key of it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// In bytes.
    pub(super) at: u32,
    within: Path,
    key: Option<Name>,
    index: Option<usize>,
}

/// The dotted key of a table; empty for the document.
#[derive(Debug, Clone, Default)]
pub(super) struct Path(Option<Arc<Part>>);

#[derive(Debug)]
struct Part {
    within: Path,
    key: Name,
    index: Option<usize>,
}

/// A key: one that we know, or one that an author chose, which many places share.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Known(&'static str),
    Chosen(Arc<str>),
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::Known(name)
    }
}

impl From<&Arc<str>> for Name {
    fn from(name: &Arc<str>) -> Self {
        Self::Chosen(Arc::clone(name))
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self::Chosen(name.into())
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Chosen(name) => name,
        }
    }
}

impl Place {
    /// Of a table.
    pub(super) fn of(at: u32, path: &Path) -> Self {
        Self { at, within: path.clone(), key: None, index: None }
    }

    /// Of a key in a table.
    pub(super) fn in_table(at: u32, path: &Path, key: impl Into<Name>) -> Self {
        Self { at, within: path.clone(), key: Some(key.into()), index: None }
    }

    /// Of one of the values of a list.
    pub(super) fn in_list(at: u32, path: &Path, key: impl Into<Name>, index: usize) -> Self {
        Self { at, within: path.clone(), key: Some(key.into()), index: Some(index) }
    }

    /// The table that stands there.
    pub(super) fn path(self) -> Path {
        match self.key {
            None => self.within,
            Some(key) => Path(Some(Arc::new(Part { within: self.within, key, index: self.index }))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => self.within.fmt(f),
            Some(key) => entry(f, &self.within, key.as_str(), self.index),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().map_or(Ok(()), |part| entry(f, &part.within, part.key.as_str(), part.index))
    }
}

fn entry(f: &mut fmt::Formatter<'_>, within: &Path, key: &str, index: Option<usize>) -> fmt::Result {
    fmt::Display::fmt(within, f)?;
    if within.0.is_some() {
        f.write_str(".")?;
    }
    f.write_str(key)?;
    index.map_or(Ok(()), |index| write!(f, "[{index}]"))
}
