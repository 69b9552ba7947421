//! Header fields that rules ask about: read once, so that what was decided on is known and is exactly what is forwarded.

use super::{Malformed, reserved};
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;

/// The header names that rules mention; the default mentions none. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentioned(Option<Arc<Names>>);

#[derive(Debug, PartialEq, Eq)]
struct Names {
    /// First those that a request must have in one clear form; then those that are only looked at.
    all: Box<[HeaderName]>,
    strict: usize,
}

impl Mentioned {
    /// These names, each once.
    pub fn new(names: Vec<HeaderName>) -> Self {
        Self::with(names, Vec::new())
    }

    /// And those of `other`, which refuse no request: what could be read in two ways is unknown there.
    #[must_use]
    pub fn and_tried(&self, other: &Self) -> Self {
        Self::with(self.strict().to_vec(), other.names().to_vec())
    }

    /// And those of `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::with([self.strict(), other.strict()].concat(), Vec::new())
    }

    fn with(mut strict: Vec<HeaderName>, mut tried: Vec<HeaderName>) -> Self {
        for names in [&mut strict, &mut tried] {
            names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            names.dedup();
        }
        tried.retain(|name| !strict.contains(name));
        let known = strict.len();
        strict.append(&mut tried);
        Self((!strict.is_empty()).then(|| Arc::new(Names { all: strict.into(), strict: known })))
    }

    /// Whether `name` is one of them in any spelling: many app servers take underscores for dashes.
    pub fn covers(&self, name: &HeaderName) -> bool {
        self.is_nominated(name.as_str().as_bytes())
    }

    /// As [`Mentioned::covers`], of a name as `Connection` gives it.
    pub(super) fn is_nominated(&self, option: &[u8]) -> bool {
        self.strict().iter().any(|name| reserved::same_name_in_any_case(option, name.as_str().as_bytes()))
    }

    fn names(&self) -> &[HeaderName] {
        self.0.as_ref().map_or(&[], |names| &names.all)
    }

    fn strict(&self) -> &[HeaderName] {
        self.0.as_ref().and_then(|names| names.all.get(..names.strict)).unwrap_or_default()
    }
}

/// What a request has under the names that the rules mention. Its values are never written anywhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Noted(Option<Arc<Values>>);

#[derive(PartialEq, Eq)]
struct Values {
    mentioned: Mentioned,
    /// In the order of the names; empty where the request has none of them.
    values: Box<[Value]>,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Absent,
    Present(HeaderValue),
    /// It could be read in two ways.
    Unclear,
}

/// One header as a rule finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'r> {
    /// The request has it, once.
    Present(&'r HeaderValue),
    /// The request does not have it.
    Absent,
    /// It cannot be told: it could be read in two ways, or nobody looked, since the table that asks now is not the one that the request was read for.
    Unknown,
}

impl Noted {
    /// What the request has under `name`.
    pub fn field(&self, name: &HeaderName) -> Field<'_> {
        let Some(Values { mentioned, values }) = self.0.as_deref() else { return Field::Unknown };
        match mentioned.names().iter().position(|known| known == name) {
            None => Field::Unknown,
            Some(index) => match values.get(index) {
                Some(Value::Present(value)) => Field::Present(value),
                Some(Value::Absent) | None => Field::Absent,
                Some(Value::Unclear) => Field::Unknown,
            },
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
    values: Vec<Value>,
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
    /// Not where the name is only tried.
    pub(super) fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
        let mentioned = self.mentioned;
        for (index, known) in mentioned.names().iter().enumerate() {
            let kept = if known == name {
                self.keep(index, value)
            } else if reserved::same_name(name.as_str().as_bytes(), known.as_str().as_bytes()) {
                Err(Malformed::HeaderSpelling)
            } else {
                continue;
            };
            match kept {
                Err(malformed) if index < mentioned.strict().len() => return Err(malformed),
                Err(_) => self.set(index, Value::Unclear),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn keep(&mut self, index: usize, value: &HeaderValue) -> Result<(), Malformed> {
        if value.as_bytes().iter().any(|byte| *byte >= 0x80) {
            return Err(Malformed::HeaderObsText);
        }
        if self.values.get(index).is_some_and(|kept| *kept != Value::Absent) {
            return Err(Malformed::HeaderRepeated);
        }
        self.set(index, Value::Present(value.clone()));
        Ok(())
    }

    fn set(&mut self, index: usize, value: Value) {
        self.values.resize(self.mentioned.names().len(), Value::Absent);
        if let Some(kept) = self.values.get_mut(index) {
            *kept = value;
        }
    }

    pub(super) fn finish(self) -> Noted {
        let needed = self.is_needed();
        Noted(needed.then(|| Arc::new(Values { mentioned: self.mentioned.clone(), values: self.values.into() })))
    }
}
