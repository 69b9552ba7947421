//! A line of the decision log as a question to a table.

use super::Ask;
use crate::policy::record::{Apart, Line, RecordError};
use std::borrow::Cow;

/// What a record says.
#[derive(Debug)]
pub struct Record {
    /// The decision's id.
    pub id: String,
    /// When, as it stands there.
    pub time: String,
    /// `allow` or `deny`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The table that decided: its name, its version and its hash.
    pub table: Option<(String, String, String)>,
    /// Who asked, as far as it is known.
    pub caller: Option<String>,
    /// What became of it.
    pub story: Story,
}

/// What kind of decision a record is about.
#[derive(Debug)]
pub enum Story {
    /// Rules decided, on this request.
    Rules(Box<Ask>),
    /// No rule was looked at; why, as a sentence.
    Before(&'static str),
    /// A request that rules decided, of which the record lacks something; what.
    Incomplete(&'static str),
}

impl Record {
    /// Reads one line.
    ///
    /// # Errors
    /// It is no record of a decision.
    pub fn read(line: &str) -> Result<Self, RecordError> {
        let line = Line::read(line.as_bytes())?;
        let kind = line.kind.as_deref().unwrap_or_default();
        let story = match kind {
            "decision" => story(&line)?,
            "handshake" => Story::Before(
                "the handshake was refused, so there never was a request; the reason says what was wrong with the certificate",
            ),
            "aggregate" => Story::Incomplete(Apart::Aggregate.why()),
            _ => return Err(RecordError::Kind(kind.to_owned())),
        };
        let or_nothing = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned).unwrap_or_default();
        let needed = |value: Option<Cow<'_, str>>, name| value.map(Cow::into_owned).ok_or(RecordError::Value(name));
        let (name, version) = (or_nothing(line.policy), or_nothing(line.policy_version));
        Ok(Self {
            id: needed(line.id, "id")?,
            time: needed(line.time, "time")?,
            decision: needed(line.decision, "decision")?,
            reason: needed(line.reason, "reason")?,
            rule: line.rule.map(Cow::into_owned),
            table: line.policy_sha256.map(|hash| (name, version, hash.into_owned())),
            caller: line.caller.or(line.address).map(Cow::into_owned),
            story,
        })
    }
}

fn story(line: &Line<'_>) -> Result<Story, RecordError> {
    // What the data path refused after a rule had let it pass keeps the rule.
    let before = line.before_rules().filter(|apart| *apart != Apart::Refused || line.rule.is_none());
    Ok(match before.or_else(|| line.incomplete()) {
        Some(apart) if apart.is_incomplete() => Story::Incomplete(apart.why()),
        Some(apart) => Story::Before(apart.why()),
        None => Story::Rules(Box::new(ask(line)?)),
    })
}

fn ask(line: &Line<'_>) -> Result<Ask, RecordError> {
    let at = line.at()?;
    let conditions = line.conditions.iter().map(|(hash, truth)| (hash.clone().into_owned(), *truth));
    let conditions = Some(conditions.collect());
    Ok(Ask { caller: line.asker(at)?, request: Ok(line.request()?), at, claims: None, conditions })
}
