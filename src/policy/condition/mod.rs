//! What a rule asks beside who, where and for what: tests that must all hold, three-valued each, every result in the record.

mod header;
mod tls;

pub(super) use header::{HeaderTest, Operator};
pub(super) use tls::{TlsTest, Version};

use super::Truth;
use super::canonical_json::{object, sha256};
use super::looked::Condition;
use super::rule::Question;
use http::HeaderName;
use serde_json::Value;
use std::sync::Arc;

/// One condition of a rule.
#[derive(Debug)]
pub(super) struct Conditional {
    /// What records say about it.
    condition: Arc<Condition>,
    test: Test,
}

/// What is tested. In the order of what a test costs: a rule looks at its cheap ones first.
#[derive(Debug)]
pub(super) enum Test {
    /// The peer's TLS channel.
    Tls(TlsTest),
    /// A header field of the request.
    Header(HeaderTest),
}

impl Conditional {
    pub(super) fn new(test: Test) -> Self {
        let hash = sha256(&test.json().to_string()).chars().take(16).collect();
        Self { condition: Arc::new(Condition { name: test.name().into(), hash }), test }
    }

    /// Whether it holds; what came out is noted for the record.
    pub(super) fn holds(&self, question: &Question<'_>) -> Truth {
        let result = match &self.test {
            Test::Tls(test) => test.holds(question.caller.channel.as_ref()),
            Test::Header(test) => question.request.map_or(Truth::Unknown, |request| test.holds(request)),
        };
        question.looking.note(&self.condition, result);
        result
    }

    /// Its canonical form, which records and the table's hash are about.
    pub(super) fn json(&self) -> Value {
        self.test.json()
    }

    /// The header name that it hangs on.
    pub(super) fn mentioned(&self) -> Option<&HeaderName> {
        match &self.test {
            Test::Header(test) => Some(&test.name),
            Test::Tls(_) => None,
        }
    }
}

impl Test {
    /// What it is about, as records call it.
    fn name(&self) -> String {
        match self {
            Self::Tls(_) => "tls".to_owned(),
            Self::Header(test) => format!("header:{}", test.name),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Tls(test) => object([("tls", test.json())]),
            Self::Header(test) => object([("header", test.json())]),
        }
    }

    /// Lower is looked at first.
    fn cost(&self) -> u8 {
        match self {
            Self::Tls(_) => 0,
            Self::Header(_) => 6,
        }
    }
}

/// The conditions of a rule in the order in which they are looked at: the same in every text that says the same.
pub(super) fn in_order(tests: Vec<Test>) -> Box<[Conditional]> {
    let mut conditions: Vec<Conditional> = tests.into_iter().map(Conditional::new).collect();
    conditions.sort_by_cached_key(|condition| (condition.test.cost(), condition.json().to_string()));
    conditions.into()
}
