//! The canonical path; requests and the patterns of the policy table pass through the same function.

use super::{Escapes, PathParams, Strictness};
use std::borrow::Cow;

/// Why a path is refused. Trying again never helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("does not begin with /")]
    NotAbsolute,
    /// A raw byte that no path has: a control byte, a blank, non-ASCII, or one of `" # < > ? \ ^ { | }` and the back-tick.
    #[error("has a byte that no path may have")]
    Byte,
    /// A `%` without two hexadecimal digits.
    #[error("has a % without two hexadecimal digits")]
    InvalidEscape,
    /// An escape that two readers may understand differently: of a control byte, `/`, `\`, `%`, `;`, `?` or `#`.
    #[error("has an escape of a control byte or of one of / \\ % ; ? #")]
    ForbiddenEscape,
    /// The escaped bytes are not UTF-8.
    #[error("has escaped bytes that are not UTF-8")]
    Utf8,
    /// A segment is `.` or `..`, also when escaped or followed by parameters.
    #[error("has a segment of dots")]
    DotSegment,
    /// Two slashes in a row, or a segment with nothing but parameters.
    #[error("has an empty segment")]
    EmptySegment,
    /// A `;` where the listener takes no path parameters.
    #[error("has a ; in a segment")]
    Params,
}

/// Makes a path (without query) canonical; borrowed when nothing changed.
///
/// Escapes of characters that need none are decoded, other escapes get upper-case digits, raw square brackets are
/// escaped (RFC 3986 section 3.3 has them in no path, yet many clients send them), so each path has one spelling.
///
/// # Errors
/// The first thing that two readers could understand differently; nothing of that kind is repaired.
pub fn canonical_path<'p>(path: &'p str, strictness: &Strictness) -> Result<Cow<'p, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_ordinary(path) {
        return Ok(Cow::Borrowed(path));
    }
    let path = respell(path, strictness.escapes)?;
    check_segments(&path, strictness.path_params)?;
    Ok(path)
}

/// One cheap look over the bytes: almost every path has one spelling, and nothing that could be refused.
fn is_ordinary(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let in_doubt = before == b'/' && matches!(byte, b'/' | b'.');
        before = byte;
        ORDINARY[usize::from(byte)] && !in_doubt
    })
}

/// The slash, and each byte that [`stands_raw`].
const ORDINARY: [bool; 256] = {
    let mut table = [false; 256];
    table[b'/' as usize] = true;
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] |= stands_raw(byte);
        byte += 1;
    }
    table
};

/// What a raw byte of a path is.
enum Class {
    /// Stands for itself.
    Plain,
    /// Begins an escape.
    Percent,
    /// `[` or `]`.
    Bracket,
    /// Refused.
    Refused,
}

fn class(byte: u8) -> Class {
    match byte {
        b'%' => Class::Percent,
        b'[' | b']' => Class::Bracket,
        b'/' | b';' => Class::Plain,
        _ if stands_raw(byte) => Class::Plain,
        _ => Class::Refused,
    }
}

/// RFC 3986 `pchar` without escapes and without `;`: whatever is here is never left escaped.
const fn stands_raw(byte: u8) -> bool {
    let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    unreserved || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

fn respell(path: &str, escapes: Escapes) -> Result<Cow<'_, str>, PathError> {
    let bytes = path.as_bytes();
    let mut spelling = Spelling { source: path, text: String::new(), copied: 0 };
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match class(*byte) {
            Class::Plain => at += 1,
            Class::Bracket => {
                spelling.escape(at, 1, *byte);
                at += 1;
            }
            Class::Percent => at = respell_escape(bytes, at, escapes, &mut spelling)?,
            Class::Refused => return Err(PathError::Byte),
        }
    }
    Ok(spelling.finish())
}

/// Rewrites the escape at `at` (all escapes of one character, where that has several bytes); the index after it.
fn respell_escape(bytes: &[u8], at: usize, escapes: Escapes, spelling: &mut Spelling<'_>) -> Result<usize, PathError> {
    let byte = escaped_byte(bytes, at)?;
    match byte {
        0x80.. => return respell_wide(bytes, at, byte, spelling),
        b'/' | b'%' if escapes == Escapes::Opaque => spelling.escape(at, 3, byte),
        0x00..=0x1f | 0x7f | b'/' | b'\\' | b'%' | b';' | b'?' | b'#' => return Err(PathError::ForbiddenEscape),
        _ if stands_raw(byte) => spelling.raw(at, 3, byte),
        _ => spelling.escape(at, 3, byte),
    }
    Ok(at + 3)
}

fn respell_wide(bytes: &[u8], at: usize, lead: u8, spelling: &mut Spelling<'_>) -> Result<usize, PathError> {
    let len = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Err(PathError::Utf8),
    };
    let mut character = [0; 4];
    for (index, slot) in character.iter_mut().take(len).enumerate() {
        let begin = at + 3 * index;
        if bytes.get(begin) != Some(&b'%') {
            return Err(PathError::Utf8);
        }
        *slot = escaped_byte(bytes, begin)?;
        spelling.escape(begin, 3, *slot);
    }
    let valid = character.get(..len).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    if valid { Ok(at + 3 * len) } else { Err(PathError::Utf8) }
}

fn escaped_byte(bytes: &[u8], at: usize) -> Result<u8, PathError> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let value = digit(at + 1).zip(digit(at + 2)).map(|(high, low)| high * 16 + low);
    value.and_then(|value| u8::try_from(value).ok()).ok_or(PathError::InvalidEscape)
}

/// The new spelling of a path, copied only from the first difference on.
struct Spelling<'p> {
    source: &'p str,
    text: String,
    copied: usize,
}

impl<'p> Spelling<'p> {
    fn raw(&mut self, at: usize, len: usize, byte: u8) {
        self.replace(at, len, &[byte]);
    }

    fn escape(&mut self, at: usize, len: usize, byte: u8) {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'A' + value - 10 };
        self.replace(at, len, &[b'%', digit(byte >> 4), digit(byte & 0x0f)]);
    }

    fn replace(&mut self, at: usize, len: usize, ascii: &[u8]) {
        if self.source.as_bytes().get(at..at + len) == Some(ascii) {
            return;
        }
        self.text.push_str(self.source.get(self.copied..at).unwrap_or_default());
        self.text.extend(ascii.iter().map(|byte| char::from(*byte)));
        self.copied = at + len;
    }

    fn finish(mut self) -> Cow<'p, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.source);
        }
        self.text.push_str(self.source.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.text)
    }
}

fn check_segments(path: &str, params: PathParams) -> Result<(), PathError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            return Ok(());
        }
        let (name, has_params) = segment.split_once(';').map_or((segment, false), |(name, _)| (name, true));
        // An app that decodes an opaque %2F sees these pieces as segments.
        if name.split("%2F").any(|piece| matches!(piece, "." | "..")) {
            return Err(PathError::DotSegment);
        }
        if has_params && params == PathParams::Reject {
            return Err(PathError::Params);
        }
        if name.is_empty() {
            return Err(PathError::EmptySegment);
        }
    }
    Ok(())
}
