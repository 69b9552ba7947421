//! What is suspicious in the records, and what is done about it.
//!
//! The writer shows each entry to the [`Detectors`] as it collects it, so a request's thread pays nothing. They keep what they know in tables of fixed
//! size, some 2.5 MB in all and 5 MB at worst, and count time by a clock that nobody sets: a step of the wall clock neither makes a finding nor hides
//! one. What they find goes into the log as `finding` records, with an `action` record behind each one that was acted on.

mod callers;
mod finding;
mod limit;
mod once;
mod paths;
mod promotion;
mod settings;
#[cfg(test)]
mod tests;
mod window;

pub use finding::{About, Detector, Finding, Response, Severity};
pub use settings::{Burst, Mode, Settings, Watch, Watching};

use super::entry::{Aggregate, Entry, Event, Gap, Key, RuleKey, What};
use super::id::Ids;
use super::record::{Decision, DecisionId, Direction, Phase, PolicyEvent, Target, Trouble};
use super::webhook::Outbox;
use crate::identity::{PeerIdentity, Principal};
use crate::policy::quarantine::{Act, Found, Quarantine};
use crate::policy::{Facts, Reason, Trial, Verdict};
use crate::runtime::clock::Clock;
use crate::telemetry::metrics::{finding_left_out, finding_made, webhook_dropped};
use callers::{Callers, Kind, Passed, Refusal, millis};
use limit::Limit;
use once::{Episodes, Lately};
use promotion::Promotion;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use window::Tick;

/// From a finding of one kind about one subject to the next, where no window says otherwise, milliseconds.
const QUIET: u64 = 600_000;

/// The same for gaps of the log itself.
const GAPS: u64 = 60_000;

/// What the detectors work with.
pub struct Detecting {
    /// What is looked for at first; [`super::Journal::set_detect`] changes it.
    pub settings: Settings,
    /// Where certificates go.
    pub quarantine: Quarantine,
    /// The wall clock, for what is written.
    pub clock: Arc<dyn Clock>,
    /// Gets the line of each finding, where there is a webhook.
    pub outbox: Option<Outbox>,
}

/// The writer's detectors.
pub(super) struct Detectors {
    settings: Arc<Settings>,
    quarantine: Quarantine,
    clock: Arc<dyn Clock>,
    ids: Ids,
    began: Instant,
    now: Instant,
    hasher: RandomState,
    callers: Callers,
    issuers: Lately<bool>,
    addresses: Lately<Option<Sighting>>,
    episodes: Episodes,
    promotion: Promotion,
    limits: [Limit; Detector::ALL.len()],
    made: Vec<Event>,
    outbox: Option<Outbox>,
}

/// Where a certificate was seen last.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    address: IpAddr,
    at: Tick,
    id: DecisionId,
}

impl Detectors {
    pub(super) fn new(detecting: Detecting, ids: Ids, now: Instant) -> Self {
        let Detecting { settings, quarantine, clock, outbox } = detecting;
        Self {
            settings: Arc::new(settings),
            quarantine,
            clock,
            ids,
            began: now,
            now,
            hasher: RandomState::new(),
            callers: Callers::default(),
            issuers: Lately::default(),
            addresses: Lately::default(),
            episodes: Episodes::default(),
            promotion: Promotion::default(),
            limits: Default::default(),
            made: Vec::new(),
            outbox,
        }
    }

    /// A round begins at `now`, by these settings; others than before begin to count anew.
    pub(super) fn begin(&mut self, now: Instant, settings: Option<Arc<Settings>>) {
        self.now = now;
        if let Some(settings) = settings.filter(|settings| !Arc::ptr_eq(settings, &self.settings)) {
            self.settings = settings;
            self.callers = Callers::default();
        }
        for detector in Detector::ALL {
            if let Some(owed) = self.limits[detector as usize].owed(self.tick()) {
                let about = About { detail: "findings were left out: there were too many in a minute".into(), ..About::default() };
                self.push(Made { suppressed: owed, ..Made::of(detector, about, owed, Vec::new()) });
            }
        }
    }

    /// Looks at an entry; `first`: it is the first allow between two identities.
    pub(super) fn entry(&mut self, entry: &Entry, first: bool) {
        match &entry.what {
            What::Decision(decision) => self.decision(decision, first),
            What::Aggregate(aggregate) => self.aggregate(aggregate),
            What::Gap(gap) => self.gap(gap),
            What::Handshake(_) => {}
        }
    }

    /// Looks at what the control plane did.
    pub(super) fn table(&mut self, event: &PolicyEvent) {
        self.promotion.table(event, self.tick());
    }

    /// Looks at what went wrong there.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let (detector, watching, key, detail) = match trouble {
            Trouble::ReloadFailed(problem) => {
                (Detector::ReloadFailed, self.settings.reload_failed, self.hasher.hash_one(&problem), problem)
            }
            Trouble::RenewalLate { serial, not_after } => {
                let left = not_after.duration_since(self.clock.now()).unwrap_or_default().as_secs();
                let detail = format!("our certificate {serial} is past 80 % of its life and not renewed; it ends in {left} s");
                (Detector::RenewalLate, self.settings.renewal_late, self.hasher.hash_one(&serial), detail)
            }
        };
        if watching == Watching::Advise {
            self.once(detector, key, 1, QUIET, |_| About { detail, ..About::default() }, Vec::new());
        }
    }

    /// What was found since it was asked last, ready to be recorded, in order.
    pub(super) fn take(&mut self) -> std::vec::Drain<'_, Event> {
        self.made.drain(..)
    }

    /// A finding was written as `line`: who is to be told is told.
    pub(super) fn tell(&self, line: &[u8]) {
        if self.outbox.as_ref().is_some_and(|outbox| !outbox.put(line)) {
            webhook_dropped();
            tracing::error!("a finding found the webhook's outbox full; it is in the decision log only");
        }
    }

    fn decision(&mut self, decision: &Decision, first: bool) {
        let caller = decision.caller.identity.as_deref();
        if let Some(identity) = caller.filter(|_| decision.caller.notice()) {
            self.connection(decision, identity);
        }
        if first && self.settings.new_edge == Watching::Advise {
            let about = About { detail: "the first request that is allowed between the two".into(), ..about(decision) };
            self.find(Made::of(Detector::NewEdge, about, 1, vec![decision.id]));
        }
        match decision.verdict {
            Verdict::Allow => self.allowed(decision),
            Verdict::Deny => {
                if let (Some(kind), Some(identity)) = (kind(decision.facts.reason), caller) {
                    let path = decision.request.as_ref().map(|request| request.path());
                    let (caller, serial) = (&identity.principal, Some(identity.serial.as_str()));
                    let address = Some(decision.caller.source.ip());
                    self.refused(Refusal { kind, caller, serial, path, id: decision.id, count: 1 }, address);
                    self.denied(&decision.facts, caller, decision.id, 1);
                }
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        let Key::Decision { direction: Direction::Inbound, caller: Some(caller), rule, reason, .. } = &aggregate.key else { return };
        let Some(kind) = kind(*reason) else { return };
        let (id, count) = (aggregate.id, aggregate.span.count);
        self.refused(Refusal { kind, caller, serial: None, path: None, id, count }, None);
        let rule = rule.as_ref().map(|RuleKey { rule, .. }| &**rule);
        let promoted = self.promotion.denied(aggregate.table.as_deref(), rule, self.tick(), millis(self.settings.promoted_denial.window));
        if promoted && kind == Kind::Denied {
            self.promoted(caller, rule.map(|rule| rule.id.as_str()), id, count);
        }
    }

    fn gap(&mut self, gap: &Gap) {
        if self.settings.audit_gap == Watching::Advise {
            let (key, cause) = (self.hasher.hash_one(gap.cause.as_str()), gap.cause.as_str());
            let detail = move |count| About { detail: format!("{count} allows left no record of their own: {cause}"), ..About::default() };
            self.once(Detector::AuditGap, key, gap.span.count, GAPS, detail, vec![gap.id]);
        }
    }

    /// The first record of a connection.
    fn connection(&mut self, decision: &Decision, identity: &PeerIdentity) {
        if self.settings.new_issuer == Watching::Advise {
            let known = self.issuers.of(self.hasher.hash_one(&identity.issuer), || false);
            if !std::mem::replace(known, true) {
                let detail = format!("the first certificate of {} since the start", identity.issuer);
                self.find(Made::of(Detector::NewIssuer, About { detail, ..about(decision) }, 1, vec![decision.id]));
            }
        }
        if self.settings.shared_certificate.mode == Watching::Advise {
            self.sighted(decision, identity);
        }
    }

    fn sighted(&mut self, decision: &Decision, identity: &PeerIdentity) {
        let (now, window) = (self.tick(), millis(self.settings.shared_certificate.window));
        let address = decision.caller.source.ip().to_canonical();
        let key = self.hasher.hash_one(&identity.fingerprint);
        let sighting = Sighting { address, at: now, id: decision.id };
        let before = self.addresses.of(key, || None).replace(sighting);
        let Some(before) = before.filter(|before| before.address != address && now.saturating_sub(before.at) < window) else { return };
        let detail = move |_| About {
            detail: format!("seen from {} and {address}, {} s apart", before.address, now.saturating_sub(before.at) / 1_000),
            ..about(decision)
        };
        let key = self.hasher.hash_one((Detector::SharedCertificate.as_str(), key));
        self.once(Detector::SharedCertificate, key, 1, window, detail, vec![before.id, decision.id]);
    }

    fn allowed(&mut self, decision: &Decision) {
        let facts = &decision.facts;
        if let Some(would) = facts.would.as_ref().filter(|would| would.verdict == Verdict::Deny && would.by == Trial::Shadow) {
            self.promotion.would_deny(would.rule.as_deref());
        }
        if self.settings.break_glass == Watching::Off || decision.outcome.phase == Some(Phase::End) {
            return;
        }
        let Some((rule, ticket)) = facts.rule.as_ref().zip(facts.ticket()) else { return };
        let caller = decision.caller.identity.as_ref().map(|identity| &identity.principal);
        let key = self.hasher.hash_one((Detector::BreakGlass.as_str(), caller, &rule.id));
        let detail = |_| About { detail: format!("rule {} of ticket {ticket} let pass", rule.id), ..about(decision) };
        self.once(Detector::BreakGlass, key, 1, QUIET, detail, vec![decision.id]);
    }

    fn denied(&mut self, facts: &Facts, caller: &Principal, id: DecisionId, count: u64) {
        let window = millis(self.settings.promoted_denial.window);
        let (table, rule) = (facts.table.as_deref(), facts.rule.as_deref());
        if kind(facts.reason) == Some(Kind::Denied) && self.promotion.denied(table, rule, self.tick(), window) {
            self.promoted(caller, rule.map(|rule| rule.id.as_str()), id, count);
        }
    }

    /// A denial by what was tried before.
    fn promoted(&mut self, caller: &Principal, rule: Option<&str>, id: DecisionId, count: u64) {
        let Watch { mode, window } = self.settings.promoted_denial;
        if mode == Watching::Off {
            return;
        }
        let key = self.hasher.hash_one((Detector::PromotedDenial.as_str(), caller, rule));
        let rule = rule.unwrap_or("(none)").to_owned();
        let about = |count| About {
            direction: Some(Direction::Inbound),
            caller: Some(caller.to_string()),
            detail: format!("{count} denied, by rule {rule}, since what was tried before is enforced"),
            ..About::default()
        };
        self.once(Detector::PromotedDenial, key, count, millis(window), about, vec![id]);
    }

    fn refused(&mut self, refusal: Refusal<'_>, address: Option<IpAddr>) {
        let wanted = match refusal.kind {
            Kind::Denied => self.settings.denial_burst.mode != Mode::Off || self.settings.scanning.mode != Mode::Off,
            Kind::Malformed => self.settings.malformed_burst.mode != Mode::Off,
        };
        // What a certificate did before it was put into quarantine comes in after that, and was dealt with.
        let dealt_with = || refusal.serial.is_some_and(|serial| self.quarantine.has_certificate(serial));
        if wanted && !dealt_with() {
            let passed: Vec<Passed> = self.callers.refused(refusal, &self.settings, self.tick()).collect();
            for passed in passed.into_iter().filter(|passed| passed.burst.mode != Mode::Off) {
                self.passed(refusal.caller, address, passed);
            }
        }
    }

    /// A threshold was passed: acts where it may, then tells.
    fn passed(&mut self, caller: &Principal, address: Option<IpAddr>, passed: Passed) {
        let Passed { detector, count, serial, evidence, burst } = passed;
        let Some(suppressed) = self.admit(detector) else { return };
        let seconds = burst.window.as_secs();
        let detail = match detector {
            Detector::Scanning => format!("more than {} distinct paths denied within {seconds} s", burst.threshold),
            Detector::MalformedBurst => format!("more than {} malformed requests within {seconds} s", burst.threshold),
            _ => format!("more than {} denials within {seconds} s, and than is usual", burst.threshold),
        };
        let (mut response, mut change) = (Response::WouldQuarantine, None);
        match serial.as_deref() {
            None => response = Response::Spread,
            Some(serial) if burst.mode == Mode::Act => {
                let found = Found { holder: caller, serial, lasting: burst.lasting, cause: &detail, detector: detector.as_str() };
                change = self.quarantine.add_automatic(&found, self.clock.now(), self.now);
                response = match change.as_ref().map(|change| change.act) {
                    None => Response::Standing,
                    Some(Act::Refuse(refused)) => Response::Refused(refused),
                    Some(_) => Response::Quarantined,
                };
                if response == Response::Quarantined {
                    self.callers.acted(caller, serial);
                }
            }
            Some(_) => {}
        }
        let about = About {
            direction: Some(Direction::Inbound),
            caller: Some(caller.to_string()),
            serial: serial.map(String::from),
            address,
            callee: None,
            detail,
        };
        self.push(Made { window: burst.window, suppressed, response, ..Made::of(detector, about, count, evidence) });
        self.made.extend(change.map(Event::Action));
    }

    /// Counts events under a key, and tells of them unless that was done within `quiet` milliseconds.
    fn once(&mut self, detector: Detector, key: u64, count: u64, quiet: u64, about: impl FnOnce(u64) -> About, evidence: Vec<DecisionId>) {
        if let Some(count) = self.episodes.count(key, count, self.tick(), quiet) {
            self.find(Made::of(detector, about(count), count, evidence));
        }
    }

    fn find(&mut self, made: Made) {
        if let Some(suppressed) = self.admit(made.detector) {
            self.push(Made { suppressed, ..made });
        }
    }

    fn admit(&mut self, detector: Detector) -> Option<u64> {
        let admitted = self.limits[detector as usize].admit(self.tick());
        if admitted.is_none() {
            finding_left_out(detector.as_str());
        }
        admitted
    }

    fn push(&mut self, made: Made) {
        let Made { detector, about, count, window, evidence, suppressed, response } = made;
        finding_made(detector.as_str(), response.as_str());
        // A level is part of the place in the code, so there are two.
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    detector = detector.as_str(),
                    severity = detector.severity().as_str(),
                    response = response.as_str(),
                    caller = about.caller,
                    serial = about.serial,
                    count,
                    suppressed,
                    "finding: {}",
                    about.detail
                )
            };
        }
        match detector.severity() {
            Severity::Informational => say!(info),
            Severity::Medium | Severity::High => say!(warn),
        }
        let at = self.clock.now();
        let id = self.ids.next(at);
        self.made.push(Event::Finding(Finding { id, at, detector, about, count, window, evidence, suppressed, response }));
    }

    fn tick(&self) -> Tick {
        millis(self.now.saturating_duration_since(self.began))
    }
}

/// A finding in the making.
struct Made {
    detector: Detector,
    about: About,
    count: u64,
    window: Duration,
    evidence: Vec<DecisionId>,
    suppressed: u64,
    response: Response,
}

impl Made {
    fn of(detector: Detector, about: About, count: u64, evidence: Vec<DecisionId>) -> Self {
        Self { detector, about, count, window: Duration::ZERO, evidence, suppressed: 0, response: Response::Told }
    }
}

/// Both ends of a decision.
fn about(decision: &Decision) -> About {
    let identity = decision.caller.identity.as_deref();
    About {
        direction: Some(decision.direction),
        caller: identity.map(|identity| identity.principal.to_string()),
        serial: identity.map(|identity| identity.serial.clone()),
        address: Some(decision.caller.source.ip().to_canonical()),
        callee: decision.target.as_deref().map(|Target { id, host, .. }| id.clone().unwrap_or_else(|| host.clone())),
        detail: String::new(),
    }
}

/// What a refusal counts as. Whoever is in quarantine is refused for that alone, and what the data path refuses is not the caller's doing.
fn kind(reason: Reason) -> Option<Kind> {
    match reason {
        Reason::ExplicitDeny | Reason::ImplicitDeny | Reason::Boundary => Some(Kind::Denied),
        Reason::Malformed(_) => Some(Kind::Malformed),
        _ => None,
    }
}
