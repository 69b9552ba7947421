//! The bundles that the tables in force came in.

use super::super::Part;
use super::Manifest;
use std::time::SystemTime;

/// The manifests of the tables in force, each by its part; none where tables are not signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles(Vec<(Part, Manifest)>);

impl Bundles {
    pub(in crate::policy) fn new(manifests: Vec<(Part, Manifest)>) -> Self {
        Self(manifests)
    }

    /// Every one, with its part.
    pub fn all(&self) -> impl Iterator<Item = (Part, &Manifest)> {
        self.0.iter().map(|(part, manifest)| (*part, manifest))
    }

    /// With the candidate's in the place of the own table's.
    pub fn promoted(&self) -> Self {
        let others = self.0.iter().filter(|(part, _)| *part != Part::Own);
        let part = |part: Part| if part == Part::Candidate { Part::Own } else { part };
        Self(others.map(|(old, manifest)| (part(*old), manifest.clone())).collect())
    }

    /// Those whose time is over: their tables stay in force, as there is nothing better.
    pub fn stale(&self, now: SystemTime) -> impl Iterator<Item = (Part, &Manifest)> {
        self.all().filter(move |(_, manifest)| manifest.not_after.time() <= now)
    }
}
