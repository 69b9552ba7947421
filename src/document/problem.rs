//! What is wrong with a document, where, and what to write instead.

use std::fmt;

/// Where in a document something stands, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// Line, from 1; 0 when it is not about a line.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Dotted key, such as `inbound.listen` or `rule[2].paths`; empty when it is not about a key.
    pub key: String,
}

/// One problem of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The document's name.
    pub file: String,
    /// Where it stands.
    pub place: Position,
    /// What is wrong, as a clause without a full stop.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        if !self.place.key.is_empty() {
            write!(f, ": {}", self.place.key)?;
        }
        write!(f, ": {}", self.what)?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {}", self.instead) }
    }
}

/// Every problem that was found, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Keeps `problems`; an empty list becomes one problem that says so.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        if problems.is_empty() {
            problems.push(Problem { file: String::new(), place: Position::default(), what: "unusable".into(), instead: String::new() });
        }
        problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
        Self(problems)
    }

    /// One problem that is about a whole file.
    pub fn of_file(file: &str, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self(vec![Problem { file: file.to_owned(), place: Position::default(), what: what.into(), instead: instead.into() }])
    }

    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The problems as a list.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
