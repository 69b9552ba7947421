//! `time` of a rule.

use super::fields::{each, list};
use crate::document::Section;
use crate::policy::condition::{Between, Days, TimeTest, Zone};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The most windows of a table that differ: all of them are asked when the next one begins or ends.
const MOST: usize = 1_024;

/// The windows of a table, each once.
#[derive(Debug, Default)]
pub(super) struct Windows(RefCell<HashMap<String, Arc<TimeTest>>>);

/// Reads the condition; what is wrong is noted.
pub(super) fn read(when: &Section<'_>, windows: &Windows) -> Option<Arc<TimeTest>> {
    let section = when.section("time")?;
    let zone = zone(&section);
    let days = days(&section);
    let between = between(&section);
    if !section.has("days") && !section.has("between") {
        when.problem("time", "is always", "add days = \"mon-fri\" or between = [\"06:00\", \"20:00\"]");
    }
    section.close();
    let test = TimeTest::new(zone?, days?, between?);
    let mut known = windows.0.borrow_mut();
    if known.len() >= MOST {
        when.problem("time", "is one of more than 1024 different windows", "let rules have windows in common");
        return None;
    }
    Some(Arc::clone(known.entry(test.json().to_string()).or_insert_with(|| Arc::new(test))))
}

fn zone(section: &Section<'_>) -> Option<Zone> {
    if !section.has("tz") {
        section.problem("tz", "is missing", "write tz = \"UTC\", or the name of a time zone such as \"Europe/Berlin\"");
    }
    let wrong = || ("is no time zone".to_owned(), "write \"UTC\", or a name of the IANA database such as \"Europe/Berlin\"".to_owned());
    section.str("tz").and_then(|item| each(section, item, |text| Zone::named(text).ok_or_else(wrong)))
}

fn days(section: &Section<'_>) -> Option<Days> {
    const INSTEAD: &str = "write \"mon-fri\", or a list of mon, tue, wed, thu, fri, sat, sun and such ranges";
    let Some(items) = section.string_or_strings("days") else { return (!section.has("days")).then_some(Days::EVERY) };
    if items.is_empty() {
        section.problem("days", "is an empty list", INSTEAD);
    }
    let wrong = || ("is no day of the week".to_owned(), INSTEAD.to_owned());
    let read = items.into_iter().map(|item| each(section, item, |text| Days::parse(text).ok_or_else(wrong))).collect::<Vec<_>>();
    read.into_iter().reduce(|all, days| Some(all?.and(days?)))?
}

/// `Some(None)`: the whole day.
fn between(section: &Section<'_>) -> Option<Option<Between>> {
    const INSTEAD: &str = "write between = [\"06:00\", \"20:00\"]; the second time is not in it any more";
    let Some(items) = list(section, "between", INSTEAD) else { return (!section.has("between")).then_some(None) };
    let wrong = || ("is no time of the day".to_owned(), "write it as in \"06:00\", up to \"24:00\"".to_owned());
    let minutes = items.into_iter().map(|item| each(section, item, |text| Between::minute(text).ok_or_else(wrong)));
    let minutes: Vec<u16> = minutes.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    let between = match minutes.as_slice() {
        [from, to] => Between::new(*from, *to),
        _ => None,
    };
    if between.is_none() {
        section.problem("between", "is not from one time to another", INSTEAD);
    }
    between.map(Some)
}
