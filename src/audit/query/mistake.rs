//! What can be wrong with a filter.

use std::fmt;

/// A filter that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    line: String,
    /// Letters before the mistake, on its line.
    column: usize,
    /// What is wrong.
    pub mistake: Mistake,
}

/// One kind of mistake for each way to get it wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A quote has no end.
    #[error("this quote has no end: a value ends with \", and a \" inside it is written \\\"")]
    OpenQuote,
    /// A single quote, which the shell is for.
    #[error("values are quoted with \", and the single quotes around the whole filter are for the shell")]
    SingleQuote,
    /// `!` alone.
    #[error("there is != and there is not, as in: not decision=deny")]
    Bang,
    /// No field has this name.
    #[error("there is no field {name}{}", hint(.meant))]
    Field {
        /// What was written.
        name: String,
        /// What may have been meant.
        meant: Option<&'static str>,
    },
    /// Something else than a field, `not`, `has` or a parenthesis.
    #[error("a field, not, has or ( is expected here, and not {found}")]
    Start {
        /// What stands there.
        found: String,
    },
    /// Nothing after a field that compares it.
    #[error("after {field} one of {operators} is expected, and not {found}")]
    Operator {
        /// The field.
        field: String,
        /// What its kind allows.
        operators: &'static str,
        /// What stands there.
        found: String,
    },
    /// An operator that has no meaning for the field.
    #[error("{field} is {kind}, and {operator} has no meaning for it; there is {operators}")]
    Kind {
        /// The field.
        field: String,
        /// What it holds.
        kind: &'static str,
        /// The operator.
        operator: String,
        /// What its kind allows.
        operators: &'static str,
    },
    /// No value where one is expected.
    #[error("a value is expected here, and not {found}")]
    Value {
        /// What stands there.
        found: String,
    },
    /// A keyword as a value.
    #[error("a value is expected here; to mean the word itself write it in quotes: \"{0}\"")]
    Keyword(String),
    /// No number.
    #[error("{field} is a number, and {found} is none; write digits alone")]
    Number {
        /// The field.
        field: String,
        /// The value.
        found: String,
    },
    /// No time.
    #[error("{field} is a time, and {found} is none; write one as in 2026-07-01T12:00:00Z, or an age as in 30s, 15m, 2h, 7d or 4w")]
    Time {
        /// The field.
        field: String,
        /// The value.
        found: String,
    },
    /// A value that the field never has.
    #[error("{field} is never {found}{}; it is one of {}", hint(.meant), .all.join(", "))]
    Never {
        /// The field.
        field: String,
        /// The value.
        found: String,
        /// What may have been meant.
        meant: Option<&'static str>,
        /// What it can be.
        all: &'static [&'static str],
    },
    /// A pattern that its field cannot match.
    #[error("this pattern {0}")]
    Pattern(String),
    /// No list after `in`.
    #[error("after in a list is expected, as in (a, b), and not {found}")]
    List {
        /// What stands there.
        found: String,
    },
    /// A list that goes on in no way.
    #[error(", or ) is expected here, and not {found}")]
    InList {
        /// What stands there.
        found: String,
    },
    /// Two conditions with nothing between them, or too much.
    #[error("and, or{} are expected here, and not {found}{}", closing(.inside), joined(.found))]
    Joint {
        /// What stands there.
        found: String,
        /// Whether a parenthesis is open.
        inside: bool,
    },
    /// A parenthesis has no end.
    #[error("this ( has no )")]
    OpenParenthesis,
    /// More parentheses and `not` in one another than anybody writes.
    #[error("more than {0} parentheses and not are in one another here")]
    Deep(usize),
}

fn hint(meant: &Option<&'static str>) -> String {
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

fn closing(inside: &bool) -> &'static str {
    if *inside { ", )" } else { " or the end" }
}

/// What other languages write.
fn joined(found: &str) -> &'static str {
    match found {
        "&&" | "&" | "AND" | "And" => "; write and",
        "||" | "|" | "OR" | "Or" => "; write or",
        _ => "",
    }
}

impl FilterError {
    pub(super) fn new(text: &str, at: usize, mistake: Mistake) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        // It is shown with a mark under it: nothing in it moves the terminal's cursor.
        let line = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        Self { line, column: before.get(start..).unwrap_or_default().chars().count(), mistake }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistake: String = self.mistake.to_string().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        writeln!(f, "the filter, column {}: {mistake}", self.column + 1)?;
        write!(f, "  {}\n  {:2$}^", self.line, "", self.column)
    }
}
