//! The two policies that are compared.

use super::Args;
use crate::cli::policy::given::{outlined, part, plain, problem, source, whatever};
use crate::config::{self, Survey};
use crate::document::{Problem, Problems};
use crate::policy::explain::RulePlace;
use crate::policy::{self, Listeners, Outline, Part, Settings, Tables};
use std::sync::Arc;

/// Both, and what is known around them.
pub(super) struct Pair {
    pub(super) sides: [Side; 2],
    /// The ports of the listeners; `None`: nobody knows them.
    pub(super) ports: Option<Vec<u16>>,
}

/// A table, and the one that caps it where there is one.
pub(super) struct Side {
    pub(super) tables: Arc<Tables>,
    outlines: Vec<(Part, Outline)>,
}

impl Pair {
    /// Reads both.
    pub(super) fn read(args: &Args) -> Result<Self, Vec<Problem>> {
        let configured = match (&args.config, args.files.len()) {
            (None, 2) => None,
            (config, _) => Some(Configured::read(config.as_deref().unwrap_or("countersign.toml"))?),
        };
        let given = |place: usize| args.files.get(place).map(|file| plain(&source(file)));
        let [a, b] = match (given(0), given(1), &configured) {
            (Some(a), Some(b), _) => [a?, b?],
            (Some(b), None, Some(configured)) => [configured.own()?, b?],
            (None, None, Some(configured)) => [configured.own()?, configured.candidate()?],
            _ => return Err(vec![problem("policy diff", "has one policy", "give two, or --config")]),
        };
        let listeners = configured.as_ref().map(|configured| &configured.listeners);
        let capping = |own: &Option<String>| match (own.as_ref().or(args.boundary.as_ref()), &configured) {
            (Some(file), _) => plain(&source(file)).map(Some),
            (None, Some(configured)) => configured.boundary(),
            (None, None) => Ok(None),
        };
        let sides = [Side::new(&a, capping(&args.boundary_a)?, listeners)?, Side::new(&b, capping(&args.boundary_b)?, listeners)?];
        Ok(Self { sides, ports: listeners.map(|listeners| listeners.ports.clone()) })
    }
}

/// What a configuration says of tables. They are read as a sidecar of it would read them, signatures and all.
struct Configured {
    file: String,
    settings: Settings,
    listeners: Listeners,
}

impl Configured {
    fn read(file: &str) -> Result<Self, Vec<Problem>> {
        let Survey { loaded, references, .. } = config::survey_source(file);
        match (references.policy, loaded) {
            (Some((settings, listeners)), _) => Ok(Self { file: file.to_owned(), settings, listeners: whatever(listeners) }),
            (None, Err(problems)) => Err(Problems::into_vec(problems)),
            (None, Ok(_)) => Err(vec![problem(file, "has no policy", "write [policy] file = \"policy.toml\"")]),
        }
    }

    fn own(&self) -> Result<policy::Given, Vec<Problem>> {
        part(Part::Own, &self.settings.source, &self.settings, None)
    }

    fn candidate(&self) -> Result<policy::Given, Vec<Problem>> {
        let missing = || vec![problem(&self.file, "has no [policy] candidate to compare with", "name one there, or give the other table")];
        let source = self.settings.candidate.as_ref().ok_or_else(missing)?;
        part(Part::Candidate, source, &self.settings, self.own()?.manifest.as_ref())
    }

    fn boundary(&self) -> Result<Option<policy::Given>, Vec<Problem>> {
        let Some(source) = &self.settings.boundary else { return Ok(None) };
        // Only a signed one is read for the own table that it stands beside.
        let own = self.settings.signed.as_ref().map(|_| self.own()).transpose()?;
        part(Part::Boundary, source, &self.settings, own.as_ref().and_then(|own| own.manifest.as_ref())).map(Some)
    }
}

impl Side {
    fn new(own: &policy::Given, boundary: Option<policy::Given>, listeners: Option<&Listeners>) -> Result<Self, Vec<Problem>> {
        let (own, outline) = outlined(own, listeners)?;
        let (boundary, capping) = boundary.map(|text| outlined(&text, listeners)).transpose()?.unzip();
        let outlines = std::iter::once((Part::Own, outline)).chain(capping.map(|outline| (Part::Boundary, outline))).collect();
        Ok(Self { tables: Arc::new(Tables::new(own, boundary, None)), outlines })
    }

    /// What the own table is called.
    pub(super) fn file(&self) -> &str {
        self.outline(Part::Own).map(Outline::file).unwrap_or_default()
    }

    /// The id of a rule.
    pub(super) fn id(&self, rule: RulePlace) -> &str {
        self.outline(rule.part).map_or("", |outline| outline.id(rule.index))
    }

    /// The file and the line of a rule.
    pub(super) fn place(&self, rule: RulePlace) -> String {
        self.outline(rule.part).map(|outline| outline.rule(rule.index)).unwrap_or_default()
    }

    fn outline(&self, part: Part) -> Option<&Outline> {
        self.outlines.iter().find(|(own, _)| *own == part).map(|(_, outline)| outline)
    }
}
