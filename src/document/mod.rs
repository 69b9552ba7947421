//! Reading a TOML document by hand, so that *every* problem is reported at once, each with file, line, column, key and what to write instead.
//!
//! A deserializer stops at the first mistake and knows the place only of some. Here a [`Section`] hands out typed values,
//! writes down what is wrong with them, and on [`Section::close`] refuses every key that nobody asked for.
//! Imports nothing of ours; `config` and `policy` read their files through it.

mod problem;
mod section;
mod source;
mod span;
#[cfg(test)]
mod tests;

pub use problem::{Place, Problem, Problems};
pub use section::{Item, Section};
pub use source::{decode, read};
pub use span::{NoQuantity, duration, quantity, written};

use std::cell::RefCell;
use toml::de::DeTable;

/// Replaces `${NAME}` in string values; the error says what to write instead.
pub type Expand = Box<dyn Fn(&str) -> Result<String, String>>;

/// One parsed TOML text together with the problems found in it so far.
pub struct Document<'t> {
    file: String,
    line_starts: Vec<usize>,
    root: DeTable<'t>,
    expand: Option<Expand>,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Document<'t> {
    /// Parses `text`; `file` is only what problems call it.
    ///
    /// # Errors
    /// Every syntax error of the text, each with its place.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, Problems> {
        let line_starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (root, errors) = DeTable::parse_recoverable(text);
        let root = root.into_inner();
        let document = Self { file: file.to_owned(), line_starts, root, expand: None, problems: RefCell::new(Vec::new()) };
        for error in errors {
            let place = document.place(error.span().map_or(0, |span| span.start), String::new());
            document.report(place, error.message().trim().replace('\n', " "), "write it as TOML 1.0 asks for");
        }
        if document.problems.borrow().is_empty() { Ok(document) } else { Err(Problems::new(document.problems.into_inner())) }
    }

    /// Lets `${NAME}` inside string values stand for something else.
    #[must_use]
    pub fn expanding(mut self, expand: Expand) -> Self {
        self.expand = Some(expand);
        self
    }

    /// The document's top level.
    pub fn root(&self) -> Section<'_> {
        Section::new(self, String::new(), &self.root, 0)
    }

    /// The name that problems give this document.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Notes a problem at a place of this document.
    pub fn report(&self, place: Place, what: impl Into<String>, instead: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { file: self.file.clone(), place, what: what.into(), instead: instead.into() });
    }

    /// Whether any problem has been noted so far.
    pub fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Hands out `value` if nothing was wrong.
    ///
    /// # Errors
    /// Every problem noted, in the order of the text.
    ///
    /// # Panics
    /// Never: a missing value without a noted problem is itself reported as a problem.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let problems = self.problems.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems::new(problems)),
        }
    }

    fn place(&self, offset: usize, key: String) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        Place { line, column: offset.saturating_sub(start) + 1, key }
    }
}
