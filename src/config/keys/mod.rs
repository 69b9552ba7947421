//! The layer between a document and the readers of its sections: each accessor takes the default along, and writes down what is in force.

mod element;
mod value;

pub(super) use element::{Choice, DnsName, DnsPattern, Element, Host, OneOrMore, SpiffePattern, Wrong};
pub(super) use value::{Size, Value, duration};

use super::effective::Ledger;
use crate::document::{Document, Item, Position, Section};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// One table of the configuration; where it is absent, every key has its default.
pub(super) struct Keys<'d> {
    document: &'d Document<'d>,
    ledger: &'d Ledger,
    section: Option<Section<'d>>,
    path: String,
}

impl<'d> Keys<'d> {
    /// The top level.
    pub(super) fn root(document: &'d Document<'d>, ledger: &'d Ledger) -> Self {
        Self { document, ledger, section: Some(document.root()), path: String::new() }
    }

    /// The table under `key`, absent or not.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let section = self.section.as_ref().and_then(|section| section.section(key));
        Self { document: self.document, ledger: self.ledger, section, path: self.path_of(key) }
    }

    /// The table under `key`, whose absence means something.
    pub(super) fn table_if_present(&self, key: &'static str) -> Option<Self> {
        let table = self.table(key);
        if table.section.is_some() {
            self.ledger.note(self.path_of(key), "present".into(), "absent".into(), Some(self.place_of(key)));
        } else if !self.has(key) {
            self.ledger.note(self.path_of(key), "absent".into(), "absent".into(), None);
        }
        table.section.is_some().then_some(table)
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        let sections = self.section.as_ref().map(|section| section.sections(key)).unwrap_or_default();
        let keys = sections.into_iter().enumerate().map(|(index, section)| Self {
            document: self.document,
            ledger: self.ledger,
            section: Some(section),
            path: format!("{}[{index}]", self.path_of(key)),
        });
        keys.collect()
    }

    /// Whether `key` is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.section.as_ref().is_some_and(|section| section.has(key))
    }

    /// The value of `key`, or `default` where nothing is written. A wrong value is noted as a problem.
    pub(super) fn or<T: Value>(&self, key: &'static str, default: T) -> T {
        let shown = default.show();
        match self.written(key, &shown) {
            Written::Value(item) => item.value,
            Written::Wrong => default,
            Written::Nothing => {
                self.ledger.note(self.path_of(key), shown.clone(), shown, None);
                default
            }
        }
    }

    /// The value of `key`, inside `range`, or `default` where nothing is written.
    pub(super) fn within<T: Value + PartialOrd + Clone>(&self, key: &'static str, default: T, range: RangeInclusive<T>) -> T {
        let value = self.or(key, default.clone());
        if range.contains(&value) {
            return value;
        }
        let (least, most) = (range.start().show(), range.end().show());
        self.problem(key, format!("is {}", value.show()), format!("write a value from {least} to {most}"));
        default
    }

    /// The value of `key`, which must be written; `example` is a value as TOML writes it.
    pub(super) fn required<T: Value>(&self, key: &'static str, example: &str) -> Option<T> {
        match self.written(key, "required") {
            Written::Value(item) => Some(item.value),
            Written::Wrong => None,
            Written::Nothing => {
                self.problem(key, "is missing", format!("write {key} = {example}"));
                None
            }
        }
    }

    /// The value of `key`, where nothing written means that there is none.
    pub(super) fn optional<T: Value>(&self, key: &'static str) -> Option<T> {
        match self.written(key, "unset") {
            Written::Value(item) => Some(item.value),
            Written::Wrong => None,
            Written::Nothing => {
                self.ledger.note(self.path_of(key), "unset".into(), "unset".into(), None);
                None
            }
        }
    }

    /// A table of strings whose names the author chose.
    pub(super) fn map(&self, key: &'static str) -> BTreeMap<String, String> {
        let place = self.has(key).then(|| self.place_of(key));
        let entries = self.table(key).section.map(|section| section.named_strings()).unwrap_or_default();
        let map: BTreeMap<String, String> = entries.into_iter().map(|(name, value)| (name.value, value.value)).collect();
        let shown: Vec<String> = map.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
        self.ledger.note(self.path_of(key), format!("{{{}}}", shown.join(", ")), "{}".into(), place);
        map
    }

    /// Refuses keys whose feature is not built yet.
    pub(super) fn not_built(&self, keys: &[&'static str]) {
        for key in keys {
            if let Some(section) = &self.section {
                section.refuse(key, "is not built yet", "leave it out");
            }
        }
    }

    /// Notes a problem with `key`.
    pub(super) fn problem(&self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.document.report_at(self.place_of(key), what, instead);
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn close(self) {
        if let Some(section) = self.section {
            section.close();
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn place_of(&self, key: &str) -> Position {
        let missing = || Position { key: self.path_of(key), ..Position::default() };
        let written = self.section.as_ref().filter(|section| !self.path.is_empty() || section.has(key));
        written.map_or_else(missing, |section| section.document().position(&section.place_of(key)))
    }

    fn written<T: Value>(&self, key: &'static str, default: &str) -> Written<T> {
        let Some(section) = &self.section else { return Written::Nothing };
        match T::read(section, key) {
            Some(item) => {
                self.ledger.note(self.path_of(key), item.show(), default.to_owned(), Some(section.document().position(&item.place)));
                Written::Value(item)
            }
            None if section.has(key) => {
                self.ledger.forget_variables();
                Written::Wrong
            }
            None => Written::Nothing,
        }
    }
}

/// What stands under a key.
enum Written<T> {
    Value(Item<T>),
    /// Something else; the problem is noted.
    Wrong,
    Nothing,
}
