//! What a rule asks beside who, where and for what: tests that must all hold, three-valued each, every result in the record.

mod cert_age;
mod claim;
mod found;
mod header;
mod source;
mod tag;
mod time;
mod tls;

pub(super) use self::time::{Between, Days, TimeTest, Zone};
pub(super) use cert_age::CertAgeTest;
pub(super) use claim::{ClaimOperator, ClaimTest};
pub(super) use header::{HeaderTest, Operator};
pub(super) use source::{NetworkSet, Networks, SourceTest};
pub(super) use tag::{TagTest, Tags, Template, is_value};
pub(super) use tls::{TlsTest, Version};

use super::Truth;
use super::canonical_json::{object, sha256};
use super::jwt::{Claims, Found};
use super::looked::Condition;
use super::rule::Question;
use http::HeaderName;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often requests under way are decided again where a rule asks for the age of a certificate or for a token, which ends, from one time to the next.
const AGES: Duration = Duration::from_secs(10);

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
    /// Tags of the peer's identity.
    Tag(Arc<TagTest>),
    /// The age of the peer's certificate.
    CertAge(CertAgeTest),
    /// The hour.
    Time(Arc<TimeTest>),
    /// The address of the TCP peer.
    Source(SourceTest),
    /// A header field of the request.
    Header(HeaderTest),
    /// What the end user's token says.
    Claim(ClaimTest),
}

impl Conditional {
    /// A condition whose canonical text has this SHA-256.
    fn new(test: Test, sha256: &str) -> Self {
        Self { condition: Arc::new(Condition { name: test.name().into(), hash: sha256.chars().take(16).collect() }), test }
    }

    /// Whether it holds; what came out is noted for the record.
    pub(super) fn holds(&self, question: &Question<'_>) -> Truth {
        let result = match &self.test {
            Test::Tls(test) => test.holds(question.caller.channel.as_ref()),
            Test::Tag(test) => question.standing.tags(test.number),
            Test::Source(test) => test.holds(question.caller.source).into(),
            Test::CertAge(test) => test.holds(question.caller.identity.as_deref(), question.now),
            Test::Time(test) => test.holds(question.now),
            Test::Header(test) => question.request.map_or(Truth::Unknown, |request| test.holds(request)),
            Test::Claim(test) => test.holds(question.user.known(), question.now),
        };
        question.looking.note(&self.condition, result);
        result
    }

    /// What is tested, for whoever says it in other words.
    pub(super) fn test(&self) -> &Test {
        &self.test
    }

    /// What records say about it.
    pub(super) fn facts(&self) -> &Condition {
        &self.condition
    }

    /// Whether it hangs on whose tokens the table believes.
    pub(super) fn asks_a_token(&self) -> bool {
        matches!(self.test, Test::Claim(_))
    }

    /// Its canonical form, which records and the table's hash are about.
    pub(super) fn json(&self) -> Value {
        self.test.json()
    }

    /// The header name that it hangs on.
    pub(super) fn mentioned(&self) -> Option<&HeaderName> {
        match &self.test {
            Test::Header(test) => Some(&test.name),
            Test::Claim(_) => Some(&claim::FIELD),
            Test::Tls(_) | Test::Tag(_) | Test::Source(_) | Test::CertAge(_) | Test::Time(_) => None,
        }
    }

    /// Lets a window say for ever what it says at the first moment, for the test that has to find it.
    #[cfg(test)]
    pub(super) fn keep_for_ever(&self) {
        if let Test::Time(window) = &self.test {
            window.keep_for_ever();
        }
    }

    /// Whether it lets every address of one family pass.
    pub(super) fn is_wild(&self) -> bool {
        matches!(&self.test, Test::Source(test) if test.is_wild())
    }
}

/// Those conditions of a table whose results change by themselves.
#[derive(Debug, Default)]
pub(super) struct Timely {
    windows: Vec<Arc<TimeTest>>,
    has_ages: bool,
    /// By their hashes, those that one and the same request may meet at one hour and not at another; a claim's path where it hangs on one.
    hours: HashMap<Box<str>, Box<[Box<str>]>>,
}

impl Timely {
    /// Of all conditions of a table.
    pub(super) fn of<'c>(conditions: impl Iterator<Item = &'c Conditional>) -> Self {
        let mut timely = Self::default();
        for condition in conditions {
            match &condition.test {
                Test::Time(window) => timely.windows.push(Arc::clone(window)),
                Test::CertAge(_) | Test::Claim(_) => timely.has_ages = true,
                Test::Tls(_) | Test::Tag(_) | Test::Source(_) | Test::Header(_) => {}
            }
            if let Some(path) = condition.test.asks_the_hour() {
                timely.hours.insert(condition.condition.hash.clone(), path);
            }
        }
        timely.windows.sort_unstable_by_key(Arc::as_ptr);
        timely.windows.dedup_by_key(|window| Arc::as_ptr(window));
        timely
    }

    /// Whether a condition of the table may be met at one hour and not at another where a token says `claims`.
    pub(super) fn asks_the_hour(&self, condition: &Condition, claims: Option<&Claims>) -> bool {
        let is_there = |path: &[Box<str>]| path.is_empty() || claims.is_some_and(|claims| claims.find(path) != Found::Absent);
        self.hours.get(&condition.hash).is_some_and(|path| is_there(path))
    }

    /// When what they say of requests under way at `now` may change.
    pub(super) fn hold_until(&self, now: SystemTime) -> Option<SystemTime> {
        let edges = self.windows.iter().filter_map(|window| window.holds_until(now));
        // Each certificate and each token has its own hour: all are looked at again now and then.
        edges.chain(self.has_ages.then(|| now.checked_add(AGES)).flatten()).min()
    }
}

impl Test {
    /// What it is about, as records call it.
    fn name(&self) -> String {
        match self {
            Self::Tls(_) => "tls".to_owned(),
            Self::Tag(_) => "principal_tag".to_owned(),
            Self::Source(_) => "source_ip".to_owned(),
            Self::CertAge(_) => "cert_age".to_owned(),
            Self::Time(_) => "time".to_owned(),
            Self::Header(test) => format!("header:{}", test.name),
            Self::Claim(test) => format!("claim:{}", test.name()),
        }
    }

    /// Gives the path to the claim of which the hour is asked, an empty one where it is asked of nothing.
    fn asks_the_hour(&self) -> Option<Box<[Box<str>]>> {
        match self {
            Self::Time(_) => Some(Box::default()),
            Self::Claim(test) => test.asks_the_hour().then(|| test.path.clone()),
            Self::Tls(_) | Self::Tag(_) | Self::CertAge(_) | Self::Source(_) | Self::Header(_) => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Tls(test) => object([("tls", test.json())]),
            Self::Tag(test) => object([("principal_tag", test.json())]),
            Self::Source(test) => object([("source_ip", test.json())]),
            Self::CertAge(test) => object([("cert_age", test.json())]),
            Self::Time(test) => object([("time", test.json())]),
            Self::Header(test) => object([("header", test.json())]),
            Self::Claim(test) => object([("claim", test.json())]),
        }
    }

    /// Lower is looked at first.
    fn cost(&self) -> u8 {
        match self {
            Self::Tls(_) => 0,
            Self::Tag(_) => 1,
            Self::CertAge(_) => 2,
            Self::Time(_) => 3,
            Self::Source(_) => 4,
            Self::Header(_) => 6,
            Self::Claim(_) => 7,
        }
    }
}

/// The conditions of a table while it is read, each once: rules that say the same share one.
#[derive(Debug, Default)]
pub(super) struct Conditions(RefCell<HashMap<String, Arc<Conditional>>>);

impl Conditions {
    /// Those of a rule in the order in which they are looked at: the same in every text that says the same.
    pub(super) fn in_order(&self, tests: Vec<Test>) -> Box<[Arc<Conditional>]> {
        let mut tests: Vec<(u8, String, Test)> = tests.into_iter().map(|test| (test.cost(), test.json().to_string(), test)).collect();
        tests.sort_by(|(one, text, _), (other, another, _)| (one, text).cmp(&(other, another)));
        let mut known = self.0.borrow_mut();
        let conditions = tests.into_iter().map(|(_, text, test)| {
            let condition = known.entry(text).or_insert_with_key(|text| Arc::new(Conditional::new(test, &sha256(text))));
            Arc::clone(condition)
        });
        conditions.collect()
    }
}
