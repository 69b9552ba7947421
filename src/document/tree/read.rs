//! The text through the parser, a statement after the other: its tokens take more than the text, and are not all kept at once.

use super::build::Builder;
use super::{DECODED, Tree};
use toml_parser::lexer::{Token, TokenKind};
use toml_parser::parser::{RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, Expected, ParseError, Source};

/// Tokens that are parsed at once, or more where a statement has more.
const AT_ONCE: usize = 4_096;

/// The most tokens of one statement, which take 24 bytes each: a list of a hundred thousand strings on a line each has four hundred thousand.
const MOST: usize = 2 << 20;

/// The most values within values.
const DEPTH: u32 = 80;

/// The most errors that are told.
const ERRORS: usize = 1_000;

/// A place that is no TOML.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::document) struct Wrong {
    /// Where, in bytes.
    pub(in crate::document) at: usize,
    /// What is wrong.
    pub(in crate::document) what: String,
}

/// Reads a text.
///
/// # Errors
/// What is no TOML 1.0, in the order in which it is met, up to a thousand of it.
pub(in crate::document) fn parse(text: &str) -> Result<Tree<'_>, Vec<Wrong>> {
    let mut errors = Errors::default();
    if u32::try_from(text.len()).is_ok_and(|len| len < DECODED) {
        let tree = statements(text, &mut errors);
        if errors.0.is_empty() {
            return Ok(tree);
        }
    } else {
        errors.report_error(ParseError::new("more than 2 GiB"));
    }
    Err(errors.0)
}

fn statements<'t>(text: &'t str, errors: &mut Errors) -> Tree<'t> {
    let source = Source::new(text);
    let mut builder = Builder::new(source);
    let mut receiver = ValidateWhitespace::new(&mut builder, source);
    let mut receiver = RecursionGuard::new(&mut receiver, DEPTH);
    let mut tokens: Vec<Token> = Vec::with_capacity(AT_ONCE);
    let mut depth = 0_usize;
    for token in source.lex() {
        tokens.push(token);
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
            // Outside of brackets a line break ends a statement.
            TokenKind::Newline if depth == 0 && tokens.len() >= AT_ONCE => {
                parse_document(&tokens, &mut receiver, errors);
                tokens.clear();
            }
            _ if tokens.len() >= MOST => {
                errors.report_error(ParseError::new("a statement of more than 2097152 tokens").with_unexpected(token.span()));
                break;
            }
            _ => {}
        }
        if errors.0.len() >= ERRORS {
            break;
        }
    }
    parse_document(&tokens, &mut receiver, errors);
    builder.finish()
}

#[derive(Debug, Default)]
struct Errors(Vec<Wrong>);

impl ErrorSink for Errors {
    fn report_error(&mut self, error: ParseError) {
        if self.0.len() < ERRORS {
            self.0.push(Wrong { at: error.unexpected().map_or(0, |span| span.start()), what: what(&error) });
        }
    }
}

fn what(error: &ParseError) -> String {
    let expected = |expected: &Expected| match expected {
        Expected::Literal("\n") => "newline".to_owned(),
        Expected::Literal("`") => "'`'".to_owned(),
        Expected::Literal(text) if text.chars().all(|c| c.is_ascii_control()) => format!("`{}`", text.escape_debug()),
        Expected::Literal(text) => format!("`{text}`"),
        Expected::Description(text) => (*text).to_owned(),
        _ => "etc".to_owned(),
    };
    match error.expected() {
        None => error.description().to_owned(),
        Some([]) => format!("{}, expected nothing", error.description()),
        Some(all) => format!("{}, expected {}", error.description(), all.iter().map(expected).collect::<Vec<_>>().join(", ")),
    }
}
