//! Sets of small numbers.

/// A set of numbers below a known one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// Those below `count` for which `is_in` holds.
    pub(super) fn of(count: usize, is_in: impl Fn(usize) -> bool) -> Self {
        let word =
            |word: usize| (0..64).filter(|bit| word * 64 + bit < count && is_in(word * 64 + bit)).fold(0_u64, |bits, bit| bits | 1 << bit);
        Self((0..count.div_ceil(64)).map(word).collect())
    }

    /// Those in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one & other).collect())
    }

    /// Them, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| (0..64).filter(move |bit| bits & 1 << bit != 0).map(move |bit| word * 64 + bit))
    }

    /// The words that looking at it takes.
    pub(super) fn work(&self) -> usize {
        self.0.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn they_are_what_was_put_in() {
        let (threes, fives) = (Bits::of(200, |n| n % 3 == 0), Bits::of(200, |n| n % 5 == 0));
        assert_eq!(threes.and(&fives).iter().collect::<Vec<_>>(), (0..200).filter(|n| n % 15 == 0).collect::<Vec<_>>());
        assert_eq!(Bits::of(0, |_| true).iter().count(), 0);
    }
}
