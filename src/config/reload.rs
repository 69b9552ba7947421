//! What a running process may take over from a new configuration.

use super::{Config, Entry, Loaded};
use crate::credentials::Source;
use crate::document::{Problem, Problems};
use std::collections::BTreeSet;

/// A part of the configuration that a running process can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `[policy]`.
    Policy,
    /// `[[trust]]`.
    Trust,
    /// `[[upstream]]`.
    Upstreams,
    /// The paths of `[credentials.file]`.
    CredentialFiles,
    /// `authority`, `template` and `signing_algorithm` of `[credentials.acm_pca]`.
    Authority,
    /// `[timeouts]`.
    Timeouts,
    /// `[audit] sample`.
    AuditSample,
    /// `[detect.…]`.
    Detect,
    /// `[log] level`.
    LogLevel,
}

/// The parts that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes(BTreeSet<Part>);

impl Changes {
    /// Whether `part` differs.
    pub fn contains(&self, part: Part) -> bool {
        self.0.contains(&part)
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts that differ, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Part> {
        self.0.iter().copied()
    }
}

/// Compares the configuration in force with a new one.
///
/// # Errors
/// Every key that differs and needs a restart, with its place in the new text; the old configuration stays as a whole.
pub fn compare(old: &Loaded, new: &Loaded) -> Result<Changes, Problems> {
    // A key that only one side has belongs to a section that came or went, which says so itself.
    let fixed = new.effective.iter().filter(|entry| !is_reloadable(&entry.key));
    let pairs = fixed.filter_map(|entry| old.effective.entry(&entry.key).map(|before| (before, entry)));
    let differing = pairs.filter(|(before, entry)| before.value != entry.value);
    let problems: Vec<Problem> = differing.map(|(before, entry)| refusal(new.effective.file(), before, entry)).collect();
    if problems.is_empty() { Ok(changes(&old.config, &new.config)) } else { Err(Problems::new(problems)) }
}

fn is_reloadable(key: &str) -> bool {
    let sections = ["policy.", "trust[", "upstream[", "credentials.file.", "timeouts.", "detect."];
    let keys = [
        "audit.sample",
        "log.level",
        "credentials.acm_pca.authority",
        "credentials.acm_pca.template",
        "credentials.acm_pca.signing_algorithm",
    ];
    sections.iter().any(|section| key.starts_with(section)) || keys.contains(&key)
}

fn refusal(file: &str, before: &Entry, entry: &Entry) -> Problem {
    Problem {
        file: file.to_owned(),
        place: entry.origin.place(&entry.key),
        what: format!("cannot change while running (it is {})", before.value),
        instead: "restart, or put the old value back".into(),
    }
}

fn changes(old: &Config, new: &Config) -> Changes {
    let files = |config: &Config| match &config.credentials.source {
        Source::File { chain, key } => Some((chain.clone(), key.clone())),
        _ => None,
    };
    #[cfg(feature = "aws")]
    let authority = |config: &Config| match &config.credentials.source {
        Source::AcmPca(pca) => Some((pca.authority.clone(), pca.template.clone(), pca.signing_algorithm)),
        _ => None,
    };
    let parts = [
        (Part::Policy, old.policy != new.policy),
        (Part::Trust, old.trust != new.trust),
        (Part::Upstreams, old.upstreams != new.upstreams),
        (Part::CredentialFiles, files(old) != files(new)),
        #[cfg(feature = "aws")]
        (Part::Authority, authority(old) != authority(new)),
        (Part::Timeouts, old.timeouts != new.timeouts),
        (Part::AuditSample, old.audit.sample != new.audit.sample),
        (Part::Detect, old.detect != new.detect),
        (Part::LogLevel, old.log.level != new.log.level),
    ];
    Changes(parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect())
}
