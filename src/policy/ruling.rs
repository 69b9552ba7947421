//! What the own table and the one that caps it say together.

use super::evaluate::{Findings, Outcome};
use super::{Part, Table, Verdict};
use std::sync::Arc;

/// What one table says of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'t> {
    pub(super) part: Part,
    pub(super) table: &'t Arc<Table>,
    /// Whether the table is in shadow for the caller.
    pub(super) is_in_shadow: bool,
    pub(super) findings: Findings,
}

/// An outcome and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'t> {
    pub(super) part: Part,
    pub(super) table: &'t Arc<Table>,
    pub(super) outcome: Outcome,
}

/// The end of steps 4 to 6.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruling<'t> {
    /// What is enforced. A denial of a table in shadow lets pass.
    pub(super) verdict: Verdict,
    /// Whose outcome that is.
    pub(super) by: By<'t>,
    /// With everything in shadow enforced, where that is another verdict.
    pub(super) would: Option<By<'t>>,
    /// Whether an `audit` rule asks for a full record.
    pub(super) audited: bool,
}

impl<'t> Ruling<'t> {
    /// A request passes where `table` and `boundary` let it; where both refuse, the refusal is that of `table`.
    pub(super) fn of(table: Said<'t>, boundary: Option<Said<'t>>) -> Self {
        // Most have no boundary, and what follows is one half of the decision then.
        if boundary.is_none() {
            return Self::alone(table);
        }
        let parts = || [Some(table), boundary].into_iter().flatten();
        let mut enforced = parts().filter(|said| !said.is_in_shadow).map(|said| said.by(said.findings.outcome));
        let refusal = enforced.find(|by| by.verdict() == Verdict::Deny);
        let (verdict, by) = match refusal {
            Some(by) => (Verdict::Deny, by),
            None => (Verdict::Allow, table.by(table.findings.outcome)),
        };
        let tried =
            parts().map(|said| said.by(said.tried())).find(|by| by.verdict() == Verdict::Deny).unwrap_or_else(|| table.by(table.tried()));
        let would = (tried.verdict() != verdict).then_some(tried);
        Self { verdict, by, would, audited: parts().any(|said| said.findings.audited) }
    }
}

impl<'t> Ruling<'t> {
    /// The verdict with everything in shadow enforced, and whose it is.
    pub(super) fn enforced(&self) -> (Verdict, By<'t>) {
        let by = self.would.unwrap_or(self.by);
        (by.verdict(), by)
    }

    /// The same without a boundary.
    fn alone(table: Said<'t>) -> Self {
        let Findings { outcome, audited, .. } = table.findings;
        let verdict = if table.is_in_shadow { Verdict::Allow } else { outcome.verdict() };
        let tried = table.tried();
        let would = (tried.verdict() != verdict).then(|| table.by(tried));
        Self { verdict, by: table.by(outcome), would, audited }
    }
}

impl<'t> Said<'t> {
    fn by(&self, outcome: Outcome) -> By<'t> {
        By { part: self.part, table: self.table, outcome }
    }

    /// With what is in shadow. What a table in shadow denies by its enforced rules is what it would deny.
    fn tried(&self) -> Outcome {
        let Findings { outcome, would, .. } = self.findings;
        let denies = outcome.verdict() == Verdict::Deny && self.is_in_shadow;
        if denies { outcome } else { would.unwrap_or(outcome) }
    }
}

impl By<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        self.outcome.verdict()
    }
}
