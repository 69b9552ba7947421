//! The tables that decide together.

use super::quarantine::Quarantined;
use super::{OverdueShadow, Table};
use crate::request::Mentioned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;

/// What is in force at one moment. Immutable; published as a whole.
#[derive(Debug, Clone)]
pub struct Tables {
    own: Arc<Table>,
    boundary: Option<Arc<Table>>,
    candidate: Option<Arc<Table>>,
    mentioned: Mentioned,
    /// `None`: nobody, which costs a decision one comparison.
    quarantined: Option<Arc<Quarantined>>,
}

/// The part that a table plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The service's own table.
    Own,
    /// Caps what the own table grants, and grants nothing by itself.
    Boundary,
    /// Decided beside the own table, counted, not enforced.
    Candidate,
}

impl Part {
    /// The name in records and in `countersign status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Boundary => "boundary",
            Self::Candidate => "candidate",
        }
    }
}

impl Tables {
    /// Puts them together.
    pub fn new(own: Arc<Table>, boundary: Option<Arc<Table>>, candidate: Option<Arc<Table>>) -> Self {
        let enforced = boundary.as_ref().map_or_else(|| own.mentioned().clone(), |boundary| own.mentioned().and(boundary.mentioned()));
        // A trial refuses nothing, so its names do not either.
        let mentioned = candidate.as_ref().map_or_else(|| enforced.clone(), |candidate| enforced.and_tried(candidate.mentioned()));
        Self { own, boundary, candidate, mentioned, quarantined: None }
    }

    /// The service's own table.
    pub fn own(&self) -> &Arc<Table> {
        &self.own
    }

    /// The table that caps it.
    pub fn boundary(&self) -> Option<&Arc<Table>> {
        self.boundary.as_ref()
    }

    /// The table that is tried beside it.
    pub fn candidate(&self) -> Option<&Arc<Table>> {
        self.candidate.as_ref()
    }

    /// Every one, with its part.
    pub fn all(&self) -> impl Iterator<Item = (Part, &Arc<Table>)> {
        let beside = [(Part::Boundary, &self.boundary), (Part::Candidate, &self.candidate)];
        std::iter::once((Part::Own, &self.own)).chain(beside.into_iter().filter_map(|(part, table)| Some((part, table.as_ref()?))))
    }

    /// With the candidate in the place of the own table; `None`: there is no candidate.
    pub fn promoted(&self) -> Option<Self> {
        let candidate = self.candidate.clone()?;
        Some(Self::new(candidate, self.boundary.clone(), None))
    }

    /// Whether they say the same as `other`, each in its part.
    pub fn same_as(&self, other: &Self) -> bool {
        self.all().map(|(part, table)| (part, &table.facts)).eq(other.all().map(|(part, table)| (part, &table.facts)))
    }

    /// The same tables beside another quarantine.
    pub(super) fn beside(self, quarantined: Option<Arc<Quarantined>>) -> Self {
        Self { quarantined, ..self }
    }

    /// Who is refused before a rule is looked at; `None`: nobody.
    pub(super) fn quarantined(&self) -> Option<&Quarantined> {
        self.quarantined.as_deref()
    }

    /// The header names that any of them mentions.
    pub fn mentioned(&self) -> &Mentioned {
        &self.mentioned
    }

    /// When the first rule ends of those that are enforced: until then they decide as they do now.
    pub fn holds_until(&self, now: SystemTime) -> Option<SystemTime> {
        [Some(&self.own), self.boundary.as_ref()].into_iter().flatten().filter_map(|table| table.holds_until(now)).min()
    }

    /// Every shadow of theirs whose `shadow_until` is past.
    pub fn overdue_shadows(&self, now: SystemTime) -> Vec<OverdueShadow> {
        self.all().flat_map(|(_, table)| table.overdue_shadows(now)).collect()
    }
}

impl From<Arc<Table>> for Tables {
    fn from(own: Arc<Table>) -> Self {
        Self::new(own, None, None)
    }
}
