//! Counts of decisions by what they have in common, in bounded memory.

use super::extract::Got;
use std::collections::HashMap;

/// Different keys that are counted at once.
const MOST: usize = 65_536;
/// The most bytes of one part of a key; what is longer is told apart by these.
const PART: usize = 512;

/// Counts by key. Where there are more keys than [`Tally::new`] allows for, the rarer half goes: the counts of those that stay may then be too low, by
/// [`Tally::missed`] at most.
pub struct Tally {
    counts: HashMap<Box<[String]>, Count>,
    key: Vec<String>,
    most: usize,
    missed: u64,
}

/// Decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub all: u64,
    /// Those that were denied.
    pub denied: u64,
}

impl Count {
    /// What a record stands for, by its `kind`, `phase`, `count` and `decision`: an aggregate for as many as it counts, and the first one of two records of
    /// a request for none.
    pub fn of(kind: &Got<'_>, phase: &Got<'_>, count: &Got<'_>, decision: &Got<'_>) -> Self {
        let is = |value: &Got<'_>, text: &str| matches!(value, Got::Text(found) if found == text);
        let all = match count {
            _ if is(phase, "open") => 0,
            Got::Number(count) if is(kind, "aggregate") || is(kind, "gap") => *count,
            _ => 1,
        };
        Self { all, denied: if is(decision, "deny") { all } else { 0 } }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Tally {
    /// Counts up to `most` keys apart.
    pub fn new(most: usize) -> Self {
        Self { counts: HashMap::new(), key: Vec::new(), most: most.max(2), missed: 0 }
    }

    /// Counts what has these parts in common.
    pub fn add<'p>(&mut self, parts: impl IntoIterator<Item = &'p str>, count: Count) {
        self.key.clear();
        self.key.extend(parts.into_iter().map(|part| part.get(..part.floor_char_boundary(PART)).unwrap_or_default().to_owned()));
        if let Some(known) = self.counts.get_mut(self.key.as_slice()) {
            known.all = known.all.saturating_add(count.all);
            known.denied = known.denied.saturating_add(count.denied);
            return;
        }
        if count.all == 0 {
            return;
        }
        if self.counts.len() >= self.most {
            self.make_room();
        }
        self.counts.insert(self.key.as_slice().into(), count);
    }

    /// Lets the rarer half go.
    fn make_room(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().map(|count| count.all).collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.counts.retain(|_, count| count.all > median);
        self.missed = self.missed.saturating_add(median);
    }

    /// How much too low a count may be, and how often a key that is missing was there at most; 0 while all is exact.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// All keys with their counts, the greatest first.
    pub fn sorted(&self) -> Vec<(&[String], Count)> {
        let mut all: Vec<(&[String], Count)> = self.counts.iter().map(|(key, count)| (&**key, *count)).collect();
        all.sort_by(|one, other| other.1.all.cmp(&one.1.all).then_with(|| one.0.cmp(other.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_frequent_is_kept_and_off_by_no_more_than_is_said(keys in prop::collection::vec(0_u8..40, 0..400), most in 2_usize..50) {
            let (mut tally, mut exact) = (Tally::new(most), HashMap::<String, u64>::new());
            for key in keys {
                let key = (key / (1 + key % 7)).to_string();
                tally.add([key.as_str()], Count { all: 1, denied: 1 });
                *exact.entry(key).or_default() += 1;
            }
            let found: HashMap<String, u64> = tally.sorted().into_iter().map(|(key, count)| (key[0].clone(), count.all)).collect();
            prop_assert!(found.len() <= most);
            prop_assert!(exact.len() >= most || tally.missed() == 0);
            for (key, count) in exact {
                let counted = found.get(&key).copied().unwrap_or_default();
                prop_assert!(counted <= count && count <= counted + tally.missed(), "{key}: {count} and {counted}");
            }
        }
    }

    #[test]
    fn a_record_stands_for_what_it_counts() {
        let text = |text: &'static str| Got::Text(text.into());
        let of = |kind, phase, count, decision| Count::of(&text(kind), &text(phase), &Got::Number(count), &text(decision)).all;
        assert_eq!([of("aggregate", "", 17, "deny"), of("decision", "open", 17, "allow"), of("decision", "end", 17, "allow")], [17, 0, 1]);
    }
}
