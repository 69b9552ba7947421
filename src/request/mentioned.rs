//! Header fields that rules ask about: read once, so that what was decided on is known and is exactly what is forwarded.

use super::{Malformed, reserved};
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;

/// The header names that the rules of one table mention; the default mentions none. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentioned(Option<Arc<[HeaderName]>>);

impl Mentioned {
    /// These names, each once.
    pub fn new(mut names: Vec<HeaderName>) -> Self {
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Self((!names.is_empty()).then(|| names.into()))
    }

    /// Whether `name` is one of them in any spelling: many app servers take underscores for dashes.
    pub fn covers(&self, name: &HeaderName) -> bool {
        self.is_nominated(name.as_str().as_bytes())
    }

    /// As [`Mentioned::covers`], of a name as `Connection` gives it.
    pub(super) fn is_nominated(&self, option: &[u8]) -> bool {
        self.names().iter().any(|name| reserved::same_name_in_any_case(option, name.as_str().as_bytes()))
    }

    fn names(&self) -> &[HeaderName] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What a request has under the names that the rules mention. Its values are never written anywhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Noted(Option<Arc<Values>>);

#[derive(PartialEq, Eq)]
struct Values {
    mentioned: Mentioned,
    /// In the order of the names; empty where the request has none of them.
    values: Box<[Option<HeaderValue>]>,
}

/// One header as a rule finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'r> {
    /// The request has it, once.
    Present(&'r HeaderValue),
    /// The request does not have it.
    Absent,
    /// Nobody looked: the table that asks now is not the one that the request was read for.
    Unknown,
}

impl Noted {
    /// What the request has under `name`.
    pub fn field(&self, name: &HeaderName) -> Field<'_> {
        let Some(Values { mentioned, values }) = self.0.as_deref() else { return Field::Unknown };
        match mentioned.names().iter().position(|known| known == name) {
            None => Field::Unknown,
            Some(index) => values.get(index).and_then(Option::as_ref).map_or(Field::Absent, Field::Present),
        }
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().flat_map(|values| values.mentioned.names());
        f.debug_list().entries(names).finish()
    }
}

/// Collects the mentioned fields of one request.
pub(super) struct Noting<'m> {
    mentioned: &'m Mentioned,
    values: Vec<Option<HeaderValue>>,
}

impl<'m> Noting<'m> {
    pub(super) fn new(mentioned: &'m Mentioned) -> Self {
        Self { mentioned, values: Vec::new() }
    }

    /// Whether there is anything to collect.
    pub(super) fn is_needed(&self) -> bool {
        self.mentioned.0.is_some()
    }

    /// One field of the request.
    ///
    /// # Errors
    /// It could be read in two ways: it is there twice, it is not ASCII, or another spelling of it is there, which many app servers take for the same.
    pub(super) fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
        let names = self.mentioned.names();
        for (index, mentioned) in names.iter().enumerate() {
            if mentioned == name {
                return self.keep(index, names.len(), value);
            }
            if reserved::same_name(name.as_str().as_bytes(), mentioned.as_str().as_bytes()) {
                return Err(Malformed::HeaderSpelling);
            }
        }
        Ok(())
    }

    fn keep(&mut self, index: usize, names: usize, value: &HeaderValue) -> Result<(), Malformed> {
        if value.as_bytes().iter().any(|byte| *byte >= 0x80) {
            return Err(Malformed::HeaderObsText);
        }
        self.values.resize(names, None);
        match self.values.get_mut(index).map(|kept| kept.replace(value.clone())) {
            Some(None) => Ok(()),
            _ => Err(Malformed::HeaderRepeated),
        }
    }

    pub(super) fn finish(self) -> Noted {
        let needed = self.is_needed();
        Noted(needed.then(|| Arc::new(Values { mentioned: self.mentioned.clone(), values: self.values.into() })))
    }
}
