//! `headers`: conditions on header fields of a request.

use crate::policy::Truth;
use crate::policy::canonical_json::object;
use crate::request::{CanonicalRequest, Field};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

/// A test of one header field.
#[derive(Debug)]
pub(in crate::policy) struct HeaderTest {
    pub(in crate::policy) name: HeaderName,
    pub(in crate::policy) operator: Operator,
}

/// What a field's value must be, byte by byte.
#[derive(Debug)]
pub(in crate::policy) enum Operator {
    /// One of these.
    In(Box<[Box<str>]>),
    /// Something that begins with this.
    Prefix(Box<str>),
    /// Anything.
    Present,
}

impl HeaderTest {
    pub(super) fn holds(&self, request: &CanonicalRequest) -> Truth {
        match request.noted.field(&self.name) {
            Field::Unknown => Truth::Unknown,
            Field::Absent => Truth::False,
            Field::Present(value) => self.operator.holds(value),
        }
    }

    pub(super) fn json(&self) -> Value {
        let name = ("name", json!(self.name.as_str()));
        match &self.operator {
            // `eq` is `in` with one value.
            Operator::In(values) => object([name, ("in", values.iter().map(|value| json!(&**value)).collect())]),
            Operator::Prefix(prefix) => object([name, ("prefix", json!(&**prefix))]),
            Operator::Present => object([name, ("present", json!(true))]),
        }
    }
}

impl Operator {
    /// A comma makes a list for some readers and not for others: where only one member fits, it cannot be told (CVE-2020-25017).
    fn holds(&self, value: &HeaderValue) -> Truth {
        let value = value.as_bytes();
        if self.fits(value) {
            return Truth::True;
        }
        let mut members = value.split(|byte| *byte == b',');
        let listed = members.any(|member| member.len() < value.len() && self.fits(member.trim_ascii()));
        if listed { Truth::Unknown } else { Truth::False }
    }

    fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::In(values) => values.iter().any(|wanted| wanted.as_bytes() == value),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Present => true,
        }
    }
}
