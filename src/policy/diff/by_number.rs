//! Lists of numbers, by number.

use std::collections::BTreeSet;

/// Some lists.
#[derive(Debug)]
pub(super) struct ByNumber(Vec<Vec<u32>>);

impl ByNumber {
    /// So many, all empty.
    pub(super) fn of(count: usize) -> Self {
        Self(vec![Vec::new(); count])
    }

    pub(super) fn add(&mut self, list: u32, member: u32) {
        if let Some(list) = usize::try_from(list).ok().and_then(|list| self.0.get_mut(list)) {
            list.push(member);
        }
    }

    /// The members of these lists, each once and in ascending order.
    pub(super) fn of_all(&self, lists: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
        let members = lists.into_iter().filter_map(|list| self.0.get(usize::try_from(list).ok()?));
        members.flatten().copied().collect()
    }
}
