//! Why a request is decided as it is: what every rule wanted, beside what was asked.
//!
//! [`Ask`] is a request, from flags or from a record; [`explain`] gives the outcome and compares each rule with it, near misses first;
//! [`who_can`] and [`matrix`] turn the question around.

mod dimension;
mod matrix;
mod outcome;
mod record;
mod who_can;

use dimension::Asked;
pub use dimension::Dimension;
pub use matrix::{Cell, Matrix, matrix};
pub use outcome::{Decided, Outcome};
pub use record::{Record, Story};
pub use who_can::{Grant, Taken, Who, WhoError, who_can};

use super::jwt::{Claims, EndUser};
use super::looked::Looking;
use super::parse::{Case, case};
use super::rule::{Effect, Rule};
use super::standing::Standing;
use super::{Caller, Listeners, Part, Table, Tables, Truth, mentioned};
use crate::document::{Problem, Problems};
use crate::identity::Principal;
use crate::request::{CanonicalRequest, Malformed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

/// One request, as far as it is known.
#[derive(Debug)]
pub struct Ask {
    caller: Caller,
    request: Result<CanonicalRequest, Malformed>,
    at: SystemTime,
    /// Of a token that was verified.
    claims: Option<Claims>,
    /// The results of conditions, by their hash, where their values are not known; `None`: the values are.
    conditions: Option<BTreeMap<String, Truth>>,
}

/// What the table says to a request, and what each of its rules wanted.
#[derive(Debug)]
pub struct Explanation {
    /// How it ends.
    pub outcome: Outcome,
    /// Every rule, near misses first.
    pub rules: Vec<Compared>,
}

/// A rule, by its table and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulePlace {
    /// The table.
    pub part: Part,
    /// In file order, from 0.
    pub index: usize,
}

/// A rule beside a request.
#[derive(Debug)]
pub struct Compared {
    /// Where it stands.
    pub place: RulePlace,
    /// Its id.
    pub id: String,
    /// `allow`, `deny` or `audit`.
    pub effect: &'static str,
    /// Whether it is in shadow.
    pub is_shadow: bool,
    /// How it stands to the outcome.
    pub bearing: Bearing,
    /// Everything that it asks for, in the order in which it is looked at.
    pub dimensions: Vec<Dimension>,
}

/// How a rule stands to the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearing {
    /// It decides.
    Decides,
    /// It matches, and another rule decides.
    Matches,
    /// It does not match: this one of its dimensions is the first that keeps it from it.
    Fails(usize),
}

impl Ask {
    /// A request by the fields of a `[[case]]` with these names; each value as the command line has it.
    ///
    /// # Errors
    /// What is wrong with them, by the names of the fields.
    pub fn of_fields(fields: &[(String, Field)], tables: &Arc<Tables>, listeners: &Listeners, now: SystemTime) -> Result<Self, Problems> {
        // What a case must have beside a request. A JSON string is a TOML string, too.
        let mut text = "name = 'asked'\nexpect = 'allow'\n".to_owned();
        for (name, field) in fields {
            let _ = writeln!(text, "{name} = {}", field.toml());
        }
        let case = case("asked", &text, &tables.own().issuers, listeners, now).map_err(|problems| by_field(problems, fields))?;
        Ok(Self::of_case(&case, tables, now))
    }

    /// The request of a `[[case]]`.
    pub(super) fn of_case(case: &Case, tables: &Arc<Tables>, now: SystemTime) -> Self {
        let at = case.at.unwrap_or(now);
        let request = case.request(&mentioned(&Some(Arc::clone(tables))));
        Self { caller: case.caller(at), request, at, claims: case.claims.clone(), conditions: None }
    }

    #[cfg(test)]
    pub(super) fn of_parts(caller: Caller, request: CanonicalRequest, at: SystemTime, claims: Option<Claims>) -> Self {
        Self { caller, request: Ok(request), at, claims, conditions: None }
    }

    /// How a table stands to the caller.
    fn standing(&self, table: &Table) -> Standing {
        let rules: Vec<u32> = (0..).zip(&table.rules).map(|(index, _)| index).collect();
        let nobody = Principal::Dns("".into());
        let principal = self.caller.identity.as_ref().map_or(&nobody, |identity| &identity.principal);
        Standing::of(table, principal, &rules)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.request {
            Err(malformed) => write!(f, "cannot be read: {malformed}"),
            Ok(request) => {
                let host = request.authority.as_ref().map_or("no host", |_| request.host());
                write!(f, "{} {}, {host}, port {}", request.method, request.path(), self.caller.local_port)
            }
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone)]
pub enum Field {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Texts by names, such as header fields.
    Named(Vec<(String, String)>),
    /// What a token says, by names.
    Claims(Vec<(String, Value)>),
}

impl Field {
    fn toml(&self) -> String {
        match self {
            Self::Text(text) => json!(text).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Named(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{} = {}", json!(name), json!(value))).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
            Self::Claims(pairs) => inline(pairs.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// A JSON value as TOML writes it; what TOML has no word for is left out.
fn toml(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) => Some(format!("[{}]", items.iter().filter_map(toml).collect::<Vec<_>>().join(", "))),
        Value::Object(entries) => Some(inline(entries.iter())),
        plain => Some(plain.to_string()),
    }
}

fn inline<'v>(entries: impl Iterator<Item = (&'v String, &'v Value)>) -> String {
    let entries = entries.filter_map(|(name, value)| Some(format!("{} = {}", json!(name), toml(value)?)));
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// Problems of the text that was made of fields, which nobody has seen.
fn by_field(problems: Problems, fields: &[(String, Field)]) -> Problems {
    let named = problems.into_vec().into_iter().map(|problem| {
        let lines = problem.place.line.checked_sub(3).and_then(|index| fields.get(index));
        let field = lines.map_or_else(|| problem.place.key.clone(), |(name, _)| name.clone());
        Problem { file: format!("--{}", field.replace('_', "-")), place: crate::document::Position::default(), ..problem }
    });
    Problems::new(named.collect())
}

/// Compares a request with every rule of the tables that decide: the own one, and the one that caps it.
pub fn explain(tables: &Arc<Tables>, ask: &Ask) -> Explanation {
    let outcome = outcome::of(tables, ask);
    let Ok(request) = &ask.request else { return Explanation { outcome, rules: Vec::new() } };
    let mut rules: Vec<(Distance, Compared)> = Vec::new();
    for (part, table) in enforced(tables) {
        let (standing, user) = (ask.standing(table), EndUser::of(request, &table.issuers, ask.at, ask.claims.as_ref()));
        let asked = Asked { ask, request, standing: &standing, user: &user, looking: &Looking::default() };
        let places = (0..).zip(&table.rules).map(|(index, rule)| (RulePlace { part, index }, rule));
        rules.extend(places.map(|(place, rule)| compare(place, rule, &asked, &outcome)));
    }
    rules.sort_by_key(|(distance, _)| *distance);
    Explanation { outcome, rules: rules.into_iter().map(|(_, rule)| rule).collect() }
}

fn compare(place: RulePlace, rule: &Rule, asked: &Asked<'_>, outcome: &Outcome) -> (Distance, Compared) {
    let dimensions = dimension::compare(rule, asked);
    let distance = Distance::of(rule, asked.request.path(), &dimensions, place);
    let (id, effect) = (rule.facts.id.to_string(), rule.effect.as_str());
    let is_shadow = u32::try_from(place.index).is_ok_and(|index| asked.standing.tries(index, rule));
    let bearing = match dimensions.iter().position(|dimension| !dimension.is_enough(rule.effect)) {
        Some(first) => Bearing::Fails(first),
        None if outcome.rule == Some(place) => Bearing::Decides,
        None => Bearing::Matches,
    };
    (distance, Compared { place, id, effect, is_shadow, bearing, dimensions })
}

/// The tables whose word counts.
fn enforced(tables: &Tables) -> impl Iterator<Item = (Part, &Arc<Table>)> {
    tables.all().filter(|(part, _)| *part != Part::Candidate)
}

impl Explanation {
    /// The allow that was nearest to letting the request pass where nothing did, in the table that refused.
    pub fn nearest_allow(&self) -> Option<&Compared> {
        let missed = |rule: &&Compared| {
            let fails = matches!(rule.bearing, Bearing::Fails(_));
            rule.effect == Effect::Allow.as_str() && fails && rule.place.part == self.outcome.part
        };
        self.rules.iter().find(missed)
    }
}

/// How far a rule is from matching; less is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    failing: usize,
    /// Segments of the path beyond those that some pattern shares with it.
    segments: usize,
    place: RulePlace,
}

impl Distance {
    fn of(rule: &Rule, path: &str, dimensions: &[Dimension], place: RulePlace) -> Self {
        let failing = dimensions.iter().filter(|dimension| !dimension.is_enough(rule.effect)).count();
        let all = path.split('/').count();
        let shared = rule.paths().map(|pattern| pattern.shape().shared(path.split('/'))).max().unwrap_or_default();
        Self { failing, segments: all.saturating_sub(shared), place }
    }
}
