//! A filter's text as words and signs.

use super::mistake::{FilterError, Mistake};

/// A word or a sign, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Its first byte.
    pub(super) at: usize,
    pub(super) sign: Sign,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// A field, a keyword or a value.
    Word(String),
    /// A value in quotes.
    Quoted(String),
    Equal,
    Unequal,
    Like,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Open,
    Close,
    Comma,
}

/// Signs as they are written; of two that begin alike the longer one stands first.
const SIGNS: [(&str, Sign); 10] = [
    ("!=", Sign::Unequal),
    ("<=", Sign::LessEqual),
    (">=", Sign::GreaterEqual),
    ("=", Sign::Equal),
    ("~", Sign::Like),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("(", Sign::Open),
    (")", Sign::Close),
    (",", Sign::Comma),
];

impl Sign {
    /// How it is written.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Quoted(text) => quoted(text),
            sign => SIGNS.iter().find(|(_, known)| known == sign).map_or_else(String::new, |(text, _)| (*text).to_owned()),
        }
    }
}

/// Cuts a text into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let fail = |mistake| FilterError::new(text, at, mistake);
        let (sign, length) = if let Some((written, sign)) = SIGNS.iter().find(|(written, _)| rest.starts_with(written)) {
            (sign.clone(), written.len())
        } else if rest.starts_with('"') {
            let (value, length) = unquoted(rest).ok_or_else(|| fail(Mistake::OpenQuote))?;
            (Sign::Quoted(value), length)
        } else if rest.starts_with('\'') {
            return Err(fail(Mistake::SingleQuote));
        } else if rest.starts_with('!') {
            return Err(fail(Mistake::Bang));
        } else {
            let word = rest.split(ends_word).next().unwrap_or_default();
            (Sign::Word(word.to_owned()), word.len())
        };
        tokens.push(Token { at, sign });
        at += length;
    }
    Ok(tokens)
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '=' | '!' | '~' | '<' | '>' | '(' | ')' | ',' | '"' | '\'')
}

/// The value that a quoted text begins with, and its length with the quotes. Before a quote or a backslash stands a backslash.
fn unquoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, at + 1)),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// A value as it can be read again.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
