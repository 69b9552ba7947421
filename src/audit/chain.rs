//! The chain: the last field of each record commits to it and to all records before it.

use aws_lc_rs::digest::{SHA256, digest};

/// What stands before the value of the chain in each record; hashed is what stands before this.
pub(super) const MARK: &[u8] = b",\"chain\":\"";
const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};
const BYTES: usize = 32;

/// A value of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; BYTES]);

/// A [`Link`] in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex([u8; 2 * BYTES]);

impl Link {
    /// What stands before a boot's first record: zeros.
    pub const GENESIS: Self = Self([0; BYTES]);

    /// The value of a record, of which `bytes` are those before the field, after a record with this value: SHA-256 over both.
    ///
    /// `scratch` is where both are brought together, which takes a hundredth of what the hash takes; hashing in two pieces would allocate.
    pub(super) fn next(self, bytes: &[u8], scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(&self.0);
        scratch.extend_from_slice(bytes);
        Self(digest(&SHA256, scratch).as_ref().try_into().unwrap_or_default())
    }

    pub(super) fn hex(self) -> Hex {
        let mut hex = [0; 2 * BYTES];
        for (pair, byte) in hex.as_chunks_mut().0.iter_mut().zip(self.0) {
            *pair = PAIRS[usize::from(byte)];
        }
        Hex(hex)
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (pairs, []) = text.as_chunks::<2>() else { return None };
        let mut bytes = [0; BYTES];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

impl Hex {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn digit(byte: u8) -> Option<u8> {
    DIGITS.iter().position(|digit| *digit == byte).map(|value| value as u8)
}

/// The writer's end of the chain.
pub(super) struct Chain {
    last: Link,
    scratch: Vec<u8>,
}

impl Chain {
    pub(super) fn begin() -> Self {
        Self { last: Link::GENESIS, scratch: Vec::new() }
    }

    /// Ends the record that begins at `start` of `out` and is whole but for this field and the braces of what is still open.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>, start: usize, braces: &[u8]) {
        self.last = self.last.next(out.get(start..).unwrap_or_default(), &mut self.scratch);
        out.extend_from_slice(MARK);
        out.extend_from_slice(&self.last.hex().0);
        out.push(b'"');
        out.extend_from_slice(braces);
        out.push(b'\n');
    }

    /// The value of the last record.
    pub(super) fn last(&self) -> Link {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_hash_of_the_one_before_and_of_the_record() {
        let mut chain = Chain::begin();
        let mut out = b"{\"a\":1".to_vec();
        chain.seal(&mut out, 0, b"}");
        let first = digest(&SHA256, &[&[0; 32], &b"{\"a\":1"[..]].concat());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let wanted = format!("{{\"a\":1,\"chain\":\"{}\"}}\n", hex(first.as_ref()));
        assert_eq!(String::from_utf8(out.clone()).unwrap(), wanted);
        let start = out.len();
        out.extend_from_slice(b"{\"unmapped\":{\"b\":2");
        chain.seal(&mut out, start, b"}}");
        let second = digest(&SHA256, &[first.as_ref(), &b"{\"unmapped\":{\"b\":2"[..]].concat());
        assert_eq!(chain.last().hex().as_str(), hex(second.as_ref()));
        assert!(out.ends_with(b"\"}}\n"));
    }

    #[test]
    fn only_lower_case_hexadecimal_digits_are_a_link() {
        let link = Link::GENESIS.next(b"x", &mut Vec::new());
        let text = link.hex();
        assert_eq!(Link::parse(text.as_str().as_bytes()), Some(link));
        let upper = text.as_str().to_uppercase();
        for wrong in ["", "0", &text.as_str()[2..], &format!("{}00", text.as_str()), &upper, &"g".repeat(64), &"0".repeat(63)] {
            assert_eq!(Link::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
