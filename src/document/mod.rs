//! Reading a TOML document by hand, so that *every* problem is reported at once, each with file, line, column, key and what to write instead.
//!
//! A deserializer stops at the first mistake and knows the place only of some. Here a [`Section`] hands out typed values,
//! writes down what is wrong with them, and on [`Section::close`] refuses every key that nobody asked for.
//! Imports nothing of ours; `config` and `policy` read their files through it.

mod place;
mod problem;
mod section;
mod source;
mod span;
#[cfg(test)]
mod tests;
mod tree;

pub use place::Place;
pub use problem::{Position, Problem, Problems};
pub use section::{Item, Section};
pub use source::{decode, read};
pub use span::{NoQuantity, duration, quantity, written};

use std::cell::RefCell;
use tree::{Tree, Wrong};

/// Replaces `${NAME}` in string values; the error says what to write instead.
pub type Expand = Box<dyn Fn(&str) -> Result<String, String>>;

/// One parsed TOML text together with the problems found in it so far.
pub struct Document<'t> {
    file: String,
    line_starts: Vec<usize>,
    tree: Tree<'t>,
    expand: Option<Expand>,
    problems: RefCell<Found>,
}

impl<'t> Document<'t> {
    /// Parses `text`; `file` is only what problems call it.
    ///
    /// # Errors
    /// Every syntax error of the text, each with its place.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, Problems> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let wrong = match tree::parse(text) {
            Ok(tree) => return Ok(Self { file: file.to_owned(), line_starts, tree, expand: None, problems: RefCell::default() }),
            Err(wrong) => wrong,
        };
        let problem = |wrong: Wrong| Problem {
            file: file.to_owned(),
            place: position(&line_starts, wrong.at, String::new()),
            what: wrong.what.trim().replace('\n', " "),
            instead: "write it as TOML 1.0 asks for".to_owned(),
        };
        Err(Problems::new(wrong.into_iter().map(problem).collect()))
    }

    /// Lets `${NAME}` inside string values stand for something else.
    #[must_use]
    pub fn expanding(mut self, expand: Expand) -> Self {
        self.expand = Some(expand);
        self
    }

    /// The document's top level.
    pub fn root(&self) -> Section<'_> {
        Section::new(self, Place::default(), Tree::ROOT)
    }

    /// The name that problems give this document.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Notes a problem at a place of this document.
    pub fn report(&self, place: Place, what: impl Into<String>, instead: impl Into<String>) {
        self.report_at(self.position(&place), what, instead);
    }

    /// Notes a problem at a position, such as that of something that is not written.
    pub fn report_at(&self, place: Position, what: impl Into<String>, instead: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        problems.more += usize::from(problems.told.len() >= PROBLEMS);
        if problems.told.len() < PROBLEMS {
            let (what, instead) = (shortened(what.into()), shortened(instead.into()));
            let place = Position { key: shortened(place.key), ..place };
            problems.told.push(Problem { file: self.file.clone(), place, what, instead });
        }
    }

    /// Line, column and dotted key of a place.
    pub fn position(&self, place: &Place) -> Position {
        position(&self.line_starts, usize::try_from(place.at).unwrap_or(usize::MAX), place.to_string())
    }

    /// Whether so many were noted that further ones are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.problems.borrow().told.len() >= PROBLEMS
    }

    /// Whether any problem has been noted so far.
    pub fn has_problems(&self) -> bool {
        !self.problems.borrow().told.is_empty()
    }

    /// Hands out `value` if nothing was wrong.
    ///
    /// # Errors
    /// Every problem noted, in the order of the text.
    ///
    /// # Panics
    /// Never: a missing value without a noted problem is itself reported as a problem.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let Found { told: mut problems, more } = self.problems.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => {
                if more > 0 {
                    let what = format!("has {more} more problems");
                    problems.push(Problem { file: self.file, place: Position::default(), what, instead: "mend these first".to_owned() });
                }
                Err(Problems::new(problems))
            }
        }
    }
}

/// What was found to be wrong.
#[derive(Debug, Default)]
struct Found {
    told: Vec<Problem>,
    /// How many were not kept.
    more: usize,
}

/// Problems that are told of one document: who writes more of them has a program that does, and mends that.
const PROBLEMS: usize = 1_000;

/// Bytes of a text in a problem: what an author wrote may be of any length.
const LONGEST: usize = 1_024;

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn position(line_starts: &[usize], at: usize, key: String) -> Position {
    let line = line_starts.partition_point(|start| *start <= at).max(1);
    let start = line_starts.get(line - 1).copied().unwrap_or(0);
    Position { line, column: at.saturating_sub(start) + 1, key }
}
