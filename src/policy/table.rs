//! The table: what records say about it, and its rules.

use super::class::Classes;
use super::condition::{Tags, Timely};
use super::egress::Egress;
use super::jwt::{Claims, Issuers};
use super::looked::Condition;
use super::principals::Principals;
use super::rule::{Mode, Rule};
use super::standing::Percent;
use crate::request::Mentioned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// What a rule does, and how a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The request may pass.
    Allow,
    /// The request is refused.
    Deny,
}

impl Verdict {
    /// The name in the decision log and in a table's cases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What a record says about the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFacts {
    /// The table's `name`.
    pub name: String,
    /// The table's `version`.
    pub version: String,
    /// SHA-256 over the table's canonical JSON, lower-case hex.
    pub sha256: String,
}

/// What a record says about a rule. Shared by reference between table, permits and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFacts {
    /// The rule's `id`, or `upstream:<host>` for a matched route.
    pub id: String,
    /// Its path patterns, a line each: one allocation, since a large table keeps little else.
    templates: Box<str>,
    /// Of a break-glass rule: the ticket that its use is recorded with.
    pub ticket: Option<Box<str>>,
}

impl RuleFacts {
    /// What a record says about a matched outbound route, `upstream:<host>`.
    pub fn route(name: &str) -> Self {
        Self::new(name, [])
    }

    /// What a record says about a rule with this id and these path patterns, of which none has a line break.
    pub(crate) fn new<'p>(id: &str, templates: impl IntoIterator<Item = &'p str>) -> Self {
        let templates: Vec<&str> = templates.into_iter().collect();
        Self { id: id.to_owned(), templates: templates.join("\n").into(), ticket: None }
    }

    pub(super) fn with_ticket(self, ticket: Option<Box<str>>) -> Self {
        Self { ticket, ..self }
    }

    /// The path patterns of the rule, as canonical paths are spelled; the record's `http.template` is the one that matched.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.templates.lines()
    }

    /// One of them, by its place.
    pub fn template(&self, place: u32) -> Option<&str> {
        // For each record: found by words, where an iterator of lines goes by characters.
        let mut rest = &*self.templates;
        for _ in 0..place {
            rest = rest.get(memchr::memchr(b'\n', rest.as_bytes())? + 1..)?;
        }
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        rest.get(..end).filter(|template| !template.is_empty())
    }
}

/// One immutable policy table.
#[derive(Debug)]
pub struct Table {
    /// Unlike that of every other table of this process, and higher than that of every table read before.
    pub generation: u64,
    /// Name, version and hash.
    pub facts: Arc<TableFacts>,
    pub(super) mode: Mode,
    pub(super) percent: Percent,
    /// In file order.
    pub(super) rules: Box<[Rule]>,
    pub(super) egress: Box<[Egress]>,
    pub(super) principals: Principals,
    pub(super) issuers: Issuers,
    mentioned: Mentioned,
    timely: Timely,
    pub(super) tags: Tags,
    pub(super) classes: Classes,
}

/// What a table is made of.
pub(super) struct Contents {
    pub(super) facts: TableFacts,
    pub(super) mode: Mode,
    pub(super) percent: Percent,
    /// In file order, as those after them.
    pub(super) rules: Vec<Rule>,
    pub(super) egress: Vec<Egress>,
    /// Of the rules.
    pub(super) issuers: Issuers,
    pub(super) tags: Tags,
}

/// A trial that was meant to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueShadow {
    /// The rule in shadow; `None`: the whole table.
    pub rule: Option<Arc<RuleFacts>>,
    /// Its `shadow_until`.
    pub until: SystemTime,
}

impl Table {
    pub(super) fn new(contents: Contents) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
        let Contents { facts, mode, percent, rules, egress, issuers, tags } = contents;
        let mentioned = Mentioned::new(rules.iter().flat_map(Rule::mentioned).collect());
        let timely = Timely::of(rules.iter().flat_map(|rule| &rule.conditions).map(|condition| &**condition));
        let (facts, principals, classes) = (Arc::new(facts), Principals::new(&rules), Classes::default());
        Self {
            generation,
            facts,
            mode,
            percent,
            rules: rules.into(),
            egress: egress.into(),
            issuers,
            principals,
            mentioned,
            timely,
            tags,
            classes,
        }
    }

    /// Whether the table is enforced or in shadow.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The share of identities that it is enforced for, from 1 to 100.
    pub fn percent(&self) -> u8 {
        self.percent.get()
    }

    /// The rules in file order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<RuleFacts>> {
        self.rules.iter().map(|rule| &rule.facts)
    }

    /// The header names that its rules mention.
    pub fn mentioned(&self) -> &Mentioned {
        &self.mentioned
    }

    /// The rules about gRPC methods, in file order.
    pub fn grpc_rules(&self) -> impl Iterator<Item = &Arc<RuleFacts>> {
        self.rules.iter().filter(|rule| rule.is_grpc()).map(|rule| &rule.facts)
    }

    /// Whose tokens its rules believe.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Whether one of its conditions may be met at one hour and not at another, by the same request with a token that says `claims`.
    pub(super) fn asks_the_hour(&self, condition: &Condition, claims: Option<&Claims>) -> bool {
        self.timely.asks_the_hour(condition, claims)
    }

    /// When one of its rules ends or one of its windows begins or ends, for the first time after `now`: until then requests under way are decided as now.
    pub fn holds_until(&self, now: SystemTime) -> Option<SystemTime> {
        let ends = self.rules.iter().filter_map(|rule| rule.expires).filter(|end| *end > now);
        ends.chain(self.timely.hold_until(now)).min()
    }

    /// Every shadow whose `shadow_until` is past; they stay in shadow and somebody should hear of them.
    pub fn overdue_shadows(&self, now: SystemTime) -> Vec<OverdueShadow> {
        let overdue = |mode: Mode, rule: Option<&Arc<RuleFacts>>| match mode {
            Mode::Shadow { until } if until <= now => Some(OverdueShadow { rule: rule.cloned(), until }),
            _ => None,
        };
        let rules = self.rules.iter().filter_map(|rule| overdue(rule.mode, Some(&rule.facts)));
        overdue(self.mode, None).into_iter().chain(rules).collect()
    }
}
