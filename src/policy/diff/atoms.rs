//! What a decision hangs on beside who asks for what. Opaque: each is told apart by its text, and tried with every value that it may have.

use crate::policy::condition::Conditional;
use crate::policy::rule::Rule;
use crate::policy::standing::Percent;
use crate::policy::{Truth, moment};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// One thing that decisions hang on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    /// A condition.
    Condition {
        /// As records call it.
        name: Box<str>,
        /// Its canonical text.
        text: Box<str>,
        /// Of one about a token: whose tokens the table believes.
        issuers: Option<u32>,
    },
    /// Which of a hundred parts of all identities, as `enforce_percent` of what is called so takes them, the caller is in.
    Share(Box<str>),
    /// When.
    Hour,
}

/// What a rule asks of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Want {
    pub(super) atom: u32,
    /// Of a condition none: it must hold. Otherwise what the value must be below: percents, or nanoseconds of Unix time.
    pub(super) below: Option<u128>,
}

/// The value of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Of a condition.
    Truth(Truth),
    /// Below this, and not below any smaller mark that some rule at hand has.
    Below(u128),
    /// Not below any such mark.
    Above,
}

impl Value {
    /// Whether what is wanted holds.
    pub(super) fn holds(self, want: Want) -> Truth {
        match (self, want.below) {
            (Self::Truth(truth), _) => truth,
            (Self::Below(mark), Some(below)) => (mark <= below).into(),
            (Self::Above | Self::Below(_), _) => Truth::False,
        }
    }
}

/// All atoms of both sides, each once and by a number.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    all: Vec<Atom>,
    numbers: HashMap<Atom, u32>,
    /// By where the condition is: rules share it.
    conditions: HashMap<(*const Conditional, Option<u32>), u32>,
}

impl Atoms {
    /// Everything that a rule asks for beside who, where and for what.
    pub(super) fn wants(&mut self, rule: &Rule, issuers: u32) -> Box<[Want]> {
        let mut wants: Vec<Want> =
            rule.conditions.iter().map(|condition| Want { atom: self.condition(condition, issuers), below: None }).collect();
        wants.extend(self.share(rule.percent, &rule.facts.id));
        wants.extend(rule.expires.map(|end| Want { atom: self.number(Atom::Hour), below: Some(nanos(end)) }));
        wants.sort_unstable();
        wants.dedup();
        wants.into()
    }

    /// What a percentage asks for; `None`: nothing.
    pub(super) fn share(&mut self, percent: Percent, name: &str) -> Option<Want> {
        let below = Some(u128::from(percent.get()));
        (percent != Percent::ALL).then(|| Want { atom: self.number(Atom::Share(name.into())), below })
    }

    fn condition(&mut self, condition: &Conditional, issuers: u32) -> u32 {
        let issuers = condition.asks_a_token().then_some(issuers);
        let place = (std::ptr::from_ref(condition), issuers);
        if let Some(known) = self.conditions.get(&place) {
            return *known;
        }
        let text = ordered(condition.json()).to_string();
        let number = self.number(Atom::Condition { name: condition.facts().name.clone(), text: text.into(), issuers });
        self.conditions.insert(place, number);
        number
    }

    fn number(&mut self, atom: Atom) -> u32 {
        let new = super::words::index(self.all.len());
        *self.numbers.entry(atom).or_insert_with_key(|atom| {
            self.all.push(atom.clone());
            new
        })
    }

    /// Of a condition of a table with these issuers, and what else was numbered before; `None`: it was not.
    pub(super) fn known(&self, condition: &Conditional, issuers: u32) -> Option<u32> {
        self.conditions.get(&(std::ptr::from_ref(condition), condition.asks_a_token().then_some(issuers))).copied()
    }

    /// The number of a share or of the hour.
    pub(super) fn known_dial(&self, atom: &Atom) -> Option<u32> {
        self.numbers.get(atom).copied()
    }

    /// The atom with a number.
    pub(super) fn atom(&self, number: u32) -> Option<&Atom> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// Whether the result of a condition, or of a percentage, is all that is known of it. The hour is the same for all rules and always known.
    pub(super) fn is_opaque(&self, number: u32) -> bool {
        !matches!(self.atom(number), Some(Atom::Hour))
    }

    /// What it says that an atom has a value.
    pub(super) fn said(&self, number: u32, value: Value) -> String {
        match (self.atom(number), value) {
            (Some(Atom::Condition { text, .. }), Value::Truth(truth)) => {
                let how = match truth {
                    Truth::True => "holds",
                    Truth::False => "does not hold",
                    Truth::Unknown => "cannot be told",
                };
                format!("{text} {how}")
            }
            (Some(Atom::Share(name)), Value::Below(mark)) => format!("the caller is among the {mark} % of `{name}`"),
            (Some(Atom::Share(name)), _) => format!("the caller is not among those that `{name}` is enforced for"),
            (Some(Atom::Hour), Value::Below(mark)) => format!("it is before {}", written(mark)),
            (Some(Atom::Hour), _) => "every rule here that ends has ended".to_owned(),
            _ => String::new(),
        }
    }
}

/// The time of an end, as marks have it.
pub(super) fn nanos(end: SystemTime) -> u128 {
    end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn written(mark: u128) -> String {
    let after = u64::try_from(mark).map_or(Duration::MAX, Duration::from_nanos);
    SystemTime::UNIX_EPOCH.checked_add(after).map(moment::format).unwrap_or_default()
}

/// The text of a condition where lists of which one member is enough are in order.
fn ordered(value: Json) -> Json {
    let Json::Object(entries) = value else { return value };
    let entries = entries.into_iter().map(|(key, value)| match (key.as_str(), value) {
        ("in" | "any", Json::Array(mut members)) => {
            members.sort_by_cached_key(Json::to_string);
            members.dedup();
            (key, Json::Array(members))
        }
        (_, value) => (key, ordered(value)),
    });
    Json::Object(entries.collect())
}
