//! The paths of one caller, method and host, as few as they can be told by: siblings of one class become one placeholder.

use super::class::Class;
use super::evidence::Evidence;
use crate::policy::pattern::{PathPattern, segments};
use std::collections::BTreeMap;

/// Different values of one class at one place that make a placeholder.
const VALUES: usize = 8;

/// Different words at one place that are told apart. Beyond, they are values of something that has no class.
pub(super) const WORDS: usize = 256;

/// The most segments of a path that is learnt.
const DEPTH: usize = 128;

/// One place in paths.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Requests whose path ends here.
    here: Option<Evidence>,
    /// By what the next segment is.
    words: BTreeMap<Box<str>, Node>,
    /// By what the next segment looks like.
    classes: BTreeMap<Class, Node>,
    /// Requests that went on with one of too many words; `None`: all are told apart.
    crowd: Option<u64>,
}

/// The nodes of somebody's paths, and the most of them.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) taken: usize,
    pub(super) most: usize,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is learnt.
    Learnt,
    /// It went on with one of too many words; the place counts it.
    Crowded,
    /// There is no room for it.
    Full,
    /// No pattern is written like it.
    Unwritable,
}

/// Where a segment leads.
enum Next {
    Word,
    Class(Class),
    Nowhere(Added),
}

/// A path as a table writes it, with what is known of it.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) pattern: String,
    pub(super) evidence: Evidence,
}

/// A place where too many words follow.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) pattern: String,
    pub(super) requests: u64,
}

impl Node {
    /// Adds one request with this canonical path.
    pub(super) fn add(&mut self, path: &str, evidence: impl FnOnce(&mut Option<Evidence>), room: &mut Room) -> Added {
        if segments(path).count() > DEPTH {
            return Added::Unwritable;
        }
        let mut node = self;
        for segment in segments(path) {
            let next = match node.next(segment, room) {
                Next::Nowhere(added) => return added,
                Next::Class(class) => node.classes.get_mut(&class),
                Next::Word => node.words.get_mut(segment),
            };
            let Some(next) = next else { return Added::Full };
            node = next;
        }
        evidence(&mut node.here);
        Added::Learnt
    }

    fn next(&mut self, segment: &str, room: &mut Room) -> Next {
        if let Some(class) = self.class_of(segment) {
            return Next::Class(class);
        }
        if self.words.contains_key(segment) {
            return Next::Word;
        }
        let class = Class::of(segment);
        if let Some(crowd) = self.crowd.as_mut().filter(|_| class.is_none()) {
            *crowd += 1;
            return Next::Nowhere(Added::Crowded);
        }
        if room.taken >= room.most {
            return Next::Nowhere(Added::Full);
        }
        if literal(segment).is_none() {
            return Next::Nowhere(Added::Unwritable);
        }
        room.taken += 1;
        self.words.insert(segment.into(), Self::default());
        self.settle(class, room);
        match (self.class_of(segment), &mut self.crowd) {
            (Some(class), _) => Next::Class(class),
            (None, Some(crowd)) if class.is_none() => {
                *crowd += 1;
                Next::Nowhere(Added::Crowded)
            }
            (None, _) => Next::Word,
        }
    }

    /// The placeholder that takes a segment.
    fn class_of(&self, segment: &str) -> Option<Class> {
        self.classes.keys().copied().find(|class| class.takes(segment))
    }

    /// After a word of this class came: too many values of a class become a placeholder, too many words a crowd.
    fn settle(&mut self, class: Option<Class>, room: &mut Room) {
        let alike = || self.words.keys().filter(|word| Class::of(word) == class).count();
        match class {
            Some(class) if alike() >= VALUES => self.fold(class, room),
            None if self.words.len() > WORDS && alike() > WORDS => {
                let words = std::mem::take(&mut self.words);
                let (values, words): (BTreeMap<_, _>, BTreeMap<_, _>) = words.into_iter().partition(|(word, _)| Class::of(word).is_some());
                self.words = values;
                for node in words.into_values() {
                    self.forget(&node, room);
                }
            }
            _ => {}
        }
    }

    /// Counts what is no longer told apart.
    fn forget(&mut self, node: &Self, room: &mut Room) {
        let (nodes, requests) = node.size();
        room.taken = room.taken.saturating_sub(nodes);
        *self.crowd.get_or_insert(0) += requests;
    }

    /// Has a placeholder for a class; what it takes of the words goes there.
    fn fold(&mut self, class: Class, room: &mut Room) {
        let words = std::mem::take(&mut self.words);
        let (values, words): (BTreeMap<_, _>, BTreeMap<_, _>) = words.into_iter().partition(|(word, _)| class.takes(word));
        self.words = words;
        if !self.classes.contains_key(&class) {
            room.taken += 1;
        }
        let folded = self.classes.entry(class).or_default();
        values.into_values().for_each(|node| folded.unite(node, room));
    }

    /// Takes everything of another node in.
    pub(super) fn unite(&mut self, other: Self, room: &mut Room) {
        let Self { here, words, classes, crowd } = other;
        room.taken = room.taken.saturating_sub(1);
        if let Some(evidence) = here {
            Evidence::unite(&mut self.here, evidence);
        }
        for (class, node) in classes {
            self.fold(class, room);
            if let Some(folded) = self.classes.get_mut(&class) {
                folded.unite(node, room);
            }
        }
        if let Some(requests) = crowd {
            *self.crowd.get_or_insert(0) += requests;
            let words = std::mem::take(&mut self.words);
            words.into_iter().for_each(|(word, node)| self.place(word, node, room));
        }
        words.into_iter().for_each(|(word, node)| self.place(word, node, room));
    }

    /// Takes in what follows a word.
    fn place(&mut self, word: Box<str>, node: Self, room: &mut Room) {
        let (taken, class) = (self.class_of(&word), Class::of(&word));
        if let Some(folded) = taken.and_then(|class| self.classes.get_mut(&class)) {
            folded.unite(node, room);
        } else if let Some(known) = self.words.get_mut(&word) {
            known.unite(node, room);
        } else if self.crowd.is_some() && class.is_none() {
            self.forget(&node, room);
        } else {
            self.words.insert(word, node);
            self.settle(class, room);
        }
    }

    /// Nodes, and requests.
    fn size(&self) -> (usize, u64) {
        let here = self.here.as_ref().map_or(0, |evidence| evidence.count) + self.crowd.unwrap_or_default();
        let below = self.words.values().chain(self.classes.values()).map(Self::size);
        below.fold((1, here), |(nodes, requests), (more, others)| (nodes + more, requests + others))
    }

    /// Gives every path, and every place with too many words. A table has one kind of placeholder: those of one place become one.
    pub(super) fn finish(mut self, before: &str, templates: &mut Vec<Template>, crowds: &mut Vec<Crowd>) {
        if let Some(evidence) = self.here.take() {
            templates.push(Template { pattern: before.to_owned(), evidence });
        }
        if let Some(requests) = self.crowd {
            crowds.push(Crowd { pattern: before.to_owned(), requests });
        }
        for (word, node) in self.words {
            let written = if before.is_empty() { Some(word.into_string()) } else { literal(&word) };
            if let Some(written) = written {
                node.finish(&joined(before, &written), templates, crowds);
            }
        }
        let name = self.classes.keys().copied().map(Class::name).reduce(|_, _| Class::Integer.name());
        let mut united = Self::default();
        let mut room = Room { taken: 0, most: usize::MAX };
        self.classes.into_values().for_each(|node| united.unite(node, &mut room));
        if let Some(name) = name {
            united.finish(&joined(before, &format!("{{{name}}}")), templates, crowds);
        }
    }
}

/// A segment behind others. The first one is what stands before the first slash, see [`segments`].
fn joined(before: &str, segment: &str) -> String {
    match (before, segment) {
        ("", "") => "/".to_owned(),
        ("/", segment) => format!("/{segment}"),
        ("", segment) => segment.to_owned(),
        (before, segment) => format!("{before}/{segment}"),
    }
}

/// A segment as a pattern writes it, which is more than a segment at its place; `None`: no request has it.
fn literal(segment: &str) -> Option<String> {
    if segment.is_empty() {
        return Some(String::new());
    }
    let written = segment.replace('*', "%2A");
    PathPattern::parse(&format!("/{written}")).is_ok_and(|pattern| pattern.matches(&format!("/{segment}"))).then_some(written)
}
