//! From the parser's events to the tree. What may define what is TOML 1.0, sections "Keys", "Table", "Inline Table" and "Array of Tables".

use super::{DECODED, Id, Kind, Members, NONE, Node, Radix, Text, Tree, Value};
use std::borrow::Cow;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

/// The most values of a document, which take 40 bytes each.
pub(super) const MOST: usize = 4 << 20;

/// The most parts of a dotted key.
const PARTS: usize = 80;

/// A tree in the making.
pub(super) struct Builder<'t> {
    source: Source<'t>,
    tree: Tree<'t>,
    /// The table that the last header opened.
    table: u32,
    /// The header that is being read: where it begins, and whether it adds to a list.
    header: Option<(u32, bool)>,
    /// The key that is being read.
    keys: Vec<Key>,
    /// Open lists and inline tables, the innermost last.
    open: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    text: Text,
    at: u32,
}

impl<'t> Builder<'t> {
    pub(super) fn new(source: Source<'t>) -> Self {
        let tree = Tree::new(source.input());
        Self { source, tree, table: Tree::ROOT.0, header: None, keys: Vec::new(), open: Vec::new() }
    }

    pub(super) fn finish(self) -> Tree<'t> {
        self.tree
    }

    /// Puts a value where it stands: into the innermost list, or under the key that was read. `None`: there is no place for it, and that was reported.
    fn value(&mut self, span: Span, value: Value, errors: &mut dyn ErrorSink) -> Option<u32> {
        let at = place(span);
        let container = self.open.last().copied().unwrap_or(self.table);
        if matches!(self.tree.node(container).map(|node| node.value), Some(Value::List(..))) {
            return self.add(container, Node { key: Text::default(), key_at: at, at, next: NONE, value }, errors);
        }
        let keys = std::mem::take(&mut self.keys);
        let (key, path) = keys.split_last()?;
        let table = if self.open.is_empty() {
            self.descend(container, path, Way::Dotted, errors)
        } else {
            self.descend_inline(container, path, errors)
        }?;
        // The element of a list that headers made is no more to be reached by a key than any other table with a header.
        let reached = !path.is_empty() && matches!(self.tree.node(table).map(|node| node.value), Some(Value::Table(_, Kind::Header)));
        if reached || self.tree.get(Id(table), self.tree.text(key.text)).is_some() {
            return duplicate(*key, errors);
        }
        self.add(table, Node { key: key.text, key_at: key.at, at, next: NONE, value }, errors)
    }

    /// The table that the first parts of a key lead to, made where it is missing.
    fn descend(&mut self, mut table: u32, path: &[Key], way: Way, errors: &mut dyn ErrorSink) -> Option<u32> {
        let made = if way == Way::Dotted { Kind::Dotted } else { Kind::Implied };
        for key in path {
            let Some(Id(known)) = self.tree.get(Id(table), self.tree.text(key.text)) else {
                table = self.add(table, key.table(made), errors)?;
                continue;
            };
            table = match self.tree.node(known).map(|node| node.value)? {
                Value::List(members, true) => members.last,
                Value::Table(_, Kind::Inline | Kind::InlineDotted) => return cannot_extend("inline table", *key, errors),
                Value::Table(_, Kind::Header) if way == Way::Dotted => return duplicate(*key, errors),
                Value::Table(members, Kind::Implied) if way == Way::Dotted => {
                    self.set(known, Value::Table(members, Kind::Dotted));
                    known
                }
                Value::Table(..) => known,
                _ => return cannot_extend(self.tree.view(Id(known)).kind(), *key, errors),
            };
        }
        Some(table)
    }

    /// The same inside braces.
    fn descend_inline(&mut self, mut table: u32, path: &[Key], errors: &mut dyn ErrorSink) -> Option<u32> {
        for key in path {
            let Some(Id(known)) = self.tree.get(Id(table), self.tree.text(key.text)) else {
                table = self.add(table, key.table(Kind::InlineDotted), errors)?;
                continue;
            };
            match self.tree.node(known).map(|node| node.value)? {
                Value::Table(_, Kind::InlineDotted) => table = known,
                Value::Table(..) => return duplicate(*key, errors),
                _ => return cannot_extend(self.tree.view(Id(known)).kind(), *key, errors),
            }
        }
        Some(table)
    }

    /// Opens the table of the header that was read. Where it must not be opened again, what follows goes nowhere else.
    fn open_table(&mut self, errors: &mut dyn ErrorSink) -> Option<u32> {
        let (at, adds) = self.header.take()?;
        let keys = std::mem::take(&mut self.keys);
        let (key, path) = keys.split_last()?;
        let parent = self.descend(Tree::ROOT.0, path, Way::Header, errors)?;
        let known = self.tree.get(Id(parent), self.tree.text(key.text)).map(|Id(known)| known);
        let value = known.and_then(|known| self.tree.node(known)).map(|node| node.value);
        let node = |value| Node { key: key.text, key_at: key.at, at, next: NONE, value };
        let table = Value::Table(Members::EMPTY, Kind::Header);
        match (known, value) {
            (Some(list), Some(Value::List(_, true))) if adds => {
                self.add(list, Node { key: Text::default(), key_at: at, at, next: NONE, value: table }, errors)
            }
            (Some(known), Some(Value::Table(members, Kind::Implied))) if !adds => {
                self.set(known, Value::Table(members, Kind::Header));
                if let Some(node) = self.tree.node_mut(known) {
                    (node.key_at, node.at) = (key.at, at);
                }
                Some(known)
            }
            (None, _) if adds => {
                let list = self.add(parent, node(Value::List(Members::EMPTY, true)), errors)?;
                self.add(list, Node { key: Text::default(), key_at: at, at, next: NONE, value: table }, errors)
            }
            (None, _) => self.add(parent, node(table), errors),
            _ => duplicate(*key, errors),
        }
    }

    /// Adds a value at the end of a table or a list.
    fn add(&mut self, to: u32, node: Node, errors: &mut dyn ErrorSink) -> Option<u32> {
        let new = u32::try_from(self.tree.nodes.len()).ok().filter(|_| self.tree.nodes.len() < MOST);
        let Some(new) = new else {
            let at = usize::try_from(node.at).unwrap_or_default();
            errors.report_error(ParseError::new("more than 4194304 values").with_unexpected(Span::new_unchecked(at, at)));
            return None;
        };
        let members = self.tree.node(to).and_then(Node::members)?;
        if let Some(last) = self.tree.node_mut(members.last) {
            last.next = new;
        }
        self.tree.nodes.push(node);
        let first = if members.first == NONE { new } else { members.first };
        let members = Members { first, last: new, count: members.count.saturating_add(1) };
        match self.tree.node(to).map(|node| node.value)? {
            Value::Table(_, kind) => {
                self.set(to, Value::Table(members, kind));
                self.tree.index(to, new, members.count);
            }
            Value::List(_, by_headers) => self.set(to, Value::List(members, by_headers)),
            _ => {}
        }
        Some(new)
    }

    fn set(&mut self, number: u32, value: Value) {
        if let Some(node) = self.tree.node_mut(number) {
            node.value = value;
        }
    }

    /// Keeps a text as it is meant. Where that is a part of the source, the distance of their beginnings is its place there.
    fn keep(&mut self, decoded: &str) -> Text {
        let len = u32::try_from(decoded.len()).unwrap_or_default();
        let at = decoded.as_ptr().addr().wrapping_sub(self.source.input().as_ptr().addr());
        if self.source.input().get(at..).is_some_and(|rest| rest.starts_with(decoded)) {
            return Text { at: u32::try_from(at).unwrap_or_default(), len };
        }
        let at = u32::try_from(self.tree.decoded.len()).unwrap_or_default();
        self.tree.decoded.push_str(decoded);
        Text { at: at | DECODED, len }
    }

    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Raw<'t> {
        Raw::new_unchecked(self.source.input().get(span.start()..span.end()).unwrap_or_default(), encoding, span)
    }

    fn begin_header(&mut self, span: Span, adds: bool) {
        self.keys.clear();
        self.open.clear();
        self.header = Some((place(span), adds));
    }

    fn end_header(&mut self, errors: &mut dyn ErrorSink) {
        // What stands under a header that cannot be has no place.
        self.table = self.open_table(errors).unwrap_or(NONE);
    }
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.begin_header(span, false);
    }

    fn std_table_close(&mut self, _: Span, errors: &mut dyn ErrorSink) {
        self.end_header(errors);
    }

    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.begin_header(span, true);
    }

    fn array_table_close(&mut self, _: Span, errors: &mut dyn ErrorSink) {
        self.end_header(errors);
    }

    fn inline_table_open(&mut self, span: Span, errors: &mut dyn ErrorSink) -> bool {
        let table = self.value(span, Value::Table(Members::EMPTY, Kind::Inline), errors);
        self.open.push(table.unwrap_or(NONE));
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn array_open(&mut self, span: Span, errors: &mut dyn ErrorSink) -> bool {
        let list = self.value(span, Value::List(Members::EMPTY, false), errors);
        self.open.push(list.unwrap_or(NONE));
        true
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        if self.keys.len() >= PARTS {
            errors.report_error(ParseError::new("a key of more than 80 parts").with_unexpected(span));
            return;
        }
        let mut decoded = Cow::Borrowed("");
        self.raw(span, encoding).decode_key(&mut decoded, errors);
        let text = self.keep(&decoded);
        self.keys.push(Key { text, at: place(span) });
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let mut decoded = Cow::Borrowed("");
        let kind = self.raw(span, encoding).decode_scalar(&mut decoded, errors);
        let value = match kind {
            ScalarKind::String => Value::String(self.keep(&decoded)),
            ScalarKind::Boolean(value) => Value::Boolean(value),
            ScalarKind::DateTime => Value::Datetime,
            ScalarKind::Float => Value::Float(self.keep(&decoded)),
            ScalarKind::Integer(radix) => Value::Integer(self.keep(&decoded), Radix(u8::try_from(radix.value()).unwrap_or_default())),
        };
        self.value(span, value, errors);
    }

    fn value_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.keys.clear();
    }

    fn newline(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if self.open.is_empty() {
            self.keys.clear();
        }
    }
}

/// Who looks for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A header.
    Header,
    /// A key with dots.
    Dotted,
}

impl Key {
    /// A table with this name.
    fn table(self, kind: Kind) -> Node {
        Node { key: self.text, key_at: self.at, at: self.at, next: NONE, value: Value::Table(Members::EMPTY, kind) }
    }

    fn span(self) -> Span {
        let at = usize::try_from(self.at).unwrap_or_default();
        Span::new_unchecked(at, at)
    }
}

fn place(span: Span) -> u32 {
    u32::try_from(span.start()).unwrap_or_default()
}

fn duplicate<T>(key: Key, errors: &mut dyn ErrorSink) -> Option<T> {
    errors.report_error(ParseError::new("duplicate key").with_unexpected(key.span()));
    None
}

fn cannot_extend<T>(kind: &str, key: Key, errors: &mut dyn ErrorSink) -> Option<T> {
    let what = format!("cannot extend value of type {kind} with a dotted key");
    errors.report_error(ParseError::new(what).with_unexpected(key.span()));
    None
}
