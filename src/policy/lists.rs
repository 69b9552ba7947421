//! Many lists of numbers in two allocations.

/// Lists by number; a table of a hundred thousand rules has as many of them, most with one member.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Where each list ends; it begins where the one before it ends.
    ends: Box<[u32]>,
    members: Box<[u32]>,
}

impl Lists {
    /// The members of a list; of one that is not there, none.
    pub(super) fn members(&self, list: u32) -> &[u32] {
        let list = index(list);
        let from = list.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let range = from.zip(self.ends.get(list)).map(|(from, to)| index(*from)..index(*to));
        range.and_then(|range| self.members.get(range)).unwrap_or_default()
    }

    /// All lists, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0_u32..).take(self.ends.len()).map(|list| self.members(list))
    }
}

impl<L: AsRef<[u32]>> FromIterator<L> for Lists {
    fn from_iter<I: IntoIterator<Item = L>>(lists: I) -> Self {
        let (mut ends, mut members) = (Vec::new(), Vec::new());
        for list in lists {
            members.extend_from_slice(list.as_ref());
            // A table's text is of 64 MiB at most, and what is made of it is capped.
            ends.push(u32::try_from(members.len()).unwrap_or(u32::MAX));
        }
        Self { ends: ends.into(), members: members.into() }
    }
}

/// Numbers here are far below what an address is on every machine that this runs on.
pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_has_its_members_and_others_have_none() {
        let lists: Lists = [&[1, 2][..], &[], &[3]].into_iter().collect();
        assert_eq!(lists.iter().collect::<Vec<_>>(), [&[1, 2][..], &[], &[3]]);
        assert_eq!(lists.members(3), [0_u32; 0]);
        assert_eq!(lists.members(u32::MAX), [0_u32; 0]);
        assert_eq!(Lists::default().members(0), [0_u32; 0]);
    }
}
