//! One table of a document, read key by key.

use super::place::Path;
use super::tree::{Id, View};
use super::{Document, Place};
use serde_json::Value;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

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
    path: Path,
    table: Id,
    at: u32,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

/// Tables and lists within each other that become JSON.
const DEPTH: usize = 80;

/// Bytes of an unknown key that is compared with known ones.
const LONGEST: usize = 64;

/// Keys that most tables know.
const KNOWN: usize = 24;

impl<'d> Section<'d> {
    pub(super) fn new(document: &'d Document<'d>, place: Place, table: Id) -> Self {
        Self { document, at: place.at, path: place.path(), table, known: RefCell::default(), refused: RefCell::default() }
    }

    /// The document that this is a part of.
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Where this table begins.
    pub fn place(&self) -> Place {
        Place::of(self.at, &self.path)
    }

    /// The dotted key of `key` inside this table.
    pub fn key(&self, key: &str) -> String {
        Place::in_table(0, &self.path, key.to_owned()).to_string()
    }

    /// The keys that stand here, known or not, in alphabetical order.
    pub fn keys(&self) -> Vec<String> {
        self.members().into_iter().map(|member| self.document.tree.key(member).to_owned()).collect()
    }

    /// Whether `key` stands here. Does not mark it as known.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// What kind of value stands under `key`, as TOML calls it: `string`, `integer`, `array`, `table` and so on. Does not mark it as known.
    pub fn kind(&self, key: &str) -> Option<&'static str> {
        self.get(key).map(|value| self.view(value).kind())
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
        let at = self.get(key).map_or(self.at, |value| self.document.tree.key_at(value));
        Place::in_table(at, &self.path, key.to_owned())
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
        let parsed = whole(self.view(value));
        if parsed.is_none() && matches!(self.view(value), View::Integer(..)) {
            self.document.report(place, "is beyond 64 bits", "write a smaller number");
            return None;
        }
        self.typed(parsed, value, place, "a whole number")
    }

    /// A number with or without a fraction.
    pub fn number(&self, key: &'static str) -> Option<Item<f64>> {
        let (value, place) = self.value(key)?;
        let parsed = match self.view(value) {
            View::Float(text) => text.replace('_', "").parse().ok(),
            number => whole(number).map(|number| number as f64),
        };
        self.typed(parsed, value, place, "a number")
    }

    /// `true` or `false`.
    pub fn bool(&self, key: &'static str) -> Option<Item<bool>> {
        let (value, place) = self.value(key)?;
        let parsed = if let View::Boolean(value) = self.view(value) { Some(value) } else { None };
        self.typed(parsed, value, place, "true or false")
    }

    /// A list of strings, each with its own place, `${NAME}` expanded. An empty list is a value.
    pub fn strings(&self, key: &'static str) -> Option<Vec<Item<String>>> {
        let items = self.list(key, "write a list of strings: [\"…\"]")?;
        let items = items.map(|(value, place)| self.text(value, &place, "a string in quotes").map(|value| Item { value, place }));
        items.collect::<Vec<_>>().into_iter().collect()
    }

    /// A list of whole numbers, each with its own place. An empty list is a value.
    pub fn integers(&self, key: &'static str) -> Option<Vec<Item<i64>>> {
        let items = self.list(key, "write a list of whole numbers: [8443]")?;
        let items = items.map(|(value, place)| self.typed(whole(self.view(value)), value, place, "a whole number"));
        items.collect::<Vec<_>>().into_iter().collect()
    }

    /// A string, or a list of strings: both give a list.
    pub fn string_or_strings(&self, key: &'static str) -> Option<Vec<Item<String>>> {
        match self.get(key).map(|value| self.view(value)) {
            Some(View::String(_)) => self.str(key).map(|item| vec![item]),
            _ => self.strings(key),
        }
    }

    /// A table under `key`, inline or with a header.
    pub fn section(&self, key: &'static str) -> Option<Section<'d>> {
        let (value, place) = self.value(key)?;
        if self.view(value) != View::Table {
            self.document.report(place, format!("is {}", with_article(self.view(value).kind())), "write a table");
            return None;
        }
        Some(Section::new(self.document, place, value))
    }

    /// A list of tables under `key` (`[[key]]`); absent is an empty list.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'d>> {
        self.sections_one_by_one(key).collect()
    }

    /// The same one at a time, for lists of a hundred thousand.
    pub fn sections_one_by_one(&self, key: &'static str) -> impl Iterator<Item = Section<'d>> {
        self.tables(key).into_iter().flatten()
    }

    /// How many values are in the list under `key`; does not mark it as known.
    pub fn count(&self, key: &str) -> usize {
        self.get(key).map_or(0, |list| self.document.tree.count(list))
    }

    /// A list of tables under `key`, which may be empty; `None` where it is absent or something else.
    pub fn sections_if_present(&self, key: &'static str) -> Option<Vec<Section<'d>>> {
        self.tables(key).map(Iterator::collect)
    }

    fn tables(&self, key: &'static str) -> Option<impl Iterator<Item = Section<'d>>> {
        let (value, place) = self.value(key)?;
        let (document, path) = (self.document, self.path.clone());
        let tree = &document.tree;
        if self.view(value) != View::List || tree.members(value).any(|item| self.view(item) != View::Table) {
            document.report(place, "is not a list of tables", format!("write [[{}]]", self.key(key)));
            return None;
        }
        let place = move |index, item| Place::in_list(tree.at(item), &path, key, index);
        Some(tree.members(value).enumerate().map(move |(index, item)| Section::new(document, place(index, item), item)))
    }

    /// The tables under this one whose names the author chose, such as `[sets.principals]`' entries: each as (name, list of strings).
    pub fn named_lists(&self) -> Vec<(Item<String>, Vec<Item<String>>)> {
        let tree = &self.document.tree;
        let mut lists = Vec::new();
        for list in self.members() {
            let name: Arc<str> = tree.key(list).into();
            let place = Place::in_table(tree.key_at(list), &self.path, &name);
            if self.view(list) != View::List {
                self.document.report(place, "is not a list", "write a list of strings: [\"…\"]");
                continue;
            }
            let mut items = Vec::new();
            for (index, item) in tree.members(list).enumerate() {
                let place = Place::in_list(tree.at(item), &self.path, &name, index);
                if let Some(value) = self.text(item, &place, "a string in quotes") {
                    items.push(Item { value, place });
                }
            }
            lists.push((Item { value: name.to_string(), place }, items));
        }
        lists
    }

    /// The string values under this table whose names the author chose, such as `labels`.
    pub fn named_strings(&self) -> Vec<(Item<String>, Item<String>)> {
        let tree = &self.document.tree;
        let mut entries = Vec::new();
        for member in self.members() {
            let name = tree.key(member).to_owned();
            let place = Place::in_table(tree.at(member), &self.path, name.clone());
            let name_place = Place::in_table(tree.key_at(member), &self.path, name.clone());
            if let Some(value) = self.text(member, &place, "a string in quotes") {
                entries.push((Item { value: name, place: name_place }, Item { value, place }));
            }
        }
        entries
    }

    /// The tables under this one whose names the author chose, such as the claims of a rule: each as (name, table). `instead` says what to write in place
    /// of what is no table.
    pub fn named_sections(&self, instead: &str) -> Vec<(Item<String>, Section<'d>)> {
        let tree = &self.document.tree;
        let mut sections = Vec::new();
        for member in self.members() {
            let name = tree.key(member).to_owned();
            let place = Place::in_table(tree.key_at(member), &self.path, name.clone());
            if self.view(member) == View::Table {
                let section = Section::new(self.document, place.clone(), member);
                sections.push((Item { value: name, place }, section));
            } else {
                self.document.report(place, format!("is {}", with_article(self.view(member).kind())), instead);
            }
        }
        sections
    }

    /// The whole table as JSON; what JSON does not have is noted as a problem.
    pub fn json(&self) -> serde_json::Map<String, Value> {
        let tree = &self.document.tree;
        let members = tree.members(self.table);
        members.filter_map(|member| Some((tree.key(member).to_owned(), self.as_json(member, DEPTH)?))).collect()
    }

    fn as_json(&self, value: Id, depth: usize) -> Option<Value> {
        let tree = &self.document.tree;
        let inner = depth.checked_sub(1);
        let json = match (self.view(value), inner) {
            (View::String(text), _) => Some(Value::from(text)),
            (View::Boolean(value), _) => Some(Value::from(value)),
            (View::Float(text), _) => text.replace('_', "").parse().ok().and_then(serde_json::Number::from_f64).map(Value::from),
            (number @ View::Integer(..), _) => whole(number).map(Value::from),
            (View::List, Some(inner)) => {
                return tree.members(value).map(|item| self.as_json(item, inner)).collect::<Option<Vec<Value>>>().map(Value::from);
            }
            (View::Table, Some(inner)) => {
                let member = |member| Some((tree.key(member).to_owned(), self.as_json(member, inner)?));
                return tree.members(value).map(member).collect::<Option<serde_json::Map<_, _>>>().map(Value::from);
            }
            (View::Datetime | View::List | View::Table, _) => None,
        };
        if json.is_none() {
            let what = if inner.is_some() { "is nothing that JSON has" } else { "is within too many others" };
            self.document.report(Place::of(tree.at(value), &self.path), what, "write a string, a number, true or false, a list or a table");
        }
        json
    }

    /// Refuses every key that no accessor asked for, with the nearest known one as the suggestion.
    pub fn close(self) {
        let known = self.known.into_inner();
        let refused = self.refused.into_inner();
        let tree = &self.document.tree;
        for member in tree.members(self.table) {
            let name = tree.key(member);
            if known.contains(&name) || refused.contains(&name) {
                continue;
            }
            let place = Place::in_table(tree.key_at(member), &self.path, name.to_owned());
            let comparable = name.len() <= LONGEST && !self.document.is_full();
            let near = known.iter().filter(|_| comparable).map(|candidate| (distance(name, candidate), *candidate));
            let nearest = near.min().filter(|(far, _)| *far <= 2);
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

    fn value(&self, key: &'static str) -> Option<(Id, Place)> {
        let mut known = self.known.borrow_mut();
        if known.is_empty() {
            known.reserve(KNOWN);
        }
        known.push(key);
        let value = self.get(key)?;
        Some((value, Place::in_table(self.document.tree.key_at(value), &self.path, key)))
    }

    /// The values of a list, each with its place.
    fn list(&self, key: &'static str, instead: &str) -> Option<impl Iterator<Item = (Id, Place)>> {
        let (value, place) = self.value(key)?;
        let tree = &self.document.tree;
        if self.view(value) != View::List {
            self.document.report(place, format!("is {}", with_article(self.view(value).kind())), instead);
            return None;
        }
        let items = tree.members(value).enumerate();
        Some(items.map(move |(index, item)| (item, Place::in_list(tree.at(item), &self.path, key, index))))
    }

    fn get(&self, key: &str) -> Option<Id> {
        self.document.tree.get(self.table, key)
    }

    fn view(&self, value: Id) -> View<'d> {
        self.document.tree.view(value)
    }

    /// What stands here, in the alphabetical order of the names.
    fn members(&self) -> Vec<Id> {
        let mut members: Vec<Id> = self.document.tree.members(self.table).collect();
        members.sort_unstable_by_key(|member| self.document.tree.key(*member));
        members
    }

    fn text(&self, value: Id, place: &Place, wanted: &str) -> Option<String> {
        let View::String(text) = self.view(value) else {
            self.document.report(place.clone(), format!("is {}", with_article(self.view(value).kind())), format!("write {wanted}"));
            return None;
        };
        match &self.document.expand {
            None => Some(text.to_owned()),
            Some(expand) => expand(text).map_err(|instead| self.document.report(place.clone(), "cannot be expanded", instead)).ok(),
        }
    }

    fn typed<T>(&self, parsed: Option<T>, value: Id, place: Place, wanted: &str) -> Option<Item<T>> {
        if parsed.is_none() {
            self.document.report(place.clone(), format!("is {}", with_article(self.view(value).kind())), format!("write {wanted}"));
        }
        parsed.map(|value| Item { value, place })
    }
}

/// A whole number of 64 bits.
fn whole(view: View<'_>) -> Option<i64> {
    let View::Integer(text, radix) = view else { return None };
    i64::from_str_radix(&text.replace('_', ""), radix).ok()
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
