//! One line of JSON, appended field by field in the order of the calls.

use crate::policy::Rendered;
use std::fmt::Display;
use std::io::Write;

/// The most bytes of one string value; a longer one is cut, ends in `…` and sets the record's `cut`.
pub(super) const MAX_TEXT: usize = 2_048;
const HEX: &[u8; 16] = b"0123456789abcdef";
const ELLIPSIS: &str = "…";

/// A field's name as [`Line`] takes it: ready to be appended, with the comma before it.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// A JSON object under construction. Groups nest one deep; a group without fields is left out.
pub(super) struct Line<'b> {
    pub(super) out: &'b mut Vec<u8>,
    empty: bool,
    group: Option<(usize, bool)>,
    cut: bool,
}

impl<'b> Line<'b> {
    pub(super) fn begin(out: &'b mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true, group: None, cut: false }
    }

    /// Fields that several lines share, to be appended with [`Line::fields`].
    pub(super) fn fragment(render: impl FnOnce(&mut Line<'_>)) -> Rendered {
        let mut out = Vec::new();
        let mut line = Line { out: &mut out, empty: false, group: None, cut: false };
        render(&mut line);
        let cut = line.cut;
        Rendered { json: out.into(), cut }
    }

    /// Appends fields that were rendered before; never the first ones.
    pub(super) fn fields(&mut self, fields: &Rendered) {
        self.out.extend_from_slice(&fields.json);
        self.cut |= fields.cut;
    }

    /// A name, made by [`key`], whose value the caller appends to `out`.
    #[inline]
    pub(super) fn name(&mut self, key: &'static str) {
        let without_comma = usize::from(std::mem::take(&mut self.empty));
        self.out.extend_from_slice(key.as_bytes().get(without_comma..).unwrap_or_default());
    }

    #[inline]
    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }

    /// A text of our own that needs no escapes.
    #[inline]
    pub(super) fn label(&mut self, key: &'static str, value: &'static str) {
        self.name(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        self.name(key);
        self.cut |= quoted(self.out, value);
    }

    pub(super) fn optional(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        self.name(key);
        integer(self.out, value);
    }

    /// A value whose text needs no escapes, such as an address.
    pub(super) fn plain(&mut self, key: &'static str, value: impl Display) {
        self.name(key);
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, "\"{value}\"");
    }

    /// Bytes as lower-case hex.
    pub(super) fn hex(&mut self, key: &'static str, bytes: &[u8]) {
        self.name(key);
        self.out.push(b'"');
        for byte in bytes {
            self.out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        self.out.push(b'"');
    }

    /// A text whose name is not ours either.
    pub(super) fn named(&mut self, name: &str, value: &str) {
        self.comma();
        self.cut |= quoted(self.out, name);
        self.out.push(b':');
        self.cut |= quoted(self.out, value);
    }

    pub(super) fn open(&mut self, key: &'static str) {
        self.group = Some((self.out.len(), self.empty));
        self.name(key);
        self.out.push(b'{');
        self.empty = true;
    }

    pub(super) fn close(&mut self) {
        let Some((start, empty_before)) = self.group.take() else { return };
        if self.empty {
            self.out.truncate(start);
            self.empty = empty_before;
        } else {
            self.out.push(b'}');
        }
    }

    /// Ends the fields; the object stays open for the chain, which ends the line.
    pub(super) fn end(self) {
        if self.cut {
            self.out.extend_from_slice(b",\"cut\":true");
        }
    }
}

/// Appends a JSON string; says whether it was cut.
fn quoted(out: &mut Vec<u8>, value: &str) -> bool {
    let (kept, cut) = shortened(value);
    out.push(b'"');
    if has_escape(kept.as_bytes()) {
        escaped(out, kept);
    } else {
        out.extend_from_slice(kept.as_bytes());
    }
    if cut {
        out.extend_from_slice(ELLIPSIS.as_bytes());
    }
    out.push(b'"');
    cut
}

/// The part of `value` that is kept, and whether that is not all.
pub(super) fn shortened(value: &str) -> (&str, bool) {
    if value.len() <= MAX_TEXT {
        return (value, false);
    }
    let end = value.floor_char_boundary(MAX_TEXT - ELLIPSIS.len());
    (value.get(..end).unwrap_or_default(), true)
}

/// Whether any byte [`needs_escape`], eight at a time.
fn has_escape(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else { return text.iter().any(|byte| needs_escape(*byte)) };
    // The last eight overlap those before them.
    text.as_chunks().0.iter().any(|word| word_has_escape(*word)) || word_has_escape(*last)
}

/// As [`needs_escape`]: the top bit of a byte is set by the subtraction where the byte was smaller (Warren, "Hacker's Delight", 6-1).
fn word_has_escape(word: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_ne_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\') | is(0x7f) | is(C1)) & (EACH << 7) != 0
}

/// What begins the UTF-8 of U+0080 to U+00BF. The first half of them are control characters (ECMA-48, C1): CSI in one character, for a terminal.
const C1: u8 = 0xc2;

/// What JSON demands, DEL, and what C1 control characters begin with: terminals act on those.
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0x7f || byte == C1
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| needs_escape(*byte)) {
        let control = bytes.get(at + 1).copied().filter(|next| byte == C1 && (0x80..0xa0).contains(next));
        if byte == C1 && control.is_none() {
            continue;
        }
        out.extend_from_slice(bytes.get(clean..at).unwrap_or_default());
        escape(out, control.unwrap_or(byte));
        clean = at + 1 + usize::from(control.is_some());
    }
    out.extend_from_slice(bytes.get(clean..).unwrap_or_default());
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn integer(out: &mut Vec<u8>, value: u64) {
    const EIGHT: u64 = 100_000_000;
    if value >= EIGHT {
        integer(out, value / EIGHT);
        return eight_digits(out, value % EIGHT);
    }
    let digits = in_lanes(value);
    // The first digit is in the lowest byte; of zero, the last one is kept.
    let leading = (digits.trailing_zeros() / 8).min(7);
    let end = out.len() + 8 - leading as usize;
    // All eight at once, since a copy of a length that is known costs next to nothing.
    out.extend_from_slice(&(as_text(digits) >> (8 * leading)).to_le_bytes());
    out.truncate(end);
}

/// Appends the eight digits of `value`, which is below 10^8, leading zeros included.
pub(super) fn eight_digits(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&as_text(in_lanes(value)).to_le_bytes());
}

fn as_text(digits: u64) -> u64 {
    digits | 0x3030_3030_3030_3030
}

/// The eight digits of `value`, a byte each: a number of eight digits is cut into two of four, those into four of two, and those into eight of one.
fn in_lanes(value: u64) -> u64 {
    /// Cuts the number in each lane; `quotients` has them in place of their lanes, and each remainder goes `shift` bits above its quotient.
    fn cut(lanes: u64, quotients: u64, by: u64, shift: u32) -> u64 {
        quotients | ((lanes - quotients * by) << shift)
    }
    let fours = cut(value, value / 10_000, 10_000, 32);
    // Division by multiplication: exact for all numbers of four digits, and of two.
    let twos = cut(fours, ((fours * 5_243) >> 19) & 0x0000_007f_0000_007f, 100, 16);
    cut(twos, ((twos * 103) >> 10) & 0x000f_000f_000f_000f, 10, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_back_is_what_was_written(text in any::<String>(), number: u64) {
            let mut out = Vec::new();
            let mut line = Line::begin(&mut out);
            line.text(key!("a"), &text);
            line.open(key!("g"));
            line.number(key!("n"), number);
            line.close();
            line.end();
            out.push(b'}');
            prop_assert!(!out.contains(&b'\n'));
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(value["a"].as_str().unwrap(), text.as_str());
            prop_assert_eq!(value["g"]["n"].as_u64().unwrap(), number);
        }

        #[test]
        fn a_long_text_is_cut_and_says_so(text in proptest::collection::vec(any::<char>(), 1_000..3_000)) {
            let text: String = text.into_iter().collect();
            let mut out = Vec::new();
            let mut line = Line::begin(&mut out);
            line.text(key!("a"), &text);
            line.end();
            out.push(b'}');
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let read = value["a"].as_str().unwrap();
            if text.len() <= MAX_TEXT {
                prop_assert_eq!(read, text.as_str());
                prop_assert!(value.get("cut").is_none());
            } else {
                prop_assert!(read.len() <= MAX_TEXT && read.len() > MAX_TEXT - 8);
                prop_assert!(text.starts_with(read.strip_suffix('…').unwrap()));
                prop_assert_eq!(value["cut"].as_bool(), Some(true));
            }
        }
    }

    proptest! {
        #[test]
        fn eight_bytes_are_looked_at_as_one_is(word: [u8; 8], text in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1e_u8..0x24], 0..30)) {
            prop_assert_eq!(word_has_escape(word), word.iter().any(|byte| needs_escape(*byte)));
            prop_assert_eq!(has_escape(&text), text.iter().any(|byte| needs_escape(*byte)));
        }

        #[test]
        fn integers_are_what_they_are(value: u64, shift in 0_u32..64) {
            let mut out = Vec::new();
            integer(&mut out, value >> shift);
            prop_assert_eq!(out, (value >> shift).to_string().into_bytes());
        }
    }

    #[test]
    fn no_character_that_a_terminal_acts_on_is_written_as_it_is() {
        for character in (0..0x2100).filter_map(char::from_u32) {
            let mut out = Vec::new();
            quoted(&mut out, &format!("a{character}b"));
            let text = String::from_utf8(out).unwrap();
            assert!(!text.chars().any(char::is_control), "{character:?}");
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), format!("a{character}b"));
        }
    }

    #[test]
    fn an_empty_group_is_left_out() {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out);
        line.open(key!("none"));
        line.optional(key!("x"), None);
        line.close();
        line.number(key!("a"), 0);
        line.open(key!("none"));
        line.close();
        line.end();
        assert_eq!(out, b"{\"a\":0");
    }
}
