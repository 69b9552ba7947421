//! The fields of a mapping, each asked for by name; one that nobody asks for is a problem.

use super::Gap;
use super::expr::Expr;
use super::node::{Node, Value};
use crate::document::{Position, Problem, Problems};
use std::cell::RefCell;
use std::collections::HashSet;

/// Problems and gaps that are told of one text.
const TOLD: usize = 1_000;

/// What is found while a text is read.
#[derive(Debug)]
pub(super) struct Findings<'f> {
    pub(super) file: &'f str,
    problems: RefCell<Vec<Problem>>,
    gaps: RefCell<Vec<Gap>>,
    more: RefCell<usize>,
}

impl<'f> Findings<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, problems: RefCell::default(), gaps: RefCell::default(), more: RefCell::default() }
    }

    /// Notes what makes the text unusable.
    pub(super) fn problem(&self, place: Position, what: impl Into<String>, instead: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < TOLD {
            problems.push(Problem { file: self.file.to_owned(), place, what: what.into(), instead: instead.into() });
        }
    }

    /// Notes what the table cannot say of `rule`, and what to write by hand.
    pub(super) fn gap(&self, rule: &str, place: Position, what: impl Into<String>, instead: impl Into<String>) -> Expr {
        let mut gaps = self.gaps.borrow_mut();
        if gaps.len() < TOLD {
            let problem = Problem { file: self.file.to_owned(), place, what: what.into(), instead: instead.into() };
            gaps.push(Gap { rule: rule.to_owned(), problem });
        } else {
            *self.more.borrow_mut() += 1;
        }
        Expr::Gap
    }

    /// The gaps, unless the text is unusable.
    pub(super) fn finish(self) -> Result<Vec<Gap>, Problems> {
        let problems = self.problems.into_inner();
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        let (mut gaps, more) = (self.gaps.into_inner(), self.more.into_inner());
        if more > 0 {
            let what = format!("{more} more fields cannot be expressed");
            let problem =
                Problem { file: self.file.to_owned(), place: Position::default(), what, instead: "see to those before".to_owned() };
            gaps.push(Gap { rule: "and others".to_owned(), problem });
        }
        Ok(gaps)
    }
}

/// A node, and what it is called from the top.
#[derive(Debug, Clone)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

impl<'n> At<'n> {
    /// Its place.
    pub(super) fn position(&self) -> Position {
        self.node.position(&self.path)
    }

    /// Its items, none of which is nothing; anything but a list with some in it is a problem.
    pub(super) fn items(&self, findings: &Findings<'_>) -> Vec<Self> {
        let Value::List(items) = &self.node.value else {
            findings.problem(self.position(), format!("is {} and no list", self.node.kind()), "write a list");
            return Vec::new();
        };
        if items.is_empty() {
            findings.problem(self.position(), "is an empty list", "remove it, or list something");
        }
        let each = items.iter().enumerate().map(|(index, node)| Self { node, path: format!("{}[{index}]", self.path) });
        each.collect()
    }

    /// Its items, all of them strings with something in them.
    pub(super) fn strings(&self, findings: &Findings<'_>) -> Vec<&'n str> {
        self.items(findings).iter().filter_map(|item| item.string(findings)).collect()
    }

    /// The text of a string with something in it.
    pub(super) fn string(&self, findings: &Findings<'_>) -> Option<&'n str> {
        let text = self.node.string().filter(|text| !text.is_empty());
        if text.is_none() {
            findings.problem(self.position(), format!("is {} and no text", self.node.kind()), "write a text, in quotes if in doubt");
        }
        text
    }

    /// The fields of a mapping; anything else is a problem.
    pub(super) fn fields<'f>(&self, findings: &'f Findings<'f>) -> Option<Fields<'n, 'f>> {
        let Value::Map(entries) = &self.node.value else {
            findings.problem(self.position(), format!("is {} and no mapping", self.node.kind()), "write fields and their values");
            return None;
        };
        let left = entries.iter().map(|(key, _)| key.text.as_str()).collect();
        Some(Fields { at: self.clone(), entries, left: RefCell::new(left), findings })
    }
}

/// The fields of one mapping.
pub(super) struct Fields<'n, 'f> {
    pub(super) at: At<'n>,
    entries: &'n [(super::node::Key, Node)],
    left: RefCell<HashSet<&'n str>>,
    findings: &'f Findings<'f>,
}

impl<'n> Fields<'n, '_> {
    /// The value of a field, where it says something.
    pub(super) fn take(&self, name: &str) -> Option<At<'n>> {
        self.left.borrow_mut().remove(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key.text == name)?;
        (!node.is_null()).then(|| At { node, path: self.path(name) })
    }

    /// The value of a field that goes by two names: those of protocol buffers and of their JSON.
    pub(super) fn take_either(&self, snake: &str) -> Option<At<'n>> {
        let camel = camel(snake);
        let (one, other) = (self.take(snake), if camel == snake { None } else { self.take(&camel) });
        if let (Some(_), Some(twice)) = (&one, &other) {
            self.findings.problem(twice.position(), format!("stands beside {snake}, which is the same field"), "keep one of them");
        }
        one.or(other)
    }

    /// A text.
    pub(super) fn string(&self, name: &str) -> Option<&'n str> {
        self.take(name)?.string(self.findings)
    }

    /// What the field of this name is called from the top.
    pub(super) fn path(&self, name: &str) -> String {
        if self.at.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at.path) }
    }

    /// Refuses every field that nobody asked for: one that is passed over would only look as if it counted.
    pub(super) fn close(self) {
        let left = self.left.borrow();
        for (key, _) in self.entries.iter().filter(|(key, _)| left.contains(key.text.as_str())) {
            let place = Position { line: key.line, column: key.column, key: self.path(&key.text) };
            self.findings.problem(place, "is a field that is not known here", "remove it, or correct its name");
        }
    }
}

fn camel(snake: &str) -> String {
    let mut upper = false;
    let chars = snake.chars().filter_map(|c| {
        let now = std::mem::replace(&mut upper, c == '_');
        (c != '_').then(|| if now { c.to_ascii_uppercase() } else { c })
    });
    chars.collect()
}
