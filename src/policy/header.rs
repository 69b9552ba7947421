//! `headers`: conditions on header fields of a request.

use super::Truth;
use super::canonical_json::{object, sha256};
use super::looked::Condition;
use crate::request::{CanonicalRequest, Field};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;

/// One condition on one header field.
#[derive(Debug)]
pub(super) struct HeaderCondition {
    name: HeaderName,
    operator: Operator,
    condition: Arc<Condition>,
}

/// What a field's value must be, byte by byte.
#[derive(Debug)]
pub(super) enum Operator {
    /// One of these.
    In(Box<[Box<str>]>),
    /// Something that begins with this.
    Prefix(Box<str>),
    /// Anything.
    Present,
}

impl HeaderCondition {
    pub(super) fn new(name: HeaderName, operator: Operator) -> Self {
        let text = json(&name, &operator).to_string();
        let condition = Condition { name: format!("header:{name}").into(), hash: sha256(&text).chars().take(16).collect() };
        Self { name, operator, condition: Arc::new(condition) }
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// What the record says about it.
    pub(super) fn condition(&self) -> &Arc<Condition> {
        &self.condition
    }

    /// Whether it holds for a request.
    pub(super) fn holds(&self, request: &CanonicalRequest) -> Truth {
        match request.noted.field(&self.name) {
            Field::Unknown => Truth::Unknown,
            Field::Absent => Truth::False,
            Field::Present(value) => self.operator.holds(value),
        }
    }

    /// Its canonical form, which records and the table's hash are about.
    pub(super) fn json(&self) -> Value {
        json(&self.name, &self.operator)
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

fn json(name: &HeaderName, operator: &Operator) -> Value {
    let name = ("name", json!(name.as_str()));
    match operator {
        // `eq` is `in` with one value.
        Operator::In(values) => object([name, ("in", values.iter().map(|value| json!(&**value)).collect())]),
        Operator::Prefix(prefix) => object([name, ("prefix", json!(&**prefix))]),
        Operator::Present => object([name, ("present", json!(true))]),
    }
}
