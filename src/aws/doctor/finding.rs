//! What an examination found.

use std::fmt;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Credentials, network, clock.
    Way,
    /// The authority that issues for this workload, and whom `[[trust]]` asks.
    Authority,
    /// What the role must be allowed.
    Needed,
    /// What the role must not be allowed.
    Excess,
}

impl Group {
    /// Its stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Way => "way",
            Self::Authority => "authority",
            Self::Needed => "needed",
            Self::Excess => "excess",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Way => "The way to AWS",
            Self::Authority => "The authority",
            Self::Needed => "What the role needs",
            Self::Excess => "What the role must not do",
        })
    }
}

/// How it stands. Whatever is not well says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and should be otherwise.
    Warning(String),
    /// It does not work, or the role may do more than it should.
    Broken(String),
    /// No answer was to be had.
    Unknown(String),
    /// There was no use in asking.
    NotAsked,
}

impl Verdict {
    /// Its stable name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning(_) => "warning",
            Self::Broken(_) => "broken",
            Self::Unknown(_) => "unknown",
            Self::NotAsked => "not_asked",
        }
    }

    /// What to do.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::Ok | Self::NotAsked => None,
            Self::Warning(fix) | Self::Broken(fix) | Self::Unknown(fix) => Some(fix),
        }
    }
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub group: Group,
    /// What was looked at.
    pub check: String,
    /// What was found.
    pub found: String,
    /// How that stands.
    pub verdict: Verdict,
}

/// All findings of one examination, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether anything is broken.
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.verdict, Verdict::Broken(_)))
    }

    pub(super) fn ok(&mut self, group: Group, check: impl Into<String>, found: impl Into<String>) {
        self.push(group, check, found, Verdict::Ok);
    }

    pub(super) fn warning(&mut self, group: Group, check: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) {
        self.push(group, check, found, Verdict::Warning(fix.into()));
    }

    pub(super) fn broken(&mut self, group: Group, check: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) {
        self.push(group, check, found, Verdict::Broken(fix.into()));
    }

    pub(super) fn unknown(&mut self, group: Group, check: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) {
        self.push(group, check, found, Verdict::Unknown(fix.into()));
    }

    pub(super) fn not_asked(&mut self, group: Group, check: impl Into<String>, because: impl Into<String>) {
        self.push(group, check, because, Verdict::NotAsked);
    }

    fn push(&mut self, group: Group, check: impl Into<String>, found: impl Into<String>, verdict: Verdict) {
        self.findings.push(Finding { group, check: check.into(), found: found.into(), verdict });
    }
}
