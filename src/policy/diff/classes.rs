//! The callers that the sides may treat otherwise, by the rules that they meet.

use super::by_number::ByNumber;
use super::joint::Joint;
use super::words::index;
use crate::identity::Principal;
use crate::policy::pattern::Shape;
use crate::policy::space::{Alphabet, Budget, Exhausted, Heads, identity, ways};
use std::collections::{BTreeSet, HashMap};

/// Callers who meet the same rules.
#[derive(Debug)]
pub(super) struct Class {
    /// The rules that count, by number, in ascending order.
    pub(super) nodes: Vec<u32>,
    /// The patterns by which they were found, each with the shortest of these callers that it has.
    pub(super) callers: Vec<(u32, Principal)>,
}

/// Every set of rules that callers of these patterns meet.
pub(super) fn classes(joint: &Joint<'_>, targets: impl Iterator<Item = u32>, budget: &mut Budget) -> Result<Vec<Class>, Exhausted> {
    let index = Index::new(joint);
    let mut numbers: HashMap<Vec<u32>, usize> = HashMap::new();
    let mut classes: Vec<Class> = Vec::new();
    for target in targets {
        for (example, nodes) in index.met(joint, target, budget)? {
            let Some(principal) = identity::principal(&example) else { continue };
            let class = *numbers.entry(nodes).or_insert_with_key(|nodes| {
                classes.push(Class { nodes: nodes.clone(), callers: Vec::new() });
                classes.len() - 1
            });
            let Some(class) = classes.get_mut(class) else { continue };
            // Several ways of one pattern may come to the same rules.
            match class.callers.last_mut() {
                Some((last, shortest)) if *last == target => {
                    if size(&principal) < size(shortest) {
                        *shortest = principal;
                    }
                }
                _ => class.callers.push((target, principal)),
            }
        }
    }
    Ok(classes)
}

/// Shorter callers are shown first.
pub(super) fn size(principal: &Principal) -> (usize, usize, &str) {
    (principal.parts().count(), principal.as_str().len(), principal.as_str())
}

/// The parts of a caller, and the rules that it meets.
type Met = (Vec<String>, Vec<u32>);

/// Which patterns may meet which, and who names them.
struct Index {
    heads: Heads,
    /// By pattern: lists that have it. By list: rules that count and name it.
    lists: ByNumber,
    nodes: ByNumber,
}

impl Index {
    fn new(joint: &Joint<'_>) -> Self {
        let heads = Heads::of(joint.words.callers.iter().enumerate().map(|(number, (_, shape))| (number, vec![shape.clone()])));
        let (mut lists, mut nodes) = (ByNumber::of(joint.words.callers.len()), ByNumber::of(joint.words.lists.len()));
        for (list, callers) in joint.words.lists.iter().enumerate() {
            callers.iter().for_each(|caller| lists.add(*caller, index(list)));
        }
        for (number, node) in (0..).zip(&joint.nodes).filter(|(_, node)| node.counts()) {
            nodes.add(node.meaning.callers, number);
        }
        Self { heads, lists, nodes }
    }

    /// Every set of rules that callers of a pattern meet, each with its shortest caller.
    fn met(&self, joint: &Joint<'_>, target: u32, budget: &mut Budget) -> Result<Vec<Met>, Exhausted> {
        let Some((_, shape)) = usize::try_from(target).ok().and_then(|target| joint.words.callers.get(target)) else {
            return Ok(Vec::new());
        };
        let near: BTreeSet<usize> = self.heads.near(std::slice::from_ref(shape), budget)?.into_iter().collect();
        let near: Vec<(u32, &Shape<'_>)> =
            near.into_iter().filter_map(|other| Some((index(other), &joint.words.callers.get(other)?.1))).collect();
        let others: Vec<&Shape<'_>> = near.iter().map(|(_, shape)| *shape).collect();
        let mut all = Vec::new();
        for way in ways(shape, &others, Alphabet::Identity, budget)? {
            let met = way.met.iter().filter_map(|other| near.get(*other).map(|(number, _)| *number));
            let nodes = self.nodes.of_all(self.lists.of_all(met));
            budget.spend(nodes.len())?;
            all.push((way.example, nodes.into_iter().collect()));
        }
        Ok(all)
    }
}
