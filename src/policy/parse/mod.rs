//! Text → table. Whatever is not understood refuses the whole table, every problem at once.

mod break_glass;
mod case;
mod claims;
mod connection;
mod egress;
mod fields;
mod from;
mod grpc;
mod header;
mod issuer;
mod rule;
mod shared;
mod source;
mod tags;
mod time;
mod when;

pub(super) use case::Case;
pub(super) use connection::{Connection, ConnectionCase};
pub(super) use grpc::is_path as is_grpc_path;
pub(super) use header::decidable;

use self::time::Windows;
use super::canonical_json::{self, Said};
use super::condition::Conditions;
use super::jwt::Issuers;
use super::rule::{Details, Rule};
use super::table::Contents;
use super::{Listeners, Table, TableFacts};
use crate::document::{Document, Item, Problem, Problems, Section};
use from::Sets;
use rule::ParsedRule;
use shared::Shared;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use tags::Tagging;

/// What to write instead of a rule about traffic that is not carried.
const NOT_CARRIED: &str = "remove it from the table of a sidecar; `countersign policy` takes it";

/// The most rules, which take some 500 bytes each while they are read.
const RULES: usize = 500_000;

/// The most cases, whatever the rules.
const CASES: usize = 100_000;

/// The most rules that all cases together may look at: half a second.
const ASKED: usize = 50_000_000;

/// What everything in the text is read against.
struct Context<'a> {
    listeners: &'a Listeners,
    now: SystemTime,
    sets: Sets,
    conditions: Conditions,
    windows: Windows,
    shared: Shared,
    tags: Tagging,
    issuers: &'a Issuers,
}

/// Tests of a table.
pub(super) struct Cases {
    pub(super) requests: Vec<Case>,
    pub(super) connections: Vec<ConnectionCase>,
}

/// A table whose cases were run.
pub(super) struct Tested {
    pub(super) table: Arc<Table>,
    pub(super) cases: Cases,
    /// The cases that do not hold.
    pub(super) failed: Vec<Problem>,
}

/// Reads a table for these listeners; `file` is only what problems call it.
///
/// # Errors
/// Every problem of the text, and every `[[case]]` that does not hold.
pub fn parse(file: &str, text: &str, listeners: &Listeners) -> Result<Arc<Table>, Problems> {
    parse_at(file, text, listeners, SystemTime::now())
}

/// As [`parse`], at a given time.
pub(super) fn parse_at(file: &str, text: &str, listeners: &Listeners, now: SystemTime) -> Result<Arc<Table>, Problems> {
    let document = Document::parse(file, text)?;
    let table = read(&document, listeners, now).map(|(table, cases)| {
        cases.check(&table, now, &document);
        table
    });
    document.finish(table)
}

/// As [`parse`], where cases may fail.
pub(super) fn tested(file: &str, text: &str, listeners: &Listeners, now: SystemTime) -> Result<Tested, Problems> {
    let document = Document::parse(file, text)?;
    let Some((table, cases)) = read(&document, listeners, now) else {
        return document.finish(None);
    };
    cases.check(&table, now, &document);
    let failed = document.finish(Some(())).err().map(Problems::into_vec).unwrap_or_default();
    Ok(Tested { table, cases, failed })
}

/// Reads a text with cases alone, and runs them on `table`; gives them, and those that do not hold.
pub(super) fn cases(
    file: &str,
    text: &str,
    table: &Arc<Table>,
    listeners: &Listeners,
    now: SystemTime,
) -> Result<(Cases, Vec<Problem>), Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    let context = Context::without_rules(&table.issuers, listeners, now, Tagging::read(&root));
    let cases = Cases::read(&root, &context);
    root.close();
    if document.has_problems() {
        return document.finish(None);
    }
    cases.check(table, now, &document);
    let failed = document.finish(Some(())).err().map(Problems::into_vec).unwrap_or_default();
    Ok((cases, failed))
}

impl Cases {
    fn read(root: &Section<'_>, context: &Context<'_>) -> Self {
        let (connections, requests): (Vec<_>, Vec<_>) = root.sections("case").into_iter().partition(ConnectionCase::is);
        Self {
            requests: requests.into_iter().filter_map(|section| Case::read(section, context)).collect(),
            connections: connections.into_iter().filter_map(|section| ConnectionCase::read(section, context)).collect(),
        }
    }

    fn check(&self, table: &Arc<Table>, now: SystemTime, document: &Document<'_>) {
        self.requests.iter().for_each(|case| case.check(table, now, document));
        self.connections.iter().for_each(|case| case.check(table, now, document));
    }
}

impl<'a> Context<'a> {
    /// For what is no part of a table.
    fn without_rules(issuers: &'a Issuers, listeners: &'a Listeners, now: SystemTime, tags: Tagging) -> Self {
        let (sets, conditions, windows, shared) = (Sets::default(), Conditions::default(), Windows::default(), Shared::default());
        Self { listeners, now, sets, conditions, windows, shared, tags, issuers }
    }
}

/// Reads one request that is written as a `[[case]]` is, for a table of these issuers and listeners.
pub(super) fn case(file: &str, text: &str, issuers: &Issuers, listeners: &Listeners, now: SystemTime) -> Result<Case, Problems> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    let tags = Tagging::read(&root);
    let case = Case::read(root, &Context::without_rules(issuers, listeners, now, tags));
    document.finish(case)
}

/// The table, and the cases that travel with it; what is wrong is noted.
fn read(document: &Document<'_>, listeners: &Listeners, now: SystemTime) -> Option<(Arc<Table>, Cases)> {
    let root = document.root();
    // Another schema may mean something else by every other key.
    if !schema_is_known(&root) {
        return None;
    }
    if !size_is_bounded(&root) {
        return None;
    }
    let facts = facts(&root);
    let mode = fields::mode(&root, now);
    let percent = fields::percent(&root, mode);
    let (sets, issuers, tags) = (Sets::read(&root), issuer::read(&root), Tagging::read(&root));
    let (conditions, windows, shared) = (Conditions::default(), Windows::default(), Shared::default());
    let context = Context { listeners, now, sets, conditions, windows, issuers: &issuers, tags, shared };
    let rules = rules(&root, &context);
    let egress = egress::read(&root);
    if context.listeners.http_only && !egress.is_empty() {
        root.problem("egress", "is decided, and no connection of the service goes this way yet", NOT_CARRIED);
    }
    let cases = Cases::read(&root, &context);
    root.close();
    if document.has_problems() {
        return None;
    }
    let said = Said {
        mode,
        percent,
        name: &facts.name,
        version: &facts.version,
        sets: &context.sets.principals().collect::<Vec<_>>(),
        rules: &rules,
        egress: &egress,
        issuers: &issuers,
        cases: &cases.requests,
        connections: &cases.connections,
    };
    let facts = TableFacts { sha256: canonical_json::hash(&said), ..facts };
    let tags = context.tags.finish();
    Some((Arc::new(Table::new(Contents { facts, mode, percent, rules, egress, issuers, tags })), cases))
}

/// What of a table takes memory and time by its number.
fn size_is_bounded(root: &Section<'_>) -> bool {
    let (rules, cases) = (root.count("rule"), root.count("case"));
    if rules > RULES {
        root.problem("rule", format!("has {rules} entries, more than {RULES}"), "use sets, and patterns with {name} and **");
    }
    if cases > CASES || rules.saturating_mul(cases) > ASKED {
        let what = format!("has {cases} entries, which are too many to be asked at each load of {rules} rules");
        root.problem("case", what, "keep fewer with the table, and the others in a file of their own");
    }
    !root.document().has_problems()
}

fn schema_is_known(root: &Section<'_>) -> bool {
    match root.integer("schema") {
        Some(schema) if schema.value == 1 => return true,
        Some(schema) => root.problem("schema", format!("is {}, which this program does not read", schema.value), "write schema = 1"),
        None if root.has("schema") => {}
        None => root.problem("schema", "is missing", "write schema = 1 as the first line"),
    }
    false
}

fn facts(root: &Section<'_>) -> TableFacts {
    let name = root.str("name");
    if !root.has("name") || name.as_ref().is_some_and(|name| name.is_empty()) {
        root.problem("name", "is missing or empty", "write name = \"…\", what records call this table");
    }
    let text = |item: Option<Item<String>>| item.map(|item| item.value).unwrap_or_default();
    TableFacts { name: text(name), version: text(root.str("version")), sha256: String::new() }
}

fn rules(root: &Section<'_>, context: &Context<'_>) -> Vec<Rule> {
    let parsed: Vec<ParsedRule> = root.sections_one_by_one("rule").map(|section| rule::read(section, context)).collect();
    let mut seen: HashMap<&str, u32> = HashMap::with_capacity(parsed.len());
    for (index, rule) in (0..).zip(&parsed) {
        let Some(id) = &rule.id else { continue };
        if seen.insert(id, index).is_some() {
            let document = root.document();
            document.report(id.place.clone(), format!("`{}` is the id of an earlier rule", id.value), "give each rule an id of its own");
        }
    }
    let excepts: Vec<Box<[u32]>> = parsed.iter().map(|rule| rule.excepted(&seen, &parsed, root.document())).collect();
    let rules = parsed.into_iter().zip(excepts);
    let plain = Arc::new(Details::default());
    rules.filter_map(|(parsed, excepts)| parsed.rule.map(|draft| draft.finish(excepts, &plain))).collect()
}
