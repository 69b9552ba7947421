//! What a token says, once it is known to be its issuer's.

use serde_json::{Map, Value};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Dates beyond the year 5138 are milliseconds that somebody took for seconds.
const LAST_DATE: f64 = 1e11;

/// The claims of a token. Its values are never written anywhere, but for `iss` and `sub` in records.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What a token has under a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::policy) enum Found<'c> {
    /// This.
    Value(&'c Value),
    /// Nothing.
    Absent,
    /// The name leads into something that has no names.
    Unreadable,
}

impl Claims {
    pub(in crate::policy) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// The claim of this name, or the one inside the one of the first name.
    pub(in crate::policy) fn find(&self, path: &[Box<str>]) -> Found<'_> {
        let mut names = path.iter();
        let Some(mut found) = names.next().and_then(|name| self.0.get(&**name)) else { return Found::Absent };
        for name in names {
            let Value::Object(inner) = found else { return Found::Unreadable };
            match inner.get(&**name) {
                Some(value) => found = value,
                None => return Found::Absent,
            }
        }
        Found::Value(found)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(in crate::policy) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        members(&self.0)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

fn members(object: &Map<String, Value>) -> usize {
    const NODE: usize = 64;
    object.iter().map(|(name, value)| NODE + name.len() + weight(value)).sum()
}

fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(object) => members(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// A NumericDate (RFC 7519 section 2): seconds since 1970, also with a fraction. A string is none (CVE-2026-25537).
pub(in crate::policy) fn date(value: &Value) -> Option<SystemTime> {
    let seconds = value.as_f64().filter(|seconds| (0.0..LAST_DATE).contains(seconds))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))
}
