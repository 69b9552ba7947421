//! Recorded requests decided again by other tables, and what would change.
//!
//! [`Replay`] takes a log record by record and keeps counts by what changes, not the requests.

mod callers;
mod report;

pub use report::{Change, Changed, Group, Report};

use super::evaluate::rule;
use super::record::{Asked, Line, RecordError, Sort, each_ruling};
use super::ruling::{By, Ruling};
use super::suggest::general;
use super::{Part, RuleFacts, Tables, Verdict};
use callers::Callers;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What becomes of rules and tables in shadow, and of those that are enforced for a share of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trials {
    /// As the table says: they change nothing.
    AsWritten,
    /// They are enforced, for everybody.
    Enforced,
}

/// Decides a log again.
pub struct Replay {
    tables: Arc<Tables>,
    trials: Trials,
    callers: Callers,
    report: Report,
}

impl Replay {
    /// By these tables.
    pub fn new(tables: Arc<Tables>, trials: Trials) -> Self {
        Self { tables, trials, callers: Callers::default(), report: Report::default() }
    }

    /// Takes one record in.
    ///
    /// # Errors
    /// A value in it is none that a sidecar writes; nothing of it is counted.
    pub fn record(&mut self, line: &Line<'_>) -> Result<(), RecordError> {
        match line.sort() {
            Sort::ByRules => self.request(line)?,
            Sort::Apart(apart, count) => self.report.apart(apart, count),
            Sort::Begun | Sort::Other => {}
        }
        Ok(())
    }

    /// What would change.
    pub fn finish(self) -> Report {
        self.report.sorted()
    }

    fn request(&mut self, line: &Line<'_>) -> Result<(), RecordError> {
        let was = line.verdict()?;
        let (at, request) = (line.at()?, line.request()?);
        let asked = Asked { caller: self.callers.find(line, at)?, request: &request, at, recorded: |hash: &str| line.condition(hash) };
        let mut now: Option<Now<'_>> = None;
        let hangs_on = each_ruling(&self.tables, &asked, |ruling| {
            let found = Now::of(ruling, self.trials);
            match &mut now {
                Some(now) if now.verdict != found.verdict => return ControlFlow::Break(()),
                Some(now) => now.is_certain &= (now.by.part, now.by.outcome) == (found.by.part, found.by.outcome),
                None => now = Some(found),
            }
            ControlFlow::Continue(())
        });
        match (hangs_on, now) {
            (Ok(()), Some(now)) => compare(&mut self.report, line, was, &now),
            (hangs_on, _) => self.report.undecidable(hangs_on.err().unwrap_or_default()),
        }
        Ok(())
    }
}

/// What the tables say today.
struct Now<'t> {
    verdict: Verdict,
    by: By<'t>,
    /// Whether the same rule decides whatever the conditions without a recorded result came out as.
    is_certain: bool,
}

impl<'t> Now<'t> {
    fn of(ruling: &Ruling<'t>, trials: Trials) -> Self {
        let (verdict, by) = match trials {
            Trials::AsWritten => (ruling.verdict, ruling.by),
            Trials::Enforced => ruling.enforced(),
        };
        Self { verdict, by, is_certain: true }
    }

    /// The rule that decides, and its pattern. What lets pass where a table in shadow would not is no rule.
    fn rule(&self) -> Option<(&'t RuleFacts, Option<&'t str>)> {
        let candidate = self.by.outcome.candidate().filter(|_| self.verdict == self.by.verdict())?;
        let facts = &rule(&self.by.table.rules, candidate)?.facts;
        Some((facts, facts.template(candidate.template)))
    }

    /// The rule, or as records say it that none decides.
    fn by(&self) -> &'t str {
        match (self.rule(), self.verdict, self.by.part) {
            (Some((rule, _)), ..) => &rule.id,
            (None, Verdict::Allow, _) => "shadow",
            (None, Verdict::Deny, Part::Boundary) => "boundary",
            (None, Verdict::Deny, _) => "implicit_deny",
        }
    }
}

fn compare(report: &mut Report, line: &Line<'_>, was: Verdict, now: &Now<'_>) {
    report.decided += 1;
    let rule = now.rule();
    if now.verdict == was {
        let is_other = now.is_certain && rule.map(|(rule, _)| rule.id.as_str()) != line.rule.as_deref();
        report.by_another_rule += u64::from(is_other);
        return;
    }
    let (recorded, found) = (line.template.as_deref(), rule.and_then(|(_, template)| template));
    let (change, template) = match now.verdict {
        Verdict::Deny => (Change::Denied, recorded.or(found)),
        Verdict::Allow => (Change::Allowed, found.or(recorded)),
    };
    let owned = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let group = Group {
        change,
        caller: owned(line.caller.as_deref()),
        method: owned(line.method.as_deref()),
        template: template.map_or_else(|| general(line.path.as_deref().unwrap_or_default()), str::to_owned),
        was: owned(line.rule.as_deref().or(line.reason.as_deref())),
        now: now.by().to_owned(),
    };
    report.change(group, line.id.as_deref().unwrap_or_default());
}
