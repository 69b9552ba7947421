//! Faults that somebody might make while compiling, for the test that has to find them.

use super::{Compiled, Says};
use crate::policy::automaton::Damage;

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
            Fault::Automaton(damage) => return self.automaton.damage(damage, self.ends.len(), pick),
            other => other,
        };
        if damage == Fault::AuditLost {
            let count = self.settled.len();
            let found = (count > 0).then(|| pick(count)).and_then(|at| self.settled.get_mut(at));
            return found.is_some_and(|found| std::mem::replace(&mut found.audited, false));
        }
        let count = self.slots.len();
        let Some(slot) = (count > 0).then(|| pick(count)).and_then(|at| self.slots.get_mut(at)) else { return false };
        match (damage, slot.says) {
            (Fault::MethodLost, _) => slot.methods &= slot.methods - 1,
            (Fault::DenyLost, Says::Deny) | (Fault::ConditionsSkipped, Says::Open) => slot.methods = 0,
            (Fault::TemplateAstray, Says::Allow) => slot.second += 1,
            (Fault::CandidateLost, Says::Open) => slot.second -= 1,
            _ => return false,
        }
        true
    }
}
