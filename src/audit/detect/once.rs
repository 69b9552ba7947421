//! What is told once, and then not again for a while.

use super::window::Tick;
use std::collections::HashMap;

/// Keys of a generation; at the limit the older generation is forgotten, so there are twice as many at most, of some 64 bytes.
const KEYS: usize = 2_048;

/// A value for each key that was used lately, in constant memory.
#[derive(Debug)]
pub(super) struct Lately<V> {
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
}

impl<V> Default for Lately<V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<V> Lately<V> {
    /// The value of `key`, made where it is not known.
    pub(super) fn of(&mut self, key: u64, make: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= KEYS {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_else(make))
    }
}

/// Events that are told once in a while, with how many there were.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    last: Lately<Episode>,
}

#[derive(Debug, Default)]
struct Episode {
    told: Option<Tick>,
    since: u64,
}

impl Episodes {
    /// Counts `count` events under `key`; gives how many there were since it was told last, where it is time to tell it again: `quiet` milliseconds later.
    pub(super) fn count(&mut self, key: u64, count: u64, now: Tick, quiet: u64) -> Option<u64> {
        let episode = self.last.of(key, Episode::default);
        episode.since = episode.since.saturating_add(count);
        if episode.told.is_some_and(|told| now.saturating_sub(told) < quiet) {
            return None;
        }
        episode.told = Some(now);
        Some(std::mem::take(&mut episode.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_at_once_and_then_with_its_count() {
        let mut episodes = Episodes::default();
        assert_eq!(episodes.count(1, 1, 0, 100), Some(1));
        assert_eq!(episodes.count(1, 5, 99, 100), None);
        assert_eq!(episodes.count(2, 1, 99, 100), Some(1));
        assert_eq!(episodes.count(1, 1, 100, 100), Some(6));
    }

    #[test]
    fn many_keys_take_constant_memory_and_one_in_use_is_kept() {
        let mut episodes = Episodes::default();
        assert_eq!(episodes.count(0, 1, 0, u64::MAX), Some(1));
        for key in 1..100_000 {
            episodes.count(key, 1, 0, u64::MAX);
            assert_eq!(episodes.count(0, 1, 0, u64::MAX), None);
        }
        assert!(episodes.last.young.len() + episodes.last.old.len() <= 2 * KEYS);
        assert!(episodes.last.young.capacity() + episodes.last.old.capacity() <= 8 * KEYS);
    }
}
