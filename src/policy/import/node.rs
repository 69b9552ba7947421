//! A document as a tree whose every node knows its place.

use crate::document::Position;

/// One value of a document.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text, in quotes or not.
    Scalar { text: String, quoted: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the text; no key is there twice.
    Map(Vec<(Key, Node)>),
}

/// The key of an entry.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) text: String,
}

impl Node {
    /// Whether it says nothing, as `key:` does, and `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Its place, under this name.
    pub(super) fn position(&self, key: &str) -> Position {
        Position { line: self.line, column: self.column, key: key.to_owned() }
    }

    /// What it is, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { quoted: true, .. } => "a string",
            Value::Scalar { text, .. } if is_boolean(text) => "a boolean",
            Value::Scalar { text, .. } if is_number(text) => "a number",
            Value::Scalar { .. } => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The text of a string. Without quotes it must be one for every reader: YAML 1.1, which Kubernetes reads, takes `on` for true.
    pub(super) fn string(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, quoted } if *quoted || !(self.is_null() || is_boolean(text) || is_number(text)) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`, without quotes.
    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, quoted: false } if text == "true" => Some(true),
            Value::Scalar { text, quoted: false } if text == "false" => Some(false),
            _ => None,
        }
    }

    /// A whole number that is not negative, in decimal digits.
    pub(super) fn number(&self) -> Option<u32> {
        match &self.value {
            Value::Scalar { text, .. } if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
    }
}

fn is_boolean(text: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let plain = text.trim_start_matches(['-', '+']).replace('_', "");
    let based = ["0x", "0o", "0b"].iter().any(|base| plain.starts_with(base));
    based || plain.parse::<f64>().is_ok() || matches!(plain.to_ascii_lowercase().as_str(), ".inf" | ".nan")
}
