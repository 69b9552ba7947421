//! The decision: the only maker of a [`Permit`].

use super::class::Met;
use super::evaluate::{Candidate, Findings, Outcome, rule};
use super::jwt::{Claims, EndUser, User};
use super::looked::{Looked, Looking, Looks};
use super::methods;
use super::rule::Question;
use super::ruling::{By, Ruling, Said};
use super::usage::{Asked, Tally};
use super::{Caller, Part, RuleFacts, Snapshot, Table, TableFacts, Verdict};
use crate::identity::{PeerIdentity, Principal};
use crate::request::{CanonicalRequest, Malformed};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The status of a denial by policy.
const FORBIDDEN: u16 = 403;

/// The right to forward one request. Only [`decide`] and [`permit_route`] make one.
#[derive(Debug)]
pub struct Permit {
    kind: PermitKind,
    facts: Facts,
    _private: (),
}

/// What granted a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitKind {
    /// A rule of the table, or a table in shadow mode.
    Policy,
    /// A matched outbound route.
    Route,
}

/// What a decision was made of, kept for the record and for deciding again.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The rule that decided.
    pub rule: Option<Arc<RuleFacts>>,
    /// The pattern of the rule that matched the path, by its place in the rule.
    pub pattern: Option<u32>,
    /// Why.
    pub reason: Reason,
    /// The conditions that were looked at, and the end user; `None`: none was.
    pub looked: Option<Arc<Looks>>,
    /// What a shadow rule or table, or the candidate, would have decided, where that differs.
    pub would: Option<Box<Would>>,
    /// The service's own table; `None`: there was none.
    pub table: Option<Arc<TableFacts>>,
    /// The table that caps it, where there is one.
    pub boundary: Option<Arc<TableFacts>>,
    /// The generation of the own table.
    pub generation: u64,
    /// Whether an `audit` rule asks for a full record.
    pub audited: bool,
    /// The deciding rule's share of plain allows to record, 0.0 to 1.0.
    pub sample: f32,
}

/// A verdict that was not enforced.
#[derive(Debug, Clone)]
pub struct Would {
    /// What it would have been.
    pub verdict: Verdict,
    /// The rule that would have decided; `None`: the implicit denial.
    pub rule: Option<Arc<RuleFacts>>,
    /// What is being tried.
    pub by: Trial,
}

/// What decides without being enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// A rule or a table in shadow.
    Shadow,
    /// The candidate, which is this table.
    Candidate(Arc<TableFacts>),
}

/// Why a decision came out as it did; [`Reason::text`] is the record's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An allow rule matched.
    Rule,
    /// An outbound route matched.
    Route,
    /// The table is in shadow mode and would have denied.
    Shadow,
    /// The request could not be made canonical.
    Malformed(Malformed),
    /// No usable identity; the code says why, such as `expired`.
    Unauthenticated(&'static str),
    /// The identity or the certificate is in quarantine.
    Quarantined,
    /// An enforced deny rule matched.
    ExplicitDeny,
    /// Nothing matched.
    ImplicitDeny,
    /// The own table would let pass; the one that caps it does not.
    Boundary,
    /// No usable table.
    NoPolicy,
    /// Allowed or not: what the data path refused, such as `unknown_host`, `loop`, `shed`, `max_body`.
    Refused(&'static str),
}

impl Reason {
    /// The record's `reason`.
    pub fn text(self) -> Cow<'static, str> {
        match self {
            Self::Rule => "rule".into(),
            Self::Route => "route".into(),
            Self::Shadow => "shadow".into(),
            Self::Malformed(malformed) => malformed.to_string().into(),
            Self::Unauthenticated(code) => format!("unauthenticated:{code}").into(),
            Self::Quarantined => "quarantined".into(),
            Self::ExplicitDeny => "explicit_deny".into(),
            Self::ImplicitDeny => "implicit_deny".into(),
            Self::Boundary => "boundary".into(),
            Self::NoPolicy => "no_policy".into(),
            Self::Refused(code) => code.into(),
        }
    }
}

/// A refusal by policy.
#[derive(Debug)]
pub struct Denial {
    /// 403 for a denial, 400 and its kin for a malformed request.
    pub status: u16,
    /// What it was made of.
    pub facts: Facts,
}

impl Denial {
    /// The refusal of a request that could not be made canonical (step 1).
    pub fn malformed(malformed: Malformed, table: &Snapshot) -> Self {
        Self { status: malformed.status(), facts: Facts::without_rule(Reason::Malformed(malformed), table) }
    }
}

impl Facts {
    /// The ticket of the break-glass rule that decided.
    pub fn ticket(&self) -> Option<&str> {
        self.rule.as_deref()?.ticket.as_deref()
    }

    /// The facts of an end that no rule decided.
    pub fn without_rule(reason: Reason, table: &Snapshot) -> Self {
        Self {
            rule: None,
            pattern: None,
            reason,
            looked: None,
            would: None,
            table: table.as_ref().map(|tables| tables.own().facts.clone()),
            boundary: table.as_ref().and_then(|tables| tables.boundary()).map(|table| table.facts.clone()),
            generation: table.as_ref().map_or(0, |tables| tables.own().generation),
            audited: false,
            sample: 1.0,
        }
    }

    /// The conditions that were looked at.
    pub fn conditions(&self) -> &[Looked] {
        self.looked.as_deref().map_or(&[], |looked| &looked.conditions)
    }

    /// On whose behalf the request was made, as far as a rule asked and a verified token said.
    pub fn user(&self) -> Option<&User> {
        self.looked.as_deref()?.user.as_deref()
    }

    /// The text of the pattern that matched the path.
    pub fn template(&self) -> Option<&str> {
        self.rule.as_ref().zip(self.pattern).and_then(|(rule, pattern)| rule.template(pattern))
    }

    fn with_rule(mut self, table: &Table, candidate: Candidate) -> Self {
        if let Some(rule) = rule(&table.rules, candidate) {
            self.pattern = Some(candidate.template);
            self.rule = Some(rule.facts.clone());
            self.sample = rule.sample;
        }
        self
    }
}

impl Permit {
    fn new(kind: PermitKind, facts: Facts) -> Self {
        Self { kind, facts, _private: () }
    }

    /// What granted it.
    pub fn kind(&self) -> PermitKind {
        self.kind
    }

    /// What the decision was made of.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// Decides one request by the tables in force: who asks, then quarantine, then the rules. The first step, the canonical
/// request, is behind it already.
///
/// # Errors
/// The denial, to be recorded before the response is written.
pub fn decide(table: &Snapshot, caller: &Caller, request: &CanonicalRequest, now: SystemTime) -> Result<Permit, Box<Denial>> {
    decide_asked(table, caller, request, now, None, None)
}

/// As [`decide`], where the rules that decide are counted: for a request that is answered by this decision.
///
/// # Errors
/// As [`decide`].
pub fn decide_counted(
    table: &Snapshot,
    caller: &Caller,
    request: &CanonicalRequest,
    now: SystemTime,
    tally: &Tally,
) -> Result<Permit, Box<Denial>> {
    decide_asked(table, caller, request, now, None, Some(tally))
}

/// As [`decide`], where a token with these claims was verified already.
pub(super) fn decide_given(
    table: &Snapshot,
    caller: &Caller,
    request: &CanonicalRequest,
    now: SystemTime,
    claims: Option<&Claims>,
) -> Result<Permit, Box<Denial>> {
    decide_asked(table, caller, request, now, claims, None)
}

fn decide_asked(
    table: &Snapshot,
    caller: &Caller,
    request: &CanonicalRequest,
    now: SystemTime,
    claims: Option<&Claims>,
    tally: Option<&Tally>,
) -> Result<Permit, Box<Denial>> {
    let method_bit = methods::bit(&request.method);
    decided(table, caller, now, |principal, Asking { part, table, met, looking }| {
        // By this table's own issuers: what another one believes is nothing to it.
        let user = EndUser::of(request, &table.issuers, now, claims);
        let standing = met.standing();
        let question = Question { request: Some(request), caller, standing, user: &user, method_bit, now, looking };
        let findings = met.findings(table, request, &question);
        looking.user(user.verified());
        if let Some(tally) = tally {
            tally.count(&Asked { part, table, met, principal, request }, &findings, now);
        }
        findings
    })
}

/// Decides one TCP connection, by the rules that say `tcp = true`.
///
/// # Errors
/// As [`decide`].
pub fn decide_connection(table: &Snapshot, caller: &Caller, now: SystemTime) -> Result<Permit, Box<Denial>> {
    decided(table, caller, now, |_, Asking { table, met, looking, .. }| {
        let user = EndUser::nobody(&table.issuers, now);
        let standing = met.standing();
        met.findings_of_connection(table, &Question { request: None, caller, standing, user: &user, method_bit: 0, now, looking })
    })
}

/// A table that is asked.
struct Asking<'d> {
    part: Part,
    table: &'d Arc<Table>,
    met: &'d Arc<Met>,
    looking: &'d Looking,
}

fn decided(
    table: &Snapshot,
    caller: &Caller,
    now: SystemTime,
    findings: impl Fn(&Principal, Asking<'_>) -> Findings,
) -> Result<Permit, Box<Denial>> {
    let deny = |reason| Err(Box::new(Denial { status: FORBIDDEN, facts: Facts::without_rule(reason, table) }));
    let identity = match authenticated(caller, now) {
        Ok(identity) => identity,
        Err(code) => return deny(Reason::Unauthenticated(code)),
    };
    let Some(tables) = table else { return deny(Reason::NoPolicy) };
    // Step 3: before the rules, and never in shadow.
    if tables.quarantined().is_some_and(|quarantined| quarantined.holds(identity, now)) {
        return deny(Reason::Quarantined);
    }
    let principal = &identity.principal;
    let looking = Looking::default();
    let said = |part, table| {
        caller.classes.with(part, table, caller, principal, |met| Said {
            part,
            table,
            is_in_shadow: met.is_in_shadow(),
            findings: findings(principal, Asking { part, table, met, looking: &looking }),
        })
    };
    let own = said(Part::Own, tables.own());
    let boundary = tables.boundary().map(|table| said(Part::Boundary, table));
    let ruling = Ruling::of(own, boundary);
    let candidate = tables.candidate().map(|table| Ruling::of(said(Part::Candidate, table), boundary));
    let mut facts = facts(&ruling, table);
    if let Some(trial) = tables.candidate().zip(candidate).filter(|(_, candidate)| candidate.verdict != ruling.verdict) {
        facts.would = Some(Box::new(tried(trial)));
    }
    facts.looked = looking.finish();
    match ruling.verdict {
        Verdict::Allow => Ok(Permit::new(PermitKind::Policy, facts)),
        Verdict::Deny => Err(Box::new(Denial { status: FORBIDDEN, facts })),
    }
}

/// The permit of a matched outbound route; `rule` is named `upstream:<host>`.
pub fn permit_route(rule: Arc<RuleFacts>, table: &Snapshot) -> Permit {
    let facts = Facts::without_rule(Reason::Route, table);
    Permit::new(PermitKind::Route, Facts { rule: Some(rule), ..facts })
}

/// Step 2: who asks. A connection ends before its certificate does; this holds where that was missed.
fn authenticated(caller: &Caller, now: SystemTime) -> Result<&PeerIdentity, &'static str> {
    let identity: &PeerIdentity = caller.identity.as_deref().ok_or("no_identity")?;
    // The last second of the validity belongs to it (RFC 5280 section 4.1.2.5).
    let live = identity.not_after.checked_add(Duration::from_secs(1)).is_none_or(|end| now < end);
    if live { Ok(identity) } else { Err("expired") }
}

/// Steps 4 to 6, as the record says them.
pub(super) fn facts(ruling: &Ruling<'_>, tables: &Snapshot) -> Facts {
    let By { part, table, outcome } = ruling.by;
    let reason = match (ruling.verdict, part, outcome) {
        (Verdict::Allow, _, Outcome::Allow(_)) => Reason::Rule,
        (Verdict::Allow, ..) => Reason::Shadow,
        (Verdict::Deny, Part::Boundary, _) => Reason::Boundary,
        (Verdict::Deny, _, Outcome::Deny(_)) => Reason::ExplicitDeny,
        (Verdict::Deny, ..) => Reason::ImplicitDeny,
    };
    let facts = Facts {
        audited: ruling.audited,
        would: ruling.would.map(|by| Box::new(would(&by, Trial::Shadow))),
        ..Facts::without_rule(reason, tables)
    };
    // What lets pass where a table in shadow would not is no rule.
    match outcome.candidate().filter(|_| reason != Reason::Shadow) {
        Some(candidate) => facts.with_rule(table, candidate),
        None => facts,
    }
}

/// The verdict of the candidate, which is another one than what is enforced.
fn tried((table, ruling): (&Arc<Table>, Ruling<'_>)) -> Would {
    Would { verdict: ruling.verdict, ..would(&ruling.by, Trial::Candidate(Arc::clone(&table.facts))) }
}

fn would(by: &By<'_>, trial: Trial) -> Would {
    let rule = by.outcome.candidate().and_then(|candidate| rule(&by.table.rules, candidate));
    Would { verdict: by.verdict(), rule: rule.map(|rule| rule.facts.clone()), by: trial }
}
