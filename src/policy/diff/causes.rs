//! The rules that one side alone has, as what differences come from.
//!
//! One more allow or one deny less lets more pass, and nothing else does. A request that the second side lets pass and the first one does not meets an allow that
//! the second side alone has, or a deny that the first one alone has; the other direction likewise.

use super::joint::{Joint, Meaning, Node};
use super::words::EVERYBODY;
use super::{ALLOWED, DENIED};
use crate::policy::space::{Budget, Exhausted};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// By pattern of callers: in which direction and for which path pattern something may differ; without one, for TCP connections.
pub(super) struct Causes(BTreeMap<u32, HashSet<(usize, Option<u32>)>>);

impl Causes {
    /// Of the rules that count, and of everything where the tables themselves are enforced otherwise.
    ///
    /// # Errors
    /// There are more than the budget is for.
    pub(super) fn of(joint: &Joint<'_>, budget: &mut Budget) -> Result<Self, Exhausted> {
        let mut causes = Self(BTreeMap::new());
        for (node, callers) in different(joint, budget)? {
            // An allow of the second side, or a deny of the first.
            let direction = if node.is_in(1) == node.is_deny() { DENIED } else { ALLOWED };
            let paths = node.meaning.paths.iter().copied().map(Some);
            let all: Vec<Option<u32>> = paths.chain(node.meaning.is_tcp.then_some(None)).collect();
            for caller in callers {
                budget.spend(all.len())?;
                causes.0.entry(caller).or_default().extend(all.iter().map(|template| (direction, *template)));
            }
        }
        if joint.force_differs() {
            let all = || joint.everything.into_iter().map(Some).chain([None]).flat_map(|all| [(ALLOWED, all), (DENIED, all)]);
            EVERYBODY.into_iter().for_each(|caller| causes.0.entry(caller).or_default().extend(all()));
        }
        Ok(causes)
    }

    /// The patterns of callers that something may differ for.
    pub(super) fn callers(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Whether something that these callers ask for there may differ in this direction.
    pub(super) fn are(&self, caller: u32, direction: usize, template: Option<u32>) -> bool {
        self.0.get(&caller).is_some_and(|causes| causes.contains(&(direction, template)))
    }

    /// What these callers may ask for that something may differ for.
    pub(super) fn templates(&self, callers: impl Iterator<Item = u32>) -> BTreeSet<Option<u32>> {
        callers.filter_map(|caller| self.0.get(&caller)).flatten().map(|(_, template)| *template).collect()
    }
}

/// Every rule that counts and is in one side only, with those of its callers that are not named by a rule of the other side which is the same but for its
/// callers. A request that meets no such rule as such a caller meets the same rules in both sides.
fn different<'j, 't>(joint: &'j Joint<'t>, budget: &mut Budget) -> Result<Vec<(&'j Node<'t>, Vec<u32>)>, Exhausted> {
    let spared: HashSet<u32> = joint.nodes.iter().flat_map(|node| node.meaning.spares.iter().copied()).collect();
    let lone: Vec<(u32, &Node<'t>)> = (0..).zip(&joint.nodes).filter(|(_, node)| node.counts() && node.is_lone()).collect();
    // What a deny names is named as a whole.
    let rest = |number: u32, node: &Node<'t>| (!spared.contains(&number)).then(|| Meaning { callers: 0, ..node.meaning.clone() });
    let mut twins: HashMap<(Meaning<'t>, bool), HashSet<u32>> = HashMap::new();
    for (number, node) in &lone {
        budget.spend(joint.callers(node).len())?;
        if let Some(rest) = rest(*number, node) {
            twins.entry((rest, node.is_in(0))).or_default().extend(joint.callers(node));
        }
    }
    let left = |(number, node): (u32, &'j Node<'t>)| {
        let others = rest(number, node).and_then(|rest| twins.get(&(rest, !node.is_in(0))));
        let is_left = |caller: &u32| others.is_none_or(|others| !others.contains(caller));
        (node, joint.callers(node).iter().copied().filter(is_left).collect())
    };
    Ok(lone.into_iter().map(left).collect())
}
