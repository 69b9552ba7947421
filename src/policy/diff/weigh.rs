//! Whether the sides decide otherwise where some rules match but for what is opaque, by trying every value that matters.

use super::atoms::{Value, Want};
use super::joint::{Force, Joint, Node};
use super::{ALLOWED, DENIED, SIDES};
use crate::policy::rule::Effect;
use crate::policy::space::{Budget, Exhausted};
use crate::policy::{Truth, Verdict};
use std::collections::BTreeSet;

/// The most opaque atoms at one place: three to the power of twelve ways, half a million.
pub(super) const ATOMS: usize = 12;

/// Values of atoms; one that is not there may have any.
pub(super) type Values = Vec<(u32, Value)>;

/// Where the sides decide otherwise, by direction: with such values.
pub(super) type Weighed = [Option<Values>; 2];

/// Why it was not found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unweighed {
    /// There are so many opaque atoms.
    Atoms(usize),
    /// The work that somebody is ready to wait for is done.
    Exhausted,
}

impl From<Exhausted> for Unweighed {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// Compares the sides where exactly these rules match but for what they want.
pub(super) fn weigh(joint: &Joint<'_>, nodes: &[u32], budget: &mut Budget) -> Result<Weighed, Unweighed> {
    let mut scale = Scale::new(joint, nodes);
    budget.spend(scale.cost)?;
    let none = Values::new();
    let plain = [scale.verdict(0, &none), scale.verdict(1, &none)];
    if let [Some(a), Some(b)] = plain {
        scale.note(a, b, &none);
        return Ok(scale.found);
    }
    let opaque = scale.atoms().into_iter().filter(|atom| joint.atoms.is_opaque(*atom)).count();
    if opaque > ATOMS {
        return Err(Unweighed::Atoms(opaque));
    }
    scale.branch(&mut Values::new(), budget)?;
    let found = std::mem::take(&mut scale.found);
    Ok(found.map(|values| values.map(|values| scale.fewest(values))))
}

struct Scale<'j, 't> {
    force: &'j [[Force; 2]; 2],
    nodes: Vec<(u32, &'j Node<'t>)>,
    /// The work that one look at them takes: an allow is compared with each deny that spares some.
    cost: usize,
    found: Weighed,
}

impl<'j, 't> Scale<'j, 't> {
    fn new(joint: &'j Joint<'t>, nodes: &[u32]) -> Self {
        let nodes: Vec<(u32, &Node<'t>)> = nodes.iter().filter_map(|number| Some((*number, joint.node(*number)?))).collect();
        let sparing = nodes.iter().filter(|(_, node)| !node.meaning.spares.is_empty()).count();
        let cost = nodes.len().saturating_mul(sparing + 1) + 1;
        Self { force: &joint.force, nodes, cost, found: [None, None] }
    }

    /// Everything that is wanted here.
    fn wants(&self) -> impl Iterator<Item = Want> {
        let forces = self.force.iter().flatten().filter_map(|force| if let Force::For(want) = force { Some(*want) } else { None });
        forces.chain(self.nodes.iter().flat_map(|(_, node)| node.meaning.wants.iter().copied()))
    }

    fn atoms(&self) -> BTreeSet<u32> {
        self.wants().map(|want| want.atom).collect()
    }

    /// Tries values until both sides are decided.
    fn branch(&mut self, values: &mut Values, budget: &mut Budget) -> Result<(), Exhausted> {
        budget.spend(self.cost)?;
        let decided = [self.verdict(0, values), self.verdict(1, values)];
        match decided {
            [Some(a), Some(b)] => self.note(a, b, values),
            _ if self.is_known(decided) => {}
            _ => {
                let Some(atom) = self.open(values) else { return Ok(()) };
                for value in self.values(atom) {
                    values.push((atom, value));
                    let result = self.branch(values, budget);
                    values.pop();
                    result?;
                }
            }
        }
        Ok(())
    }

    /// Whether all that can still come of it was found before.
    fn is_known(&self, decided: [Option<Verdict>; 2]) -> bool {
        let may = |direction: usize| match (direction, decided) {
            (ALLOWED, [Some(Verdict::Allow), _] | [_, Some(Verdict::Deny)]) => false,
            (DENIED, [Some(Verdict::Deny), _] | [_, Some(Verdict::Allow)]) => false,
            _ => self.found.get(direction).is_some_and(Option::is_none),
        };
        !may(ALLOWED) && !may(DENIED)
    }

    fn note(&mut self, a: Verdict, b: Verdict, values: &Values) {
        let direction = match (a, b) {
            (Verdict::Deny, Verdict::Allow) => ALLOWED,
            (Verdict::Allow, Verdict::Deny) => DENIED,
            _ => return,
        };
        if let Some(found) = self.found.get_mut(direction) {
            found.get_or_insert_with(|| values.clone());
        }
    }

    /// An atom without a value that something undecided wants.
    fn open(&self, values: &Values) -> Option<u32> {
        let has = |want: &Want| values.iter().any(|(atom, _)| *atom == want.atom);
        let undecided = self.nodes.iter().filter(|(_, node)| matches(node, values).is_none());
        undecided.flat_map(|(_, node)| node.meaning.wants.iter().copied()).chain(self.wants()).find(|want| !has(want)).map(|want| want.atom)
    }

    /// Every value that makes a difference here.
    fn values(&self, atom: u32) -> Vec<Value> {
        let marks: BTreeSet<u128> = self.wants().filter(|want| want.atom == atom).filter_map(|want| want.below).collect();
        if marks.is_empty() {
            return [Truth::True, Truth::False, Truth::Unknown].map(Value::Truth).to_vec();
        }
        marks.into_iter().map(Value::Below).chain([Value::Above]).collect()
    }

    /// The same difference without the values that it does not hang on.
    fn fewest(&self, mut values: Values) -> Values {
        let decided = |values: &Values| SIDES.map(|side| self.verdict(side, values));
        let before = decided(&values);
        for at in (0..values.len()).rev() {
            let left = values.remove(at);
            if decided(&values) != before {
                values.insert(at, left);
            }
        }
        values
    }

    /// What a side decides, as far as these values tell: a request passes where every table that is enforced lets it.
    fn verdict(&self, side: usize, values: &Values) -> Option<Verdict> {
        let mut verdict = Some(Verdict::Allow);
        for (part, force) in self.force.get(side)?.iter().enumerate() {
            let is_enforced = match force {
                Force::Never => Some(false),
                Force::Always => Some(true),
                Force::For(want) => holds(*want, values).map(Truth::is_certain),
            };
            let says = match is_enforced {
                Some(false) => Some(Verdict::Allow),
                Some(true) => self.says(side, part, values),
                None => self.says(side, part, values).filter(|says| *says == Verdict::Allow),
            };
            match says {
                Some(Verdict::Deny) => return says,
                Some(Verdict::Allow) => {}
                None => verdict = None,
            }
        }
        verdict
    }

    /// What one table says: an allow that matches and that every deny which matches spares lets pass.
    fn says(&self, side: usize, part: usize, values: &Values) -> Option<Verdict> {
        let mut here: Vec<(u32, &Node<'_>, Option<bool>)> = Vec::new();
        for (number, node) in self.nodes.iter().filter(|(_, node)| node.meaning.part == part && node.is_in(side)) {
            match matches(node, values) {
                Some(false) => {}
                matching => here.push((*number, node, matching)),
            }
        }
        let of = |effect: Effect| here.iter().filter(move |(_, node, _)| node.meaning.effect == effect);
        let spares = |deny: &Node<'_>, allow: u32| deny.meaning.spares.binary_search(&allow).is_ok();
        let is_sure = |matching: Option<bool>| matching == Some(true);
        if of(Effect::Allow).any(|(allow, _, matching)| is_sure(*matching) && of(Effect::Deny).all(|(_, deny, _)| spares(deny, *allow))) {
            return Some(Verdict::Allow);
        }
        let taken = |allow: u32| of(Effect::Deny).any(|(_, deny, matching)| is_sure(*matching) && !spares(deny, allow));
        of(Effect::Allow).all(|(allow, _, _)| taken(*allow)).then_some(Verdict::Deny)
    }
}

/// Whether a rule matches: an allow where everything holds that it wants, a deny where nothing of it fails. `None`: it hangs on more.
fn matches(node: &Node<'_>, values: &Values) -> Option<bool> {
    let enough = if node.meaning.effect == Effect::Deny { Truth::is_possible } else { Truth::is_certain };
    let mut all = Some(true);
    for want in &node.meaning.wants {
        match holds(*want, values).map(enough) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

fn holds(want: Want, values: &Values) -> Option<Truth> {
    values.iter().find(|(atom, _)| *atom == want.atom).map(|(_, value)| value.holds(want))
}
