//! A TOML text as a tree that takes 40 bytes a value: tables of the policy have a million of them.
//!
//! The `toml` crate's own tree takes forty times its text, and a third of a second more for what [`build`] makes of the same events of its parser.

mod build;
mod read;
#[cfg(test)]
mod tests;

pub(super) use read::{Wrong, parse};

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// Members of a table that are found by comparing; of larger ones each has a place in the index.
const FEW: u32 = 16;

/// No node.
const NONE: u32 = u32::MAX;

/// A value, by its number in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// The values of a document.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    source: &'t str,
    /// The texts that are not in the source as they are meant: with escapes, or underscores.
    decoded: String,
    nodes: Vec<Node>,
    /// The members of large tables, by table and key.
    index: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
}

/// A value and its place.
#[derive(Debug)]
struct Node {
    /// Its name in its table; empty in a list.
    key: Text,
    /// Where its name begins, or in a list the value, in bytes.
    key_at: u32,
    /// Where it begins, in bytes.
    at: u32,
    /// What comes after it in its table or list.
    next: u32,
    value: Value,
}

/// A text: where it begins, in the source or, beyond [`DECODED`], in what was decoded; and its bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    at: u32,
    len: u32,
}

/// Texts of more bytes than this are no documents.
const DECODED: u32 = 1 << 31;

#[derive(Debug, Clone, Copy)]
enum Value {
    String(Text),
    Integer(Text, Radix),
    Float(Text),
    Boolean(bool),
    /// Of which nobody here takes one: whether there is such a day is not looked at.
    Datetime,
    Table(Members, Kind),
    /// Whether headers made it, `[[…]]`.
    List(Members, bool),
}

/// The base of a written number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Radix(u8);

/// What is in a table or a list.
#[derive(Debug, Clone, Copy)]
struct Members {
    first: u32,
    last: u32,
    count: u32,
}

/// How a table came to be, which says what may be added to it (TOML 1.0, "Table").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By a header of its own, or as the document.
    Header,
    /// By the header of a table in it.
    Implied,
    /// By a dotted key.
    Dotted,
    /// By braces.
    Inline,
    /// By a dotted key inside braces.
    InlineDotted,
}

/// A value, to look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum View<'t> {
    String(&'t str),
    /// As written, without underscores, and its base.
    Integer(&'t str, u32),
    Float(&'t str),
    Boolean(bool),
    Datetime,
    Table,
    List,
}

impl View<'_> {
    /// What TOML calls it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Integer(..) => "integer",
            Self::Float(_) => "float",
            Self::Boolean(_) => "boolean",
            Self::Datetime => "datetime",
            Self::Table => "table",
            Self::List => "array",
        }
    }
}

impl<'t> Tree<'t> {
    /// The document's top level.
    pub(super) const ROOT: Id = Id(0);

    fn new(source: &'t str) -> Self {
        let (index, hasher) = (HashTable::new(), DefaultHashBuilder::default());
        let root = Node { key: Text::default(), key_at: 0, at: 0, next: NONE, value: Value::Table(Members::EMPTY, Kind::Header) };
        Self { source, decoded: String::new(), nodes: vec![root], index, hasher }
    }

    /// The value itself.
    pub(super) fn view(&self, id: Id) -> View<'_> {
        match self.node(id.0).map(|node| node.value) {
            Some(Value::String(text)) => View::String(self.text(text)),
            Some(Value::Integer(text, Radix(radix))) => View::Integer(self.text(text), u32::from(radix)),
            Some(Value::Float(text)) => View::Float(self.text(text)),
            Some(Value::Boolean(value)) => View::Boolean(value),
            Some(Value::Datetime) | None => View::Datetime,
            Some(Value::Table(..)) => View::Table,
            Some(Value::List(..)) => View::List,
        }
    }

    /// Its name in its table.
    pub(super) fn key(&self, id: Id) -> &str {
        self.node(id.0).map_or("", |node| self.text(node.key))
    }

    /// Where its name begins, or in a list itself, in bytes.
    pub(super) fn key_at(&self, id: Id) -> u32 {
        self.node(id.0).map_or(0, |node| node.key_at)
    }

    /// Where it begins, in bytes.
    pub(super) fn at(&self, id: Id) -> u32 {
        self.node(id.0).map_or(0, |node| node.at)
    }

    /// What is in a table or a list, in the order of the text.
    pub(super) fn members(&self, id: Id) -> impl Iterator<Item = Id> {
        let first = self.node(id.0).and_then(Node::members).map_or(NONE, |members| members.first);
        std::iter::successors(self.node(first).map(|_| Id(first)), |id| {
            let next = self.node(id.0)?.next;
            self.node(next).map(|_| Id(next))
        })
    }

    /// How much is in a table or a list.
    pub(super) fn count(&self, id: Id) -> usize {
        let count = self.node(id.0).and_then(Node::members).map_or(0, |members| members.count);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// A member of a table by its name.
    pub(super) fn get(&self, table: Id, key: &str) -> Option<Id> {
        let count = self.node(table.0).and_then(Node::members)?.count;
        if count <= FEW {
            return self.members(table).find(|member| self.key(*member) == key);
        }
        let hash = self.hasher.hash_one((table.0, key));
        self.index.find(hash, |(of, member)| *of == table.0 && self.key(Id(*member)) == key).map(|(_, member)| Id(*member))
    }

    /// Takes note of a new member of a table: the one after the first few brings these into the index too.
    fn index(&mut self, table: u32, new: u32, count: u32) {
        let members: Vec<u32> = match count {
            0..=FEW => return,
            count if count == FEW + 1 => self.members(Id(table)).map(|Id(member)| member).collect(),
            _ => vec![new],
        };
        for member in members {
            let hash = self.hasher.hash_one((table, self.key(Id(member))));
            let Self { index, nodes, source, decoded, hasher } = self;
            let key =
                |member: u32| nodes.get(usize::try_from(member).unwrap_or(usize::MAX)).map_or("", |node| text(source, decoded, node.key));
            index.insert_unique(hash, (table, member), |(of, member)| hasher.hash_one((*of, key(*member))));
        }
    }

    fn node_mut(&mut self, number: u32) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(number).ok()?)
    }

    fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(number).ok()?)
    }

    fn text(&self, text: Text) -> &str {
        self::text(self.source, &self.decoded, text)
    }
}

fn text<'t>(source: &'t str, decoded: &'t str, text: Text) -> &'t str {
    let (from, source) = if text.at < DECODED { (text.at, source) } else { (text.at - DECODED, decoded) };
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let to = usize::try_from(text.len).ok().and_then(|len| from.checked_add(len));
    to.and_then(|to| source.get(from..to)).unwrap_or_default()
}

impl Members {
    const EMPTY: Self = Self { first: NONE, last: NONE, count: 0 };
}

impl Node {
    fn members(&self) -> Option<Members> {
        match self.value {
            Value::Table(members, _) | Value::List(members, _) => Some(members),
            _ => None,
        }
    }
}
