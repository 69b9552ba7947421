//! Which numbers of a shard are there. Denials overtake allows on their way, so numbers come a little out of order.

use std::collections::{BTreeSet, HashMap};

/// Numbers that may wait for lower ones, per shard: more than its rings hold.
const AHEAD: usize = 65_536;

/// The shards of one boot.
#[derive(Debug, Default)]
pub(super) struct Shards {
    shards: HashMap<u64, Shard>,
    /// The log does not begin with the boot.
    partial: bool,
}

#[derive(Debug, Default)]
struct Shard {
    /// All below are there.
    next: u64,
    ahead: BTreeSet<u64>,
}

/// Numbers of a shard that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) shard: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Shards {
    /// For a log that begins in the middle: what is below the first number that is seen is not missed.
    pub(super) fn partial() -> Self {
        Self { partial: true, ..Self::default() }
    }

    /// Notes one number; gives the hole that is certain now, if there is one. `room` is how many more numbers and shards may be remembered; without room a
    /// hole is given up early, and a new shard is not looked at.
    pub(super) fn note(&mut self, shard: u64, seq: u64, room: &mut usize) -> Option<Hole> {
        if !self.shards.contains_key(&shard) {
            *room = room.checked_sub(1)?;
        }
        let first = if self.partial { seq } else { 0 };
        let known = self.shards.entry(shard).or_insert_with(|| Shard { next: first, ahead: BTreeSet::new() });
        if seq > known.next {
            if known.ahead.insert(seq) {
                let Some(left) = room.checked_sub(1) else {
                    let (hole, closed) = known.close(shard)?;
                    // The one that came now was not counted.
                    *room += closed.saturating_sub(1);
                    return Some(hole);
                };
                *room = left;
            }
        } else if seq == known.next {
            known.next = known.next.saturating_add(1);
            *room += known.advance();
        }
        if known.ahead.len() <= AHEAD {
            return None;
        }
        let (hole, closed) = known.close(shard)?;
        *room += closed;
        Some(hole)
    }

    /// The holes that are left at the end.
    pub(super) fn holes(&self) -> impl Iterator<Item = Hole> {
        self.shards.iter().flat_map(|(shard, known)| {
            let mut next = known.next;
            known.ahead.iter().filter_map(move |seq| {
                let hole = Hole { shard: *shard, from: next, to: seq.saturating_sub(1) };
                let is_hole = *seq > next;
                next = seq.saturating_add(1);
                is_hole.then_some(hole)
            })
        })
    }
}

impl Shard {
    /// Takes what follows without a hole; says how many.
    fn advance(&mut self) -> usize {
        let before = self.ahead.len();
        while self.ahead.remove(&self.next) {
            self.next = self.next.saturating_add(1);
        }
        before - self.ahead.len()
    }

    /// Gives the lowest hole up.
    fn close(&mut self, shard: u64) -> Option<(Hole, usize)> {
        let lowest = *self.ahead.first()?;
        let hole = Hole { shard, from: self.next, to: lowest.saturating_sub(1) };
        self.next = lowest;
        Some((hole, self.advance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_overtake_and_none_may_lack() {
        let (mut shards, mut room) = (Shards::default(), 100);
        for seq in [0, 3, 1, 4, 2, 6, 9] {
            assert_eq!(shards.note(7, seq, &mut room), None);
        }
        let holes: Vec<_> = shards.holes().collect();
        assert_eq!(holes, [Hole { shard: 7, from: 5, to: 5 }, Hole { shard: 7, from: 7, to: 8 }]);
        assert_eq!(room, 97, "a shard and two numbers");
        let mut partial = Shards::partial();
        assert!([5, 4, 6].iter().all(|seq| partial.note(0, *seq, &mut room).is_none()) && partial.holes().next().is_none());
    }

    #[test]
    fn memory_is_bounded_and_a_hole_is_said_before_it_is_exceeded() {
        let mut shards = Shards::default();
        let mut room = 2 * AHEAD;
        let said: Vec<_> = (0..200_000).filter_map(|number| shards.note(0, number * 2 + 1, &mut room)).collect();
        assert_eq!(said.first(), Some(&Hole { shard: 0, from: 0, to: 0 }));
        assert_eq!(room, AHEAD - 1);
        assert_eq!(said.len() + shards.holes().count(), 200_000);
        let (mut many, mut room) = (Shards::default(), 1_000);
        (0..10_000).for_each(|shard| many.note(shard, 5, &mut room).into_iter().for_each(|hole| assert_eq!(hole.to, 4)));
        assert!(many.shards.len() <= 1_000);
        assert_eq!(Shards::default().note(0, u64::MAX, &mut room), None);
    }
}
