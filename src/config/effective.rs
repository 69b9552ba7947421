//! What is in force: every key with its value, its default and where it came from.

use super::environment::Used;
use crate::document::Position;
use std::cell::RefCell;
use std::fmt;

/// Every key of a configuration, in the order of its sections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    file: String,
    entries: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Dotted, such as `timeouts.idle` or `upstream[0].hosts`.
    pub key: String,
    /// The value in force, as TOML would write it; `unset` where there is none; of `inbound` and `outbound`, `present` or `absent`.
    pub value: String,
    /// What it is when nothing is written; `required` where something must be.
    pub default: String,
    /// Where the value came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is written.
    Default,
    /// It is written in the document.
    Document(Position),
    /// It is written in the document with these environment variables in it.
    Environment(Position, Vec<String>),
}

impl Origin {
    /// Where it stands; without a line where nothing is written.
    pub fn place(&self, key: &str) -> Position {
        match self {
            Self::Default => Position { key: key.to_owned(), ..Position::default() },
            Self::Document(place) | Self::Environment(place, _) => Position { key: key.to_owned(), ..place.clone() },
        }
    }
}

impl Effective {
    /// The name of the document.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The keys one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Document(place) => write!(f, "line {}", place.line),
            Self::Environment(place, names) => write!(f, "line {} with {}", place.line, names.join(", ")),
        }
    }
}

/// One key a line, in four aligned columns under a head.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |column: fn(&Entry) -> &str, head: &str| {
            let cells = self.entries.iter().map(|entry| column(entry).chars().count());
            cells.filter(|width| *width <= 60).max().unwrap_or(0).max(head.len())
        };
        let key = wide(|entry| &entry.key, "key");
        let value = wide(|entry| &entry.value, "value");
        let default = wide(|entry| &entry.default, "default");
        writeln!(f, "{:key$}  {:value$}  {:default$}  from", "key", "value", "default")?;
        for entry in &self.entries {
            writeln!(f, "{:key$}  {:value$}  {:default$}  {}", entry.key, entry.value, entry.default, entry.origin)?;
        }
        Ok(())
    }
}

/// The list while it is written.
pub(super) struct Ledger {
    entries: RefCell<Vec<Entry>>,
    used: Used,
}

impl Ledger {
    pub(super) fn new(used: Used) -> Self {
        Self { entries: RefCell::default(), used }
    }

    /// Adds a key; `place` is where it stands, `None` where nothing is written.
    pub(super) fn note(&self, key: String, value: String, default: String, place: Option<Position>) {
        let names = self.used.take();
        let origin = match place {
            None => Origin::Default,
            Some(place) if names.is_empty() => Origin::Document(place),
            Some(place) => Origin::Environment(place, names),
        };
        self.entries.borrow_mut().push(Entry { key, value, default, origin });
    }

    /// Forgets the variables of a value that turned out to be wrong.
    pub(super) fn forget_variables(&self) {
        self.used.take();
    }

    /// Where `key` stands; `None` if it could not be read, so that nobody complains about it twice.
    pub(super) fn place(&self, key: &str) -> Option<Position> {
        self.entries.borrow().iter().find(|entry| entry.key == key).map(|entry| entry.origin.place(key))
    }

    /// Whether `key` stands in the document.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.entries.borrow().iter().any(|entry| entry.key == key && entry.origin != Origin::Default)
    }

    pub(super) fn close(self, file: &str) -> Effective {
        Effective { file: file.to_owned(), entries: self.entries.into_inner() }
    }
}
