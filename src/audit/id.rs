//! Decision ids: made on the shard's thread without coordination, unique over shards, processes and restarts.

use super::DecisionId;
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 26;

/// A text that is no decision id: not 26 characters of Crockford's base 32, or above 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no decision id: 26 characters of 0-9 and A-Z without I, L, O and U")]
pub struct DecisionIdError;

impl DecisionId {
    /// When it was given, to the millisecond.
    pub fn at(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis((self.0 >> 80) as u64)
    }

    /// What the `boot` of its records ends with: which start of a sidecar gave it.
    pub fn boot_end(self) -> String {
        format!("{:010x}", (self.0 >> 40) & ((1 << 40) - 1))
    }

    /// The id's text: 26 ASCII characters.
    pub(super) fn text(self) -> [u8; TEXT_LEN] {
        let mut text = [b'0'; TEXT_LEN];
        // Twelve characters are 60 bits: a word at a time costs half of what shifting all 128 bits does.
        for (part, shift) in text.rchunks_mut(12).zip([0, 60, 120]) {
            let mut rest = (self.0 >> shift) as u64;
            for byte in part.iter_mut().rev() {
                *byte = ALPHABET[(rest & 31) as usize];
                rest >>= 5;
            }
        }
        text
    }
}

impl DecisionId {
    /// The span that this decision is in a trace: never zero, and as unlikely as any 64 random bits to be another's.
    pub fn span_id(self) -> [u8; 8] {
        let mixed = mix(self.0 as u64 ^ mix((self.0 >> 64) as u64));
        mixed.max(1).to_be_bytes()
    }
}

/// Spreads what differs in few bits over all of them (the finalizer of SplitMix64; Steele et al., "Fast Splittable Pseudorandom Number Generators").
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl FromStr for DecisionId {
    type Err = DecisionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 26 characters of five bits are 130: the first one holds three.
        if text.len() != TEXT_LEN || text.as_bytes().first().is_none_or(|first| !(b'0'..=b'7').contains(first)) {
            return Err(DecisionIdError);
        }
        text.bytes()
            .try_fold(0_u128, |value, byte| {
                let upper = byte.to_ascii_uppercase();
                let digit = ALPHABET.iter().position(|known| *known == upper).ok_or(DecisionIdError)?;
                Ok(value << 5 | digit as u128)
            })
            .map(DecisionId)
    }
}

/// Makes the ids of one shard: 48 bits of milliseconds, 40 of the boot's randomness, 12 of the shard, 28 of a counter.
///
/// Ids of one shard rise, also when the clock steps back: the milliseconds then stand still.
pub(super) struct Ids {
    /// Randomness and shard, in place.
    fixed: u128,
    millis: Cell<u64>,
    counter: Cell<u32>,
}

impl Ids {
    pub(super) fn new(boot_random: u64, shard: u16) -> Self {
        let fixed = u128::from(boot_random & ((1 << 40) - 1)) << 40 | u128::from(shard & 0xfff) << 28;
        Self { fixed, millis: Cell::new(0), counter: Cell::new(0) }
    }

    pub(super) fn next(&self, now: SystemTime) -> DecisionId {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let millis = self.millis.get().max(now);
        let counter = self.counter.get().wrapping_add(1) & ((1 << 28) - 1);
        // At the wrap, once in 268 million ids, the next millisecond keeps the order.
        let millis = if counter == 0 { millis + 1 } else { millis };
        self.millis.set(millis);
        self.counter.set(counter);
        DecisionId(u128::from(millis & ((1 << 48) - 1)) << 80 | self.fixed | u128::from(counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_a_shard_rise_and_none_repeats_across_shards_and_boots() {
        let (mut seen, mut spans) = (HashSet::new(), HashSet::new());
        for (boot, shard) in [(1, 0), (1, 1), (2, 0)] {
            let ids = Ids::new(boot, shard);
            let mut last = DecisionId(0);
            for _ in 0..50_000 {
                let id = ids.next(SystemTime::now());
                assert!(id.0 > last.0);
                assert!(id.to_string() > last.to_string());
                assert!(seen.insert(id));
                assert!(spans.insert(id.span_id()));
                last = id;
            }
        }
    }

    #[test]
    fn a_wrapped_counter_keeps_the_order() {
        let ids = Ids::new(7, 3);
        ids.counter.set((1 << 28) - 2);
        let three = [ids.next(SystemTime::now()), ids.next(SystemTime::now()), ids.next(SystemTime::now())];
        assert!(three.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn an_id_says_when_and_by_whom_it_was_given() {
        let (random, now) = (0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128, UNIX_EPOCH + Duration::from_millis(1_795_348_800_123));
        let id = Ids::new(random as u64, 3).next(now + Duration::from_nanos(999));
        assert_eq!(id.at(), now);
        assert!(format!("{random:032x}").ends_with(&id.boot_end()));
    }

    #[test]
    fn text_and_id_are_the_same() {
        for id in [DecisionId(0), DecisionId(u128::MAX), Ids::new(u64::MAX, 4095).next(SystemTime::now())] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
        }
        assert_eq!(DecisionId(u128::MAX).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U", "000000000000000000000000000", "ö000000000000000000000000"]
        {
            assert_eq!(text.parse::<DecisionId>(), Err(DecisionIdError), "{text}");
        }
    }
}
