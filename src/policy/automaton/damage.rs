//! Faults that somebody might make in an automaton, for the test that has to find them.

use super::{Automaton, BRANCH, DEAD, EDGES, FULL, NONE};

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Damage {
    /// A segment leads nowhere.
    EdgeLost,
    /// A segment leads where another one does.
    EdgeAstray,
    /// A segment that no edge is for leads nowhere.
    OtherLost,
    /// Nothing matches at the end of some path.
    SetLost,
    /// What matches at the end of some path is what matches elsewhere.
    SetAstray,
    /// A segment that begins and ends in some way is taken for one that does not.
    BranchLost,
    /// The edges of a state are not looked at.
    EdgesOverlooked,
    /// The empty segment goes on where it must not.
    EmptyTaken,
}

impl Automaton {
    /// Damages one place, which `pick` chooses among so many; `false` where there is none.
    pub(in crate::policy) fn damage(&mut self, damage: Damage, sets: usize, mut pick: impl FnMut(usize) -> usize) -> bool {
        let states = self.states.len();
        let reached = |pick: &mut dyn FnMut(usize) -> usize| if states > 1 { 1 + pick(states - 1) } else { 0 };
        match damage {
            Damage::EdgeLost | Damage::EdgeAstray => {
                let to = if damage == Damage::EdgeLost { DEAD } else { u32::try_from(reached(&mut pick)).unwrap() };
                let count = self.edges.len();
                let Some(edge) = (count > 0).then(|| pick(count)).and_then(|at| self.edges.iter_mut().nth(at)) else { return false };
                std::mem::replace(&mut edge.to, to) != to
            }
            Damage::OtherLost => std::mem::replace(&mut self.states[reached(&mut pick)].other, DEAD) != DEAD,
            Damage::SetLost => std::mem::replace(&mut self.states[reached(&mut pick)].accepts, NONE) != NONE,
            Damage::SetAstray => {
                let set = u32::try_from(pick(sets)).unwrap();
                std::mem::replace(&mut self.states[reached(&mut pick)].accepts, set) != set
            }
            Damage::BranchLost => self.clear(reached(&mut pick), !0 << BRANCH),
            Damage::EdgesOverlooked => self.clear(reached(&mut pick), EDGES),
            Damage::EmptyTaken => self.clear(reached(&mut pick), FULL),
        }
    }

    fn clear(&mut self, state: usize, flags: u32) -> bool {
        let before = self.states[state].flags;
        self.states[state].flags &= !flags;
        self.states[state].flags != before
    }
}
