//! One line of the decision log, as far as whoever decides again looks at it: nothing is copied but what has an escape.

use crate::policy::Truth;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What `v` says in each record.
pub const SCHEMA: &str = "countersign.decision/1";

/// A line that is no record of a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is no JSON, or a value in it is of another type than a sidecar writes. Another line may be.
    #[error("is no JSON as a record is ({0})")]
    Syntax(String),
    /// It is JSON and no record of the decision log, or one of another kind.
    #[error("is no record of a decision: its kind is {0:?}; give a line with \"kind\":\"decision\" or \"handshake\"")]
    Kind(String),
    /// A value is none that a sidecar writes.
    #[error("has a {0} that no sidecar writes")]
    Value(&'static str),
}

/// A value that is there or not.
type Text<'l> = Option<Cow<'l, str>>;

/// What a line says, by the record's names.
#[derive(Debug, Default)]
pub struct Line<'l> {
    /// The schema.
    pub v: Text<'l>,
    /// What kind of record it is.
    pub kind: Text<'l>,
    /// The decision's id.
    pub id: Text<'l>,
    /// When.
    pub time: Text<'l>,
    /// `inbound` or `outbound`.
    pub dir: Text<'l>,
    /// `allow` or `deny`.
    pub decision: Text<'l>,
    /// Why.
    pub reason: Text<'l>,
    /// The rule that decided.
    pub rule: Text<'l>,
    /// The ticket of a break-glass rule.
    pub break_glass: Text<'l>,
    /// The name of the table.
    pub policy: Text<'l>,
    /// Its version.
    pub policy_version: Text<'l>,
    /// Its hash.
    pub policy_sha256: Text<'l>,
    /// `open` or `end`, of a request that has two records.
    pub phase: Text<'l>,
    /// What an aggregate is about.
    pub of: Text<'l>,
    /// How many an aggregate or a gap stands for.
    pub count: Option<u64>,
    /// Whether a value in it was cut.
    pub cut: bool,
    /// `src.id`: who asked.
    pub caller: Text<'l>,
    /// `src.ip`.
    pub address: Text<'l>,
    /// `src.port`.
    pub source_port: Option<u64>,
    /// `dst.host`.
    pub host: Text<'l>,
    /// `dst.port`: the local port of the listener.
    pub port: Option<u64>,
    /// `http.method`.
    pub method: Text<'l>,
    /// `http.path`: canonical.
    pub path: Text<'l>,
    /// `http.template`: the pattern that matched.
    pub template: Text<'l>,
    /// `http.ctype`.
    pub content_type: Text<'l>,
    /// `conds`: what conditions came out as, by the hash of each.
    pub conditions: Vec<(Cow<'l, str>, Truth)>,
}

impl<'l> Line<'l> {
    /// Reads one line.
    ///
    /// # Errors
    /// [`RecordError::Syntax`].
    pub fn read(line: &'l [u8]) -> Result<Self, RecordError> {
        let mut read = Self::default();
        // Once for the line, and not for each text in it.
        let line = std::str::from_utf8(line).map_err(|error| RecordError::Syntax(error.to_string()))?;
        let mut json = serde_json::Deserializer::from_str(line);
        let outcome = Object { group: Group::Record, line: &mut read }.deserialize(&mut json).and_then(|()| json.end());
        outcome.map_err(|error| RecordError::Syntax(error.to_string()))?;
        Ok(read)
    }

    /// Whether a sidecar wrote it; among records on standard output stand lines of others.
    pub fn is_record(&self) -> bool {
        self.v.as_deref() == Some(SCHEMA) && self.kind.is_some()
    }

    /// What came out of the condition whose canonical text has this hash; `None`: it was not looked at.
    pub fn condition(&self, hash: &str) -> Option<Truth> {
        self.conditions.iter().find(|(known, _)| known == hash).map(|(_, truth)| *truth)
    }
}

#[derive(Debug, Clone, Copy)]
enum Group {
    Record,
    Source,
    Target,
    Http,
}

/// The members of the record, or of one of its objects.
struct Object<'x, 'l> {
    group: Group,
    line: &'x mut Line<'l>,
}

impl<'l> DeserializeSeed<'l> for Object<'_, 'l> {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'l> Visitor<'l> for Object<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { group, line } = self;
        while let Some(Name(name)) = members.next_key()? {
            match group {
                Group::Record => of_record(&name, line, &mut members)?,
                Group::Source => match &*name {
                    "id" => line.caller = text(&mut members)?,
                    "ip" => line.address = text(&mut members)?,
                    "port" => line.source_port = members.next_value()?,
                    _ => skip(&mut members)?,
                },
                Group::Target => match &*name {
                    "host" => line.host = text(&mut members)?,
                    "port" => line.port = members.next_value()?,
                    _ => skip(&mut members)?,
                },
                Group::Http => match &*name {
                    "method" => line.method = text(&mut members)?,
                    "path" => line.path = text(&mut members)?,
                    "template" => line.template = text(&mut members)?,
                    "ctype" => line.content_type = text(&mut members)?,
                    _ => skip(&mut members)?,
                },
            }
        }
        Ok(())
    }
}

fn of_record<'l, A: MapAccess<'l>>(name: &str, line: &mut Line<'l>, members: &mut A) -> Result<(), A::Error> {
    match name {
        "v" => line.v = text(members)?,
        "kind" => line.kind = text(members)?,
        "id" => line.id = text(members)?,
        "time" => line.time = text(members)?,
        "dir" => line.dir = text(members)?,
        "decision" => line.decision = text(members)?,
        "reason" => line.reason = text(members)?,
        "rule" => line.rule = text(members)?,
        "break_glass" => line.break_glass = text(members)?,
        "policy" => line.policy = text(members)?,
        "policy_version" => line.policy_version = text(members)?,
        "policy_sha256" => line.policy_sha256 = text(members)?,
        "phase" => line.phase = text(members)?,
        "of" => line.of = text(members)?,
        "count" => line.count = members.next_value()?,
        "cut" => line.cut = members.next_value()?,
        "src" => members.next_value_seed(Object { group: Group::Source, line })?,
        "dst" => members.next_value_seed(Object { group: Group::Target, line })?,
        "http" => members.next_value_seed(Object { group: Group::Http, line })?,
        "conds" => line.conditions = members.next_value::<Option<Conditions<'l>>>()?.map(|Conditions(all)| all).unwrap_or_default(),
        _ => skip(members)?,
    }
    Ok(())
}

fn text<'l, A: MapAccess<'l>>(members: &mut A) -> Result<Text<'l>, A::Error> {
    Ok(members.next_value::<Option<Name<'l>>>()?.map(|Name(text)| text))
}

fn skip<'l, A: MapAccess<'l>>(members: &mut A) -> Result<(), A::Error> {
    members.next_value::<IgnoredAny>().map(drop)
}

/// A text, without a copy where it has no escape.
struct Name<'l>(Cow<'l, str>);

impl<'l> Deserialize<'l> for Name<'l> {
    fn deserialize<D: Deserializer<'l>>(json: D) -> Result<Self, D::Error> {
        struct Borrows;
        impl<'l> Visitor<'l> for Borrows {
            type Value = Name<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Name<'l>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'l>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Borrows)
    }
}

/// What stands in `conds`.
struct Conditions<'l>(Vec<(Cow<'l, str>, Truth)>);

impl<'l> Deserialize<'l> for Conditions<'l> {
    fn deserialize<D: Deserializer<'l>>(json: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'l> Visitor<'l> for Each {
            type Value = Conditions<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of conditions")
            }

            fn visit_seq<A: SeqAccess<'l>>(self, mut items: A) -> Result<Conditions<'l>, A::Error> {
                let mut all = Vec::new();
                while let Some(Condition(hash, truth)) = items.next_element()? {
                    all.push((hash, truth));
                }
                Ok(Conditions(all))
            }
        }
        json.deserialize_seq(Each)
    }
}

struct Condition<'l>(Cow<'l, str>, Truth);

impl<'l> Deserialize<'l> for Condition<'l> {
    fn deserialize<D: Deserializer<'l>>(json: D) -> Result<Self, D::Error> {
        struct One;
        impl<'l> Visitor<'l> for One {
            type Value = Condition<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition with cond and result")
            }

            fn visit_map<A: MapAccess<'l>>(self, mut members: A) -> Result<Condition<'l>, A::Error> {
                let (mut hash, mut truth) = (None, None);
                while let Some(Name(name)) = members.next_key()? {
                    match &*name {
                        "cond" => hash = text(&mut members)?,
                        "result" => truth = text(&mut members)?.and_then(|letter| Truth::of_letter(&letter)),
                        _ => skip(&mut members)?,
                    }
                }
                hash.zip(truth)
                    .map(|(hash, truth)| Condition(hash, truth))
                    .ok_or_else(|| A::Error::custom("a condition without cond or result"))
            }
        }
        json.deserialize_map(One)
    }
}
