//! Faults that somebody might make while compiling, for the test that has to find them.

use super::{Compiled, Slot};
use crate::policy::automaton::Damage;
use crate::policy::evaluate::{Findings, Outcome};

/// Faults that somebody might make while compiling, beside those of the automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Fault {
    Automaton(Damage),
    /// A method is not found.
    MethodLost,
    /// A deny that nothing can change is left out.
    DenyLost,
    /// Of the rules to look at, the last is left out.
    CandidateLost,
    /// Of the rules to look at, none is looked at.
    ConditionsSkipped,
    /// Another pattern of the rule is named.
    TemplateAstray,
    /// An audit is forgotten.
    AuditLost,
}

impl Compiled {
    /// Damages one place, which `pick` chooses among so many; `false` where there is none.
    pub(in crate::policy) fn damage(&mut self, fault: Fault, mut pick: impl FnMut(usize) -> usize) -> bool {
        let damage = match fault {
            Fault::Automaton(damage) => return self.automaton.damage(damage, pick),
            other => other,
        };
        let slots: Vec<&mut (u16, Slot)> = self.leaves.iter_mut().flat_map(|leaf| leaf.iter_mut()).collect();
        let count = slots.len();
        let Some((methods, slot)) = (count > 0).then(|| pick(count)).and_then(|at| slots.into_iter().nth(at)) else { return false };
        match (damage, slot) {
            (Fault::MethodLost, _) => *methods &= *methods - 1,
            (Fault::DenyLost, Slot::Settled(Findings { outcome: outcome @ Outcome::Deny(_), .. })) => *outcome = Outcome::Nothing,
            (Fault::TemplateAstray, Slot::Settled(Findings { outcome: Outcome::Allow(candidate), .. })) => candidate.template += 1,
            (Fault::AuditLost, Slot::Settled(Findings { audited: audited @ true, .. })) => *audited = false,
            (Fault::CandidateLost, Slot::Open(_, to)) => *to -= 1,
            (Fault::ConditionsSkipped, slot @ Slot::Open(..)) => *slot = Slot::Settled(Findings::NOTHING),
            _ => return false,
        }
        true
    }
}
