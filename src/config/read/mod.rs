//! One file for each section.

mod audit;
mod choices;
mod credentials;
mod detect;
mod inbound;
mod limits;
mod outbound;
mod policy;
mod ports;
mod quarantine;
mod tls;
mod trace;
mod trust;
mod upstream;
mod webhook;

use super::Config;
use super::effective::Ledger;
use super::keys::Keys;
use crate::document::Document;
use crate::{admin, audit as audit_room, credentials as credentials_room, policy as policy_room};
use crate::{proxy, runtime, telemetry, tls as tls_room, trust as trust_room, upstream as upstream_room};

/// What was read, with gaps where something was wrong. Lists keep their gaps, so that an index means what it means in the text.
pub(super) struct Draft {
    pub(super) runtime: runtime::Settings,
    pub(super) tls: tls_room::Settings,
    pub(super) credentials: Option<credentials_room::Settings>,
    pub(super) trust: Vec<Option<trust_room::Settings>>,
    pub(super) inbound: Option<proxy::Inbound>,
    pub(super) outbound: Option<proxy::Outbound>,
    pub(super) upstreams: Vec<Option<upstream_room::Settings>>,
    pub(super) policy: Option<policy_room::Settings>,
    pub(super) audit: audit_room::Settings,
    pub(super) detect: audit_room::detect::Settings,
    pub(super) webhook: Option<audit_room::webhook::Settings>,
    pub(super) quarantine: policy_room::quarantine::Settings,
    pub(super) limits: runtime::limits::Limits,
    pub(super) timeouts: runtime::limits::Timeouts,
    pub(super) admin: admin::Settings,
    pub(super) log: telemetry::log::Settings,
    pub(super) metrics: telemetry::emf::Settings,
    pub(super) trace: telemetry::Tracing,
}

impl Draft {
    /// The configuration, if there are no gaps.
    pub(super) fn complete(self) -> Option<Config> {
        Some(Config {
            runtime: self.runtime,
            tls: self.tls,
            credentials: self.credentials?,
            trust: self.trust.into_iter().collect::<Option<_>>()?,
            inbound: self.inbound,
            outbound: self.outbound,
            upstreams: self.upstreams.into_iter().collect::<Option<_>>()?,
            policy: self.policy?,
            audit: self.audit,
            detect: self.detect,
            webhook: self.webhook,
            quarantine: self.quarantine,
            limits: self.limits,
            timeouts: self.timeouts,
            admin: self.admin,
            log: self.log,
            metrics: self.metrics,
            trace: self.trace,
        })
    }
}

/// Reads every section of `document`; problems are noted there.
pub(super) fn document(document: &Document<'_>, ledger: &Ledger) -> Draft {
    let root = Keys::root(document, ledger);
    let workload = credentials::workload(&root);
    let runtime = limits::runtime(&root);
    let tls = tls::read(&root);
    let (issuers, credentials) = credentials::read(&root, workload.id, workload.dns_names);
    let trust = trust::read(&root, &issuers);
    let mut inbound = inbound::read(&root);
    let mut outbound = outbound::read(&root);
    let upstreams = upstream::read(&root);
    let policy = policy::read(&root);
    let audit = audit::read(&root, workload.labels);
    let detect = detect::read(&root);
    let webhook = webhook::read(&root);
    let quarantine = quarantine::read(&root);
    let limits = limits::limits(&root);
    let timeouts = limits::timeouts(&root);
    let (admin, app_check) = ports::read(&root);
    let log = ports::log(&root);
    let metrics = ports::metrics(&root);
    let trace = trace::read(&root);
    root.close();
    if let Some(inbound) = &mut inbound {
        inbound.app_check = app_check;
    }
    for strictness in [inbound.as_mut().map(|x| &mut x.strictness), outbound.as_mut().map(|x| &mut x.strictness)].into_iter().flatten() {
        strictness.head_fields = limits.head_fields;
    }
    Draft {
        runtime,
        tls,
        credentials,
        trust,
        inbound,
        outbound,
        upstreams,
        policy,
        audit,
        detect,
        webhook,
        quarantine,
        limits,
        timeouts,
        admin,
        log,
        metrics,
        trace,
    }
}
