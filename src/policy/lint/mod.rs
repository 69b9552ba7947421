//! What is valid in a table and probably not meant.
//!
//! One file for each family: [`reach`] finds rules that never decide, exactly; `broad` what lets more pass than most want; `slips` patterns and methods
//! that miss what stands beside them; `stale` what is past or of no use; `size` what is too large to be compiled; `capped` allows that the boundary takes back
//! whole; `egress` where the service may connect to.

mod bits;
mod broad;
mod capped;
mod egress;
mod reach;
mod size;
mod slips;
mod stale;

use super::outline::{Outline, RuleOutline};
use super::rule::Rule;
use super::{Table, moment};
use crate::document::Position;
use crate::request::Strictness;
use std::time::SystemTime;

/// What the table is read beside.
#[derive(Debug, Clone)]
pub struct Around {
    /// How strictly the listener reads paths.
    pub strictness: Strictness,
    /// The local ports of the listeners; `None`: nobody knows them.
    pub ports: Option<Vec<u16>>,
    /// Whether the app speaks HTTP/1.1 alone, which gRPC cannot be carried over.
    pub is_http1: bool,
    /// When.
    pub now: SystemTime,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub lint: Lint,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub place: Position,
    /// The rule that it is about, where it is about one.
    pub rule: Option<String>,
    /// What, as a clause without a full stop.
    pub what: String,
    /// What to do.
    pub instead: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look.
    Note,
    /// Probably a mistake.
    Warning,
}

impl Severity {
    /// As SARIF says it (2.1.0, section 3.27.10).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    /// A rule that no request is decided by.
    DeadRule,
    /// An allow all of whose requests are denied.
    AllowUnderDeny,
    /// An allow of which the boundary lets nothing pass.
    CappedAllow,
    /// An allow with a wildcard for the first segment.
    WideAllow,
    /// An allow for whoever has a certificate.
    AnyAuthenticatedAllow,
    /// An `[[egress]]` that lets go more than most want.
    WideEgress,
    /// What a running sidecar refuses, since nothing carries it yet.
    NotCarried,
    /// A rule that has ended.
    ExpiredRule,
    /// A shadow that was meant to have ended.
    OverdueShadow,
    /// An allow that grants nothing yet.
    TrialAllow,
    /// A set that no rule names.
    UnusedSet,
    /// A rule about GET and not about HEAD.
    GetWithoutHead,
    /// A rule about what is below a path, and not about the path.
    SubtreeWithoutRoot,
    /// A pattern that no request can match on this listener.
    Unmatchable,
    /// A gRPC rule before an app that cannot be spoken to in it.
    GrpcNeedsHttp2,
    /// Rules that are looked at one by one.
    TooLarge,
    /// Rules of which it was not found out whether they ever decide.
    NotAnalysed,
}

impl Lint {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DeadRule,
        Self::AllowUnderDeny,
        Self::CappedAllow,
        Self::WideAllow,
        Self::AnyAuthenticatedAllow,
        Self::WideEgress,
        Self::NotCarried,
        Self::ExpiredRule,
        Self::OverdueShadow,
        Self::TrialAllow,
        Self::UnusedSet,
        Self::GetWithoutHead,
        Self::SubtreeWithoutRoot,
        Self::Unmatchable,
        Self::GrpcNeedsHttp2,
        Self::TooLarge,
        Self::NotAnalysed,
    ];

    /// The stable id.
    pub fn id(self) -> &'static str {
        match self {
            Self::DeadRule => "dead-rule",
            Self::AllowUnderDeny => "allow-under-deny",
            Self::CappedAllow => "capped-allow",
            Self::WideAllow => "wide-allow",
            Self::AnyAuthenticatedAllow => "any-authenticated-allow",
            Self::WideEgress => "wide-egress",
            Self::NotCarried => "not-carried",
            Self::ExpiredRule => "expired-rule",
            Self::OverdueShadow => "overdue-shadow",
            Self::TrialAllow => "trial-allow",
            Self::UnusedSet => "unused-set",
            Self::GetWithoutHead => "get-without-head",
            Self::SubtreeWithoutRoot => "subtree-without-root",
            Self::Unmatchable => "unmatchable",
            Self::GrpcNeedsHttp2 => "grpc-needs-http2",
            Self::TooLarge => "too-large",
            Self::NotAnalysed => "not-analysed",
        }
    }

    /// What it is about, as a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::DeadRule => "A rule that no request is decided by, because others always decide first.",
            Self::AllowUnderDeny => "An allow all of whose requests are denied.",
            Self::CappedAllow => "An allow of which the boundary lets nothing pass.",
            Self::WideAllow => "An allow whose paths have a wildcard for the first segment.",
            Self::AnyAuthenticatedAllow => "An allow for everybody with a certificate.",
            Self::WideEgress => "A destination that lets go more than most want: any port, no TLS, or anybody's names.",
            Self::NotCarried => "What a running sidecar refuses, since nothing carries it yet.",
            Self::ExpiredRule => "A rule that has ended and matches nothing.",
            Self::OverdueShadow => "A shadow that was meant to have ended and goes on.",
            Self::TrialAllow => "An allow in shadow, which grants nothing until it is enforced.",
            Self::UnusedSet => "A set that no rule names.",
            Self::GetWithoutHead => "A rule about GET and not about HEAD, which asks for the same.",
            Self::SubtreeWithoutRoot => "A rule about everything below a path, and not about the path itself.",
            Self::Unmatchable => "A pattern or a method that no request can have on this listener.",
            Self::GrpcNeedsHttp2 => "A gRPC rule before an app that is spoken to in HTTP/1.1.",
            Self::TooLarge => "Rules that are looked at one by one, because their automaton would be too large.",
            Self::NotAnalysed => "Rules of which it was not found out whether they ever decide.",
        }
    }
}

/// The most callers that the rules of a table name, those of sets counted for each rule: beyond it, they are not told apart one by one.
const CALLERS: usize = 2_000_000;

/// Everything that is found in a table, beside the one that caps it where there is one, in the order of its text.
pub fn lint(table: &Table, boundary: Option<&Table>, outline: &Outline, around: &Around) -> Vec<Finding> {
    let mut findings = Findings { outline, all: Vec::new() };
    let rules = boundary.into_iter().chain([table]).flat_map(|table| &table.rules);
    let callers: usize = rules.map(|rule| rule.from.count()).sum();
    let small = callers <= CALLERS;
    if small {
        reach::look(table, around, &mut findings);
    } else {
        let what = format!("whether rules ever decide was not found out: with the members of sets they name {callers} callers");
        findings.table(Position::default(), Lint::NotAnalysed, Severity::Note, what, "let patterns stand for many callers");
    }
    broad::look(table, &mut findings);
    slips::look(table, around, &mut findings);
    egress::look(table, &mut findings);
    stale::look(table, around, &mut findings);
    if small {
        size::look(table, &mut findings);
    }
    if let Some(boundary) = boundary.filter(|_| small) {
        capped::look(table, boundary, around, &mut findings);
    }
    let mut all = findings.all;
    all.sort_by_key(|finding| (finding.place.line, finding.place.column, finding.lint));
    all
}

/// Findings, and where rules stand.
struct Findings<'o> {
    outline: &'o Outline,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn rule(
        &mut self,
        index: usize,
        rule: &Rule,
        at: impl Fn(&RuleOutline) -> Position,
        lint: Lint,
        severity: Severity,
        said: (String, &str),
    ) {
        let place = self.outline.rules.get(index).map(at).unwrap_or_default();
        let (what, instead) = (said.0, said.1.to_owned());
        self.all.push(Finding { lint, severity, place, rule: Some(rule.facts.id.to_string()), what, instead });
    }

    fn table(&mut self, place: Position, lint: Lint, severity: Severity, what: String, instead: &str) {
        self.all.push(Finding { lint, severity, place, rule: None, what, instead: instead.to_owned() });
    }
}

/// Whether a rule has not ended.
fn is_live(rule: &Rule, now: SystemTime) -> bool {
    rule.expires.is_none_or(|end| now < end)
}

fn written(at: SystemTime) -> String {
    moment::format(at)
}
