//! Tokens that were judged already, on each thread for itself: a client sends one token with all its requests, and a signature takes longer to check than
//! everything else that is decided.

use super::issuer::Issuers;
use super::verify::{Refusal, TokenError, Verified, verify};
use crate::telemetry::metrics;
use aws_lc_rs::digest::{Context, SHA256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::SystemTime;

/// Tokens of each kind that a thread remembers.
const MOST: usize = 1_024;

/// Bytes that the claims of good tokens may take on a thread, about.
const MOST_BYTES: usize = 4 << 20;

/// Which token of which table. The token itself is not kept: whoever has it is its user.
type Key = [u8; 32];

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::default());
}

/// Judges a token by these issuers. A signature is checked once for as long as the issuers' keys are the same and the token is remembered; its time is
/// looked at each time.
pub(super) fn judge(issuers: &Issuers, token: &[u8], now: SystemTime) -> Result<Rc<Verified>, TokenError> {
    MEMORY.with_borrow_mut(|memory| memory.judge(issuers, token, now))
}

/// Bad ones are kept apart: whoever sends rubbish cannot make us forget what is good.
#[derive(Default)]
struct Memory {
    good: Shelf<Rc<Verified>>,
    bad: Shelf<Refusal>,
}

impl Memory {
    fn judge(&mut self, issuers: &Issuers, token: &[u8], now: SystemTime) -> Result<Rc<Verified>, TokenError> {
        let key = key(issuers, token);
        let stamp = issuers.stamp();
        if let Some(verified) = self.good.get(&key, stamp) {
            return verified.holds_at(now).map(|()| verified);
        }
        if let Some(refusal) = self.bad.get(&key, stamp) {
            return Err(refusal.say());
        }
        let verified = verify(issuers, token).map(Rc::new);
        metrics::token_verified(verified.as_ref().map_or_else(|refusal| refusal.error.reason(), |_| "ok"));
        match verified {
            Ok(verified) => {
                self.good.put(key, stamp, verified.claims.weight() + verified.user.weight(), verified.clone());
                verified.holds_at(now).map(|()| verified)
            }
            Err(refusal) => {
                let error = refusal.say();
                tracing::debug!(%error, "a token proves nothing");
                self.bad.put(key, stamp, 0, refusal);
                Err(error)
            }
        }
    }
}

fn key(issuers: &Issuers, token: &[u8]) -> Key {
    let mut context = Context::new(&SHA256);
    context.update(&issuers.id.to_be_bytes());
    context.update(token);
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// What was found out of tokens, so many at most; what was not asked for since the hand last passed makes room (the clock algorithm).
struct Shelf<V> {
    places: HashMap<Key, usize>,
    slots: Vec<Slot<V>>,
    hand: usize,
    weight: usize,
}

struct Slot<V> {
    key: Key,
    /// Of the issuers' keys by which it was found out.
    stamp: u64,
    weight: usize,
    was_used: bool,
    value: V,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), hand: 0, weight: 0 }
    }
}

impl<V: Clone> Shelf<V> {
    fn get(&mut self, key: &Key, stamp: u64) -> Option<V> {
        let slot = self.slots.get_mut(*self.places.get(key)?)?;
        if slot.stamp != stamp {
            return None;
        }
        slot.was_used = true;
        Some(slot.value.clone())
    }

    fn put(&mut self, key: Key, stamp: u64, weight: usize, value: V) {
        if let Some(place) = self.places.get(&key).copied() {
            self.remove(place);
        }
        while !self.slots.is_empty() && (self.slots.len() >= MOST || self.weight + weight > MOST_BYTES) {
            self.make_room();
        }
        self.places.insert(key, self.slots.len());
        self.weight += weight;
        self.slots.push(Slot { key, stamp, weight, was_used: false, value });
    }

    /// Takes away the first one from the hand on that was not used; the hand comes round at most once.
    fn make_room(&mut self) {
        loop {
            self.hand = if self.hand < self.slots.len() { self.hand } else { 0 };
            match self.slots.get_mut(self.hand) {
                Some(slot) if slot.was_used => {
                    slot.was_used = false;
                    self.hand += 1;
                }
                _ => return self.remove(self.hand),
            }
        }
    }

    fn remove(&mut self, place: usize) {
        if place >= self.slots.len() {
            return;
        }
        let slot = self.slots.swap_remove(place);
        self.weight -= slot.weight;
        self.places.remove(&slot.key);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn is_whole(shelf: &Shelf<usize>) {
        assert_eq!(shelf.places.len(), shelf.slots.len());
        assert!(shelf.slots.iter().enumerate().all(|(place, slot)| shelf.places.get(&slot.key) == Some(&place)));
        assert_eq!(shelf.weight, shelf.slots.iter().map(|slot| slot.weight).sum::<usize>());
    }

    #[test]
    fn what_is_used_outlives_a_flood_of_what_is_not() {
        let mut shelf = Shelf::default();
        for number in 0..10 {
            shelf.put(key(number), 1, 10, number);
        }
        for flood in 10..10 * MOST {
            (0..10).for_each(|number| assert_eq!(shelf.get(&key(number), 1), Some(number), "after {flood}"));
            shelf.put(key(flood), 1, 10, flood);
            assert!(shelf.slots.len() <= MOST);
        }
        is_whole(&shelf);
    }

    #[test]
    fn bytes_are_bounded_and_other_keys_mean_another_look() {
        let mut shelf = Shelf::default();
        for number in 0..100 {
            shelf.put(key(number), 1, MOST_BYTES / 8, number);
            assert!(shelf.weight <= MOST_BYTES && shelf.slots.len() <= 8);
        }
        is_whole(&shelf);
        assert_eq!((shelf.get(&key(99), 1), shelf.get(&key(99), 2), shelf.get(&key(98), 1)), (Some(99), None, Some(98)));
        shelf.put(key(99), 2, 1, 7);
        assert_eq!((shelf.get(&key(99), 1), shelf.get(&key(99), 2)), (None, Some(7)));
        is_whole(&shelf);
    }
}
