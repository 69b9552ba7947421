//! `claims`: what the end user's token says.

use crate::policy::Truth;
use crate::policy::canonical_json::object;
use crate::policy::jwt::{Found, Known, LEEWAY, date};
use http::HeaderName;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// The field that tokens come in.
pub(super) static FIELD: HeaderName = http::header::AUTHORIZATION;

/// A test of one claim.
#[derive(Debug)]
pub(in crate::policy) struct ClaimTest {
    /// Its name, or the names that lead to it.
    pub(in crate::policy) path: Box<[Box<str>]>,
    pub(in crate::policy) operator: ClaimOperator,
}

/// What a claim must be.
#[derive(Debug)]
pub(in crate::policy) enum ClaimOperator {
    /// One of these, all of one type: strings, whole numbers, or true or false.
    In(Box<[Value]>),
    /// A list with one of these in it; a string is a list of words.
    Any(Box<[Box<str>]>),
    /// A date, at most so long ago.
    MaxAge(Duration),
}

impl ClaimTest {
    /// What of the wrong type cannot be told.
    pub(super) fn holds(&self, user: Known<'_>, now: SystemTime) -> Truth {
        let claims = match user {
            Known::Nobody => return Truth::False,
            Known::Unclear => return Truth::Unknown,
            Known::Claims(claims) => claims,
        };
        match claims.find(&self.path) {
            Found::Absent => Truth::False,
            Found::Unreadable => Truth::Unknown,
            Found::Value(value) => self.operator.holds(value, now),
        }
    }

    pub(super) fn asks_the_hour(&self) -> bool {
        matches!(self.operator, ClaimOperator::MaxAge(_))
    }

    /// The names that lead to the claim, with dots between them.
    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn json(&self) -> Value {
        let name = ("name", self.path.iter().map(|name| json!(&**name)).collect());
        match &self.operator {
            // `eq` is `in` with one value, `has` is `any` with one.
            ClaimOperator::In(values) => object([name, ("in", values.iter().cloned().collect())]),
            ClaimOperator::Any(values) => object([name, ("any", values.iter().map(|value| json!(&**value)).collect())]),
            ClaimOperator::MaxAge(age) => object([name, ("max_age_s", json!(age.as_secs_f64()))]),
        }
    }
}

impl ClaimOperator {
    fn holds(&self, value: &Value, now: SystemTime) -> Truth {
        match self {
            Self::In(wanted) if wanted.iter().any(|wanted| wanted == value) => Truth::True,
            Self::In(wanted) if wanted.iter().all(|wanted| is_of_one_type(wanted, value)) => Truth::False,
            Self::In(_) => Truth::Unknown,
            Self::Any(wanted) => any(wanted, value),
            Self::MaxAge(age) => date(value).map_or(Truth::Unknown, |date| is_recent(date, *age, now)),
        }
    }
}

fn any(wanted: &[Box<str>], value: &Value) -> Truth {
    let is_wanted = |text: &str| wanted.iter().any(|wanted| **wanted == *text);
    match value {
        Value::String(words) => words.split(' ').any(is_wanted).into(),
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().filter_map(Value::as_str).any(is_wanted).into(),
        _ => Truth::Unknown,
    }
}

/// A date that has not come yet, by more than clocks differ, is none that anything happened at.
fn is_recent(date: SystemTime, age: Duration, now: SystemTime) -> Truth {
    match now.duration_since(date) {
        Ok(since) => (since <= age).into(),
        Err(ahead) if ahead.duration() <= LEEWAY => Truth::True,
        Err(_) => Truth::Unknown,
    }
}

fn is_of_one_type(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)))
}
