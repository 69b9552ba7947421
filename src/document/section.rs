//! One table of a document, read key by key.

use super::{Document, Place};
use serde_json::Value;
use std::cell::RefCell;
use std::ops::Deref;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A value together with where it stands.
#[derive(Debug, Clone)]
pub struct Item<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Item<T> {
    /// The same place with another value.
    pub fn with<U>(self, value: U) -> Item<U> {
        Item { value, place: self.place }
    }
}

impl<T> Deref for Item<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One table of a document. Every accessor marks its key as known and, if the value has the wrong type, notes a problem and returns `None`.
pub struct Section<'d> {
    document: &'d Document<'d>,
    path: String,
    table: &'d DeTable<'d>,
    offset: usize,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(document: &'d Document<'d>, path: String, table: &'d DeTable<'d>, offset: usize) -> Self {
        Self { document, path, table, offset, known: RefCell::default(), refused: RefCell::default() }
    }

    /// The document that this is a part of.
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Where this table begins.
    pub fn place(&self) -> Place {
        self.document.place(self.offset, self.path.clone())
    }

    /// The dotted key of `key` inside this table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The keys that stand here, known or not, in alphabetical order.
    pub fn keys(&self) -> Vec<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Whether `key` stands here. Does not mark it as known.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// What kind of value stands under `key`, as TOML calls it: `string`, `integer`, `array`, `table` and so on. Does not mark it as known.
    pub fn kind(&self, key: &str) -> Option<&'static str> {
        self.table.get(key).map(|value| value.get_ref().type_str())
    }

    /// Notes a problem with `key` if it stands here. It is then neither an unknown key nor ever suggested as a known one.
    pub fn refuse(&self, key: &'static str, what: &str, instead: &str) {
        if self.has(key) {
            self.refused.borrow_mut().push(key);
            self.problem(key, what, instead);
        }
    }

    /// Where `key` stands, or the table's beginning when it does not.
    pub fn place_of(&self, key: &str) -> Place {
        let offset = self.table.get_key_value(key).map_or(self.offset, |(key, _)| key.span().start);
        self.document.place(offset, self.key(key))
    }

    /// Notes a problem with `key`.
    pub fn problem(&self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.document.report(self.place_of(key), what, instead);
    }

    /// A string, `${NAME}` expanded.
    pub fn str(&self, key: &'static str) -> Option<Item<String>> {
        let (value, place) = self.value(key)?;
        self.text(value, &place, "a string in quotes").map(|value| Item { value, place })
    }

    /// A whole number.
    pub fn integer(&self, key: &'static str) -> Option<Item<i64>> {
        let (value, place) = self.value(key)?;
        let parsed = value.as_integer().and_then(|n| i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok());
        if parsed.is_none() && value.as_integer().is_some() {
            self.document.report(place, "is beyond 64 bits", "write a smaller number");
            return None;
        }
        self.typed(parsed, value, place, "a whole number")
    }

    /// A number with or without a fraction.
    pub fn number(&self, key: &'static str) -> Option<Item<f64>> {
        let (value, place) = self.value(key)?;
        let parsed = match value {
            DeValue::Float(n) => n.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(n) => i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok().map(|n| n as f64),
            _ => None,
        };
        self.typed(parsed, value, place, "a number")
    }

    /// `true` or `false`.
    pub fn bool(&self, key: &'static str) -> Option<Item<bool>> {
        let (value, place) = self.value(key)?;
        self.typed(value.as_bool(), value, place, "true or false")
    }

    /// A list of strings, each with its own place, `${NAME}` expanded. An empty list is a value.
    pub fn strings(&self, key: &'static str) -> Option<Vec<Item<String>>> {
        let (value, place) = self.value(key)?;
        let Some(array) = value.as_array() else {
            self.document.report(place, format!("is {}", with_article(value.type_str())), "write a list of strings: [\"…\"]");
            return None;
        };
        let items = array.iter().enumerate().map(|(index, item)| {
            let place = self.document.place(item.span().start, format!("{}[{index}]", self.key(key)));
            self.text(item.get_ref(), &place, "a string in quotes").map(|value| Item { value, place })
        });
        items.collect::<Vec<_>>().into_iter().collect()
    }

    /// A list of whole numbers, each with its own place. An empty list is a value.
    pub fn integers(&self, key: &'static str) -> Option<Vec<Item<i64>>> {
        let (value, place) = self.value(key)?;
        let Some(array) = value.as_array() else {
            self.document.report(place, format!("is {}", with_article(value.type_str())), "write a list of whole numbers: [8443]");
            return None;
        };
        let items = array.iter().enumerate().map(|(index, item)| {
            let place = self.document.place(item.span().start, format!("{}[{index}]", self.key(key)));
            let parsed = item.get_ref().as_integer().and_then(|n| i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok());
            self.typed(parsed, item.get_ref(), place, "a whole number")
        });
        items.collect::<Vec<_>>().into_iter().collect()
    }

    /// A string, or a list of strings: both give a list.
    pub fn string_or_strings(&self, key: &'static str) -> Option<Vec<Item<String>>> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(_)) => self.str(key).map(|item| vec![item]),
            _ => self.strings(key),
        }
    }

    /// A table under `key`, inline or with a header.
    pub fn section(&self, key: &'static str) -> Option<Section<'d>> {
        let (value, place) = self.value(key)?;
        match value.as_table() {
            Some(table) => Some(Section::new(self.document, self.key(key), table, self.offset_of(key))),
            None => {
                self.document.report(place, format!("is {}", with_article(value.type_str())), "write a table");
                None
            }
        }
    }

    /// A list of tables under `key` (`[[key]]`); absent is an empty list.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'d>> {
        self.sections_if_present(key).unwrap_or_default()
    }

    /// A list of tables under `key`, which may be empty; `None` where it is absent or something else.
    pub fn sections_if_present(&self, key: &'static str) -> Option<Vec<Section<'d>>> {
        let (value, place) = self.value(key)?;
        let tables = value.as_array().map(|array| {
            array.iter().enumerate().map(|(index, item)| {
                let path = format!("{}[{index}]", self.key(key));
                item.get_ref().as_table().map(|table| Section::new(self.document, path, table, item.span().start))
            })
        });
        match tables.and_then(|tables| tables.collect::<Option<Vec<_>>>()) {
            Some(sections) => Some(sections),
            None => {
                self.document.report(place, "is not a list of tables", format!("write [[{}]]", self.key(key)));
                None
            }
        }
    }

    /// The tables under this one whose names the author chose, such as `[sets.principals]`' entries: each as (name, list of strings).
    pub fn named_lists(&self) -> Vec<(Item<String>, Vec<Item<String>>)> {
        let mut lists = Vec::new();
        for (name, value) in self.table {
            let key = self.key(name.get_ref());
            let place = self.document.place(name.span().start, key.clone());
            let Some(array) = value.get_ref().as_array() else {
                self.document.report(place, "is not a list", "write a list of strings: [\"…\"]");
                continue;
            };
            let mut items = Vec::new();
            for (index, item) in array.iter().enumerate() {
                let place = self.document.place(item.span().start, format!("{key}[{index}]"));
                if let Some(value) = self.text(item.get_ref(), &place, "a string in quotes") {
                    items.push(Item { value, place });
                }
            }
            lists.push((Item { value: name.get_ref().to_string(), place }, items));
        }
        lists
    }

    /// The string values under this table whose names the author chose, such as `labels`.
    pub fn named_strings(&self) -> Vec<(Item<String>, Item<String>)> {
        let mut entries = Vec::new();
        for (name, value) in self.table {
            let place = self.document.place(value.span().start, self.key(name.get_ref()));
            let name_place = self.document.place(name.span().start, self.key(name.get_ref()));
            if let Some(value) = self.text(value.get_ref(), &place, "a string in quotes") {
                entries.push((Item { value: name.get_ref().to_string(), place: name_place }, Item { value, place }));
            }
        }
        entries
    }

    /// The tables under this one whose names the author chose, such as the claims of a rule: each as (name, table). `instead` says what to write in place
    /// of what is no table.
    pub fn named_sections(&self, instead: &str) -> Vec<(Item<String>, Section<'d>)> {
        let mut sections = Vec::new();
        for (name, value) in self.table {
            let key = self.key(name.get_ref());
            let place = self.document.place(name.span().start, key.clone());
            match value.get_ref().as_table() {
                Some(table) => {
                    let section = Section::new(self.document, key, table, name.span().start);
                    sections.push((Item { value: name.get_ref().to_string(), place }, section));
                }
                None => self.document.report(place, format!("is {}", with_article(value.get_ref().type_str())), instead),
            }
        }
        sections
    }

    /// The whole table as JSON; what JSON does not have is noted as a problem.
    pub fn json(&self) -> serde_json::Map<String, Value> {
        let members = self.table.iter();
        members.filter_map(|(name, value)| Some((name.get_ref().to_string(), self.as_json(value)?))).collect()
    }

    fn as_json(&self, value: &'d Spanned<DeValue<'d>>) -> Option<Value> {
        let json = match value.get_ref() {
            DeValue::String(text) => Some(Value::from(&**text)),
            DeValue::Boolean(value) => Some(Value::from(*value)),
            DeValue::Integer(n) => i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok().map(Value::from),
            DeValue::Float(n) => n.as_str().replace('_', "").parse().ok().and_then(serde_json::Number::from_f64).map(Value::from),
            DeValue::Array(items) => items.iter().map(|item| self.as_json(item)).collect::<Option<Vec<Value>>>().map(Value::from),
            DeValue::Table(table) => {
                let member = |(name, value): (&'d Spanned<_>, _)| Some((DeString::to_string(name.get_ref()), self.as_json(value)?));
                table.iter().map(member).collect::<Option<serde_json::Map<_, _>>>().map(Value::from)
            }
            DeValue::Datetime(_) => None,
        };
        if json.is_none() && !matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
            let place = self.document.place(value.span().start, self.path.clone());
            self.document.report(place, "is nothing that JSON has", "write a string, a number, true or false, a list or a table");
        }
        json
    }

    /// Refuses every key that no accessor asked for, with the nearest known one as the suggestion.
    pub fn close(self) {
        let known = self.known.into_inner();
        let refused = self.refused.into_inner();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if known.contains(&name) || refused.contains(&name) {
                continue;
            }
            let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            let place = self.document.place(key.span().start, path);
            let nearest = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min().filter(|(far, _)| *far <= 2);
            let instead = match nearest {
                Some((_, candidate)) => format!("did you mean `{candidate}`?"),
                None => {
                    let mut list = known.clone();
                    list.sort_unstable();
                    list.dedup();
                    format!("known here: {}", list.join(", "))
                }
            };
            self.document.report(place, "unknown key", instead);
        }
    }

    fn value(&self, key: &'static str) -> Option<(&'d DeValue<'d>, Place)> {
        self.known.borrow_mut().push(key);
        let (name, value) = self.table.get_key_value(key)?;
        Some((value.get_ref(), self.document.place(name.span().start, self.key(key))))
    }

    fn offset_of(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.offset, |(key, _)| key.span().start)
    }

    fn text(&self, value: &DeValue<'d>, place: &Place, wanted: &str) -> Option<String> {
        let Some(text) = value.as_str() else {
            self.document.report(place.clone(), format!("is {}", with_article(value.type_str())), format!("write {wanted}"));
            return None;
        };
        match &self.document.expand {
            None => Some(text.to_owned()),
            Some(expand) => expand(text).map_err(|instead| self.document.report(place.clone(), "cannot be expanded", instead)).ok(),
        }
    }

    fn typed<T>(&self, parsed: Option<T>, value: &DeValue<'d>, place: Place, wanted: &str) -> Option<Item<T>> {
        match parsed {
            Some(value) => Some(Item { value, place }),
            None => {
                self.document.report(place, format!("is {}", with_article(value.type_str())), format!("write {wanted}"));
                None
            }
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Levenshtein distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.chars().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let left = row.get(j).copied().unwrap_or(0);
            let best = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = best;
            }
        }
    }
    row.last().copied().unwrap_or(0)
}
