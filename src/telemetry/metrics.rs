//! Every metric: name, unit, help, and the handles that the rest of the code holds.
//!
//! Handles are resolved once ([`Process::handles`], [`DataPath::new`]); nothing looks a metric up by label on the request path.
//! Labels are closed sets; never a path, host, address or identity.

use hashbrown::{Equivalent, HashMap};
use metrics::{Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// Buckets of [`DURATION`], seconds: a sidecar adds well under a millisecond, and a response head may take a minute.
const BUCKETS: [f64; 16] = [0.0005, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Installs the process's recorder and describes every metric. Call once, before any handle is resolved; afterwards `run_upkeep` of the handle is
/// due every few seconds.
///
/// # Errors
/// A recorder is already installed.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    describe();
    Ok(handle)
}

macro_rules! names {
    ($($kind:ident $konst:ident = $name:literal, $unit:tt, $help:literal;)*) => {
        $(#[doc = $help] pub const $konst: &str = $name;)*
        /// Tells the recorder unit and help of every metric.
        pub fn describe() {
            $(names!(@describe $kind $konst $unit $help);)*
        }
        /// Every metric as (name, help), for the documentation and its test.
        pub const ALL: &[(&str, &str)] = &[$(($name, $help)),*];
    };
    (@describe counter $konst:ident $unit:tt $help:literal) => { describe_counter!($konst, $unit, $help) };
    (@describe gauge $konst:ident $unit:tt $help:literal) => { describe_gauge!($konst, $unit, $help) };
    (@describe histogram $konst:ident $unit:tt $help:literal) => { describe_histogram!($konst, $unit, $help) };
}

names! {
    counter REQUESTS = "countersign_requests_total", (Unit::Count), "Requests by direction and decision (allow, deny, malformed, refused).";
    counter RESPONSES = "countersign_responses_total", (Unit::Count), "Responses by direction and status class (1xx to 5xx).";
    counter FAILURES = "countersign_failures_total", (Unit::Count), "Requests that were allowed and then failed, by direction and reason.";
    counter CUTS = "countersign_cuts_total", (Unit::Count), "Connections that we ended, by direction and reason (idle, head, body_idle, expired, drained, ...).";
    counter HANDSHAKES = "countersign_handshakes_total", (Unit::Count), "Handshakes by direction and result.";
    counter REPLACED = "countersign_pool_replaced_total", (Unit::Count), "Pooled connections found dead before a byte was written, by direction.";
    counter DIALS = "countersign_dials_total", (Unit::Count), "New connections towards app or peers, by direction.";
    counter RETRIES = "countersign_retries_total", (Unit::Count), "Further attempts, as `retries` of the upstream allows.";
    counter STRIPPED = "countersign_headers_stripped_total", (Unit::Count), "Reserved header fields that a client sent and that were removed, by direction.";
    counter TRAILERS_DROPPED = "countersign_trailers_dropped_total", (Unit::Count), "Trailer fields that were removed, by direction.";
    counter WOULD_DENY = "countersign_would_deny_total", (Unit::Count), "Requests that a shadow rule or table would have denied.";
    counter CANDIDATE_DIFFERENCES = "countersign_candidate_differences_total", (Unit::Count), "Requests that the candidate decides otherwise, by the decision that is enforced (allow, deny), its rule and the candidate's (`(none)`: no rule).";
    gauge CONNECTIONS = "countersign_connections", (Unit::Count), "Open connections by direction.";
    gauge IN_FLIGHT = "countersign_requests_in_flight", (Unit::Count), "Requests between decision and end, by direction.";
    gauge BUFFERED_BYTES = "countersign_buffered_bytes", (Unit::Bytes), "Bytes held for peers and apps that do not take them, estimated; `[limits] buffered_bytes` bounds them.";
    gauge TUNNELS = "countersign_tunnels", (Unit::Count), "Open tunnels (WebSocket and other upgrades) by direction.";
    counter TUNNELS_ENDED = "countersign_tunnels_ended_total", (Unit::Count), "Tunnels that ended, by direction and reason (client_closed, app_closed, peer_closed, tunnel_idle, expired, ...).";
    histogram DURATION = "countersign_request_duration_seconds", (Unit::Seconds), "From the decision to the end of the response, by direction; tunnels are not in it.";
    counter PANICS = "countersign_panics_total", (Unit::Count), "Panics that were contained.";
    counter ACCEPT_ERRORS = "countersign_accept_errors_total", (Unit::Count), "Errors of accept(2), each followed by a pause.";
    counter ROTATIONS = "countersign_rotations_total", (Unit::Count), "Certificate renewals by result (ok, failed).";
    counter ROTATION_FAILURES = "countersign_rotation_failures_total", (Unit::Count), "Attempts that gave no certificate, by reason (denied, throttled, clock, unreachable, budget, other_key, untrusted_chain, expired, ...).";
    counter ISSUE_COUNT_ERRORS = "countersign_issue_count_errors_total", (Unit::Count), "Times that the count of issued certificates could not be read or written.";
    counter ISSUES = "countersign_issues_total", (Unit::Count), "Certificates that a CA elsewhere issued for us.";
    gauge ISSUING_STOPPED = "countersign_issuing_stopped", (Unit::Count), "1 while a ceiling of the issuing budget keeps us from asking for a certificate.";
    counter CERTIFICATE_CACHE = "countersign_certificate_cache_total", (Unit::Count), "What was done with the certificate on disk, by action (open, keep) and result (ok, failed).";
    counter SELF_PROBES = "countersign_self_probes_total", (Unit::Count), "Handshakes with our own listener after a renewal, by result (ok, differs, refused, failed, unanswered).";
    counter RESOLUTIONS = "countersign_dns_resolutions_total", (Unit::Count), "Questions for names of upstreams by result (ok, no_such_name, no_address, server_failure, timeout, no_resolver, failed).";
    gauge ENDPOINTS = "countersign_upstream_endpoints", (Unit::Count), "Addresses in use by upstream, whose first host names it; beyond 64 upstreams, all together as `other`.";
    gauge APP_EXPOSED = "countersign_app_exposed", (Unit::Count), "1 while the app listens on more than loopback, so that it can be reached past the sidecar.";
    counter APP_CHECKS = "countersign_app_checks_total", (Unit::Count), "Questions whether the app is well, by result (ok, failed).";
    gauge APP_WELL = "countersign_app_well", (Unit::Count), "1 while the app answers its check, where one is configured.";
    counter AWS_CALLS = "countersign_aws_calls_total", (Unit::Count), "Calls of AWS by operation and result (ok, throttled, denied, inactive, in_progress, timeout, unreachable, ...).";
    gauge CRYPTO_MODULE = "countersign_crypto_module_info", (Unit::Count), "1, with the crypto module in use, its version, and whether it runs as a FIPS module.";
    gauge SVID_EXPIRES = "countersign_svid_expires_seconds", (Unit::Seconds), "Until our own certificate ends.";
    counter POLICY_RELOADS = "countersign_policy_reloads_total", (Unit::Count), "Policy table reloads by result (ok, failed, unchanged).";
    gauge POLICY_GENERATION = "countersign_policy_generation", (Unit::Count), "The generation of the table in force.";
    counter BREAK_GLASS = "countersign_break_glass_total", (Unit::Count), "Requests that a break-glass rule let pass.";
    gauge POLICY_SHADOW_OVERDUE = "countersign_policy_shadow_overdue", (Unit::Count), "Shadow modes of the table that are past their shadow_until.";
    gauge POLICY_BUNDLE_STALE = "countersign_policy_bundle_stale", (Unit::Count), "Signed policy bundles in force that are past their not_after; their tables stay in force until there is another one.";
    counter POLICY_FETCHES = "countersign_policy_fetches_total", (Unit::Count), "Questions for policy bundles elsewhere by result (ok, unchanged, unresolved, forbidden, unreachable, tls, timeout, redirect, status, malformed, too_large; of S3 also denied, not_found, no_credentials, bad_credentials, no_region, other_region).";
    counter TOKENS_VERIFIED = "countersign_tokens_verified_total", (Unit::Count), "Tokens of end users that were looked at, once each as long as they are remembered, by result (ok, signature, unknown_key, no_keys, algorithm, issuer, audience, claim, malformed, type, critical, too_long).";
    counter JWKS_READS = "countersign_jwks_reads_total", (Unit::Count), "Times that a key set of a token issuer was read, by result (ok, unchanged, unusable, unreadable, unresolved, forbidden, unreachable, tls, timeout, redirect, status, malformed, too_large).";
    gauge JWKS_READ = "countersign_jwks_read_timestamp_seconds", (Unit::Seconds), "When the key set that was read longest ago was read, in seconds since 1970; 0: one never was. Absent without issuers.";
    counter FINDINGS = "countersign_findings_total", (Unit::Count), "Findings by detector and response (none, would_quarantine, quarantined, already_quarantined, spread, refused_never, refused_cap, refused_full).";
    counter FINDINGS_LEFT_OUT = "countersign_findings_left_out_total", (Unit::Count), "Findings that were only counted, by detector: a detector makes ten a minute.";
    counter WEBHOOK_MESSAGES = "countersign_webhook_messages_total", (Unit::Count), "Findings for the webhook by result (ok, failed: is tried again, rejected, dropped).";
    gauge WEBHOOK_WAITING = "countersign_webhook_waiting", (Unit::Count), "Findings that the webhook has not taken yet.";
    gauge QUARANTINE_ENTRIES = "countersign_quarantine_entries", (Unit::Count), "Identities and certificates in quarantine.";
    counter QUARANTINE_CHANGES = "countersign_quarantine_changes_total", (Unit::Count), "Changes of the quarantine by action (quarantine_add, quarantine_remove, quarantine_expire, quarantine_refuse).";
    counter CONFIG_RELOADS = "countersign_config_reloads_total", (Unit::Count), "Configuration reloads by result (ok, failed).";
    counter TRUST_RELOADS = "countersign_trust_reloads_total", (Unit::Count), "Trust bundle reloads by result (ok, failed).";
    counter TRUST_WITHDRAWN = "countersign_trust_withdrawn_total", (Unit::Count), "Certificates with open connections that are not trusted any more, by reason (denied_id, denied_serial, revoked, revocation_unknown, trust_revoked, expired).";
    counter REVOCATION_UNKNOWN = "countersign_revocation_unknown_total", (Unit::Count), "Peers that were accepted although no usable CRL said whether they are revoked, as `mode = best_effort` allows.";
    gauge CRL_NEXT_UPDATE = "countersign_crl_next_update_seconds", (Unit::Seconds), "Until the first CRL is past its nextUpdate; negative: since then. Absent without CRLs.";
    counter CRL_FETCHES = "countersign_crl_fetches_total", (Unit::Count), "Questions for CRLs at URLs by result (ok, unchanged, older, unusable, unresolved, forbidden, unreachable, tls, timeout, redirect, status, malformed, too_large).";
    gauge CRL_FETCHED = "countersign_crl_fetched_timestamp_seconds", (Unit::Seconds), "When the CRL that was fetched longest ago was fetched, in seconds since 1970; 0: one never was. Absent without URLs.";
    counter AUDIT_RECORDS = "countersign_audit_records_total", (Unit::Count), "Records written to the sink, by kind.";
    counter AUDIT_LOST = "countersign_audit_lost_total", (Unit::Count), "Records that did not reach the sink, by cause (ring_full, sink_error). Each episode leaves a gap record.";
    counter AUDIT_SAMPLED = "countersign_audit_sampled_out_total", (Unit::Count), "Plain allows left out by sampling.";
    counter AUDIT_FOLDED = "countersign_audit_folded_total", (Unit::Count), "Denials folded into an aggregate record because their ring was full.";
    counter SPANS = "countersign_spans_total", (Unit::Count), "Spans of traced requests by result (sent, queue_full, failed); in builds with the feature `otlp`.";
    counter AUDIT_ERRORS = "countersign_audit_sink_errors_total", (Unit::Count), "Errors of the sink, such as a full disk.";
}

/// Metrics of the process as a whole.
pub struct Process {
    /// [`PANICS`].
    pub panics: Counter,
    /// [`ACCEPT_ERRORS`].
    pub accept_errors: Counter,
    /// [`ROTATIONS`] with result `ok`.
    pub rotations_ok: Counter,
    /// [`ROTATIONS`] with result `failed`.
    pub rotations_failed: Counter,
    /// [`SVID_EXPIRES`].
    pub svid_expires: Gauge,
    /// [`ISSUES`].
    pub issues: Counter,
    /// [`ISSUING_STOPPED`].
    pub issuing_stopped: Gauge,
    /// [`APP_EXPOSED`].
    pub app_exposed: Gauge,
    /// [`APP_WELL`].
    pub app_well: Gauge,
    /// [`POLICY_RELOADS`] with result `ok`.
    pub policy_ok: Counter,
    /// [`POLICY_RELOADS`] with result `failed`.
    pub policy_failed: Counter,
    /// [`POLICY_RELOADS`] with result `unchanged`.
    pub policy_unchanged: Counter,
    /// [`POLICY_GENERATION`].
    pub policy_generation: Gauge,
    /// [`BREAK_GLASS`].
    pub break_glass: Counter,
    /// [`POLICY_SHADOW_OVERDUE`].
    pub shadow_overdue: Gauge,
    /// [`POLICY_BUNDLE_STALE`].
    pub policy_bundle_stale: Gauge,
    /// [`CONFIG_RELOADS`] with result `ok`.
    pub config_ok: Counter,
    /// [`CONFIG_RELOADS`] with result `failed`.
    pub config_failed: Counter,
    /// [`TRUST_RELOADS`] with result `ok`.
    pub trust_ok: Counter,
    /// [`TRUST_RELOADS`] with result `failed`.
    pub trust_failed: Counter,
    /// [`REVOCATION_UNKNOWN`].
    pub revocation_unknown: Counter,
}

impl Process {
    /// The process's handles, resolved at first use; install the recorder before.
    pub fn handles() -> &'static Self {
        static HANDLES: OnceLock<Process> = OnceLock::new();
        HANDLES.get_or_init(|| Self {
            panics: counter!(PANICS),
            accept_errors: counter!(ACCEPT_ERRORS),
            rotations_ok: counter!(ROTATIONS, "result" => "ok"),
            rotations_failed: counter!(ROTATIONS, "result" => "failed"),
            svid_expires: gauge!(SVID_EXPIRES),
            issues: counter!(ISSUES),
            issuing_stopped: gauge!(ISSUING_STOPPED),
            app_exposed: gauge!(APP_EXPOSED),
            app_well: gauge!(APP_WELL),
            policy_ok: counter!(POLICY_RELOADS, "result" => "ok"),
            policy_failed: counter!(POLICY_RELOADS, "result" => "failed"),
            policy_unchanged: counter!(POLICY_RELOADS, "result" => "unchanged"),
            policy_generation: gauge!(POLICY_GENERATION),
            break_glass: counter!(BREAK_GLASS),
            shadow_overdue: gauge!(POLICY_SHADOW_OVERDUE),
            policy_bundle_stale: gauge!(POLICY_BUNDLE_STALE),
            config_ok: counter!(CONFIG_RELOADS, "result" => "ok"),
            config_failed: counter!(CONFIG_RELOADS, "result" => "failed"),
            trust_ok: counter!(TRUST_RELOADS, "result" => "ok"),
            trust_failed: counter!(TRUST_RELOADS, "result" => "failed"),
            revocation_unknown: counter!(REVOCATION_UNKNOWN),
        })
    }
}

/// Metrics of one direction of the data path; one per direction, shared by its connections.
pub struct DataPath {
    /// [`REQUESTS`] by decision.
    pub allowed: Counter,
    /// See `allowed`.
    pub denied: Counter,
    /// See `allowed`.
    pub malformed: Counter,
    /// See `allowed`: shed, unknown host, loop.
    pub refused: Counter,
    /// [`RESPONSES`] by class, 1xx first.
    pub responses: [Counter; 5],
    /// [`HANDSHAKES`] with result `ok`.
    pub handshakes_ok: Counter,
    /// [`REPLACED`].
    pub replaced: Counter,
    /// [`DIALS`].
    pub dials: Counter,
    /// [`RETRIES`].
    pub retries: Counter,
    /// [`STRIPPED`].
    pub stripped: Counter,
    /// [`TRAILERS_DROPPED`].
    pub trailers_dropped: Counter,
    /// [`WOULD_DENY`].
    pub would_deny: Counter,
    /// [`CANDIDATE_DIFFERENCES`].
    pub differences: Differences,
    /// [`CONNECTIONS`].
    pub connections: Gauge,
    /// [`TUNNELS`].
    pub tunnels: Gauge,
    /// [`DURATION`].
    pub duration: Histogram,
    direction: &'static str,
}

impl DataPath {
    /// The handles of `direction` (`inbound`, `outbound`).
    pub fn new(direction: &'static str) -> Self {
        let response = |class: &'static str| counter!(RESPONSES, "direction" => direction, "class" => class);
        Self {
            allowed: counter!(REQUESTS, "direction" => direction, "decision" => "allow"),
            denied: counter!(REQUESTS, "direction" => direction, "decision" => "deny"),
            malformed: counter!(REQUESTS, "direction" => direction, "decision" => "malformed"),
            refused: counter!(REQUESTS, "direction" => direction, "decision" => "refused"),
            responses: [response("1xx"), response("2xx"), response("3xx"), response("4xx"), response("5xx")],
            handshakes_ok: counter!(HANDSHAKES, "direction" => direction, "result" => "ok"),
            replaced: counter!(REPLACED, "direction" => direction),
            dials: counter!(DIALS, "direction" => direction),
            retries: counter!(RETRIES, "direction" => direction),
            stripped: counter!(STRIPPED, "direction" => direction),
            trailers_dropped: counter!(TRAILERS_DROPPED, "direction" => direction),
            would_deny: counter!(WOULD_DENY, "direction" => direction),
            differences: Differences::default(),
            connections: gauge!(CONNECTIONS, "direction" => direction),
            tunnels: gauge!(TUNNELS, "direction" => direction),
            duration: histogram!(DURATION, "direction" => direction),
            direction,
        }
    }

    /// Counts a response by its status.
    pub fn responded(&self, status: u16) {
        if let Some(counter) = usize::from(status / 100).checked_sub(1).and_then(|class| self.responses.get(class)) {
            counter.increment(1);
        }
    }

    /// Counts a request that was allowed and failed; not on the path of a good request.
    pub fn failed(&self, reason: &'static str) {
        counter!(FAILURES, "direction" => self.direction, "reason" => reason).increment(1);
    }

    /// Counts a connection that we ended.
    pub fn cut(&self, reason: &'static str) {
        counter!(CUTS, "direction" => self.direction, "reason" => reason).increment(1);
    }

    /// Counts a tunnel that ended.
    pub fn tunnel_ended(&self, reason: &'static str) {
        counter!(TUNNELS_ENDED, "direction" => self.direction, "reason" => reason).increment(1);
    }

    /// Counts a handshake that failed; `result` is its closed label.
    pub fn handshake_failed(&self, result: &'static str) {
        counter!(HANDSHAKES, "direction" => self.direction, "result" => result).increment(1);
    }
}

/// Pairs of rules that one shard counts apart; a pair of tables that differ in more is counted under `(other)`.
const DIFFERENCES: usize = 1_000;

/// [`CANDIDATE_DIFFERENCES`] of one shard: the handles, by the rule that is enforced and the candidate's. Tables are the only source of the labels.
#[derive(Default)]
pub struct Differences(RefCell<HashMap<Difference, Counter>>);

/// What is enforced, by which rule, and the candidate's rule.
type Difference = (&'static str, Arc<str>, Arc<str>);

/// A [`Difference`] to look for.
#[derive(Hash)]
struct Sought<'a>(&'static str, &'a str, &'a str);

impl Equivalent<Difference> for Sought<'_> {
    fn equivalent(&self, (decision, rule, candidate): &Difference) -> bool {
        self.0 == *decision && *self.1 == **rule && *self.2 == **candidate
    }
}

impl Differences {
    /// Counts one request; `decision` is what is enforced. A pair that was counted before costs no allocation.
    pub fn count(&self, decision: &'static str, rule: Option<&str>, candidate: Option<&str>) {
        // No id of a rule has a parenthesis.
        const NONE: &str = "(none)";
        const OTHER: &str = "(other)";
        let mut counters = self.0.borrow_mut();
        let mut sought = Sought(decision, rule.unwrap_or(NONE), candidate.unwrap_or(NONE));
        if counters.len() >= DIFFERENCES && !counters.contains_key(&sought) {
            sought = Sought(decision, OTHER, OTHER);
        }
        if let Some(counter) = counters.get(&sought) {
            return counter.increment(1);
        }
        let Sought(decision, rule, candidate) = sought;
        let (rule, candidate): (Arc<str>, Arc<str>) = (rule.into(), candidate.into());
        let counter = counter!(CANDIDATE_DIFFERENCES, "decision" => decision, "rule" => Arc::clone(&rule), "candidate_rule" => Arc::clone(&candidate));
        counter.increment(1);
        counters.insert((decision, rule, candidate), counter);
    }
}

/// Metrics of one shard's end of the decision log.
pub struct AuditShard {
    /// [`AUDIT_SAMPLED`].
    pub sampled_out: Counter,
    /// [`AUDIT_FOLDED`].
    pub folded: Counter,
    /// [`AUDIT_LOST`] with cause `ring_full`.
    pub lost_ring_full: Counter,
    /// [`AUDIT_LOST`] with cause `sink_error`.
    pub lost_sink_error: Counter,
}

impl AuditShard {
    /// The handles; all shards count together.
    #[expect(clippy::new_without_default, reason = "looks metrics up: not a value")]
    pub fn new() -> Self {
        Self {
            sampled_out: counter!(AUDIT_SAMPLED),
            folded: counter!(AUDIT_FOLDED),
            lost_ring_full: counter!(AUDIT_LOST, "cause" => "ring_full"),
            lost_sink_error: counter!(AUDIT_LOST, "cause" => "sink_error"),
        }
    }
}

/// Metrics of the decision log's writer.
pub struct AuditWriter {
    /// [`AUDIT_ERRORS`].
    pub sink_errors: Counter,
    /// [`AUDIT_LOST`] with cause `sink_error`.
    pub lost: Counter,
}

impl AuditWriter {
    /// The handles.
    #[expect(clippy::new_without_default, reason = "looks metrics up: not a value")]
    pub fn new() -> Self {
        Self { sink_errors: counter!(AUDIT_ERRORS), lost: counter!(AUDIT_LOST, "cause" => "sink_error") }
    }

    /// The counter of written records of `kind`, a closed set.
    pub fn records(kind: &'static str) -> Counter {
        counter!(AUDIT_RECORDS, "kind" => kind)
    }
}

/// Counts a finding; both labels are closed.
pub fn finding_made(detector: &'static str, response: &'static str) {
    counter!(FINDINGS, "detector" => detector, "response" => response).increment(1);
}

/// Counts a finding that is only counted; `detector` is a closed label.
pub fn finding_left_out(detector: &'static str) {
    counter!(FINDINGS_LEFT_OUT, "detector" => detector).increment(1);
}

/// Metrics of the webhook.
pub struct Webhook {
    /// [`WEBHOOK_WAITING`].
    pub waiting: Gauge,
}

impl Webhook {
    /// The handles.
    #[expect(clippy::new_without_default, reason = "looks metrics up: not a value")]
    pub fn new() -> Self {
        Self { waiting: gauge!(WEBHOOK_WAITING) }
    }

    /// Counts a message; `result` is a closed label.
    pub fn sent(&self, result: &'static str) {
        counter!(WEBHOOK_MESSAGES, "result" => result).increment(1);
    }
}

/// Counts a finding that did not reach the webhook's spool.
pub fn webhook_dropped() {
    counter!(WEBHOOK_MESSAGES, "result" => "dropped").increment(1);
}

/// Metrics of the quarantine.
pub struct Quarantine {
    /// [`QUARANTINE_ENTRIES`].
    pub entries: Gauge,
}

impl Quarantine {
    /// The handles.
    #[expect(clippy::new_without_default, reason = "looks metrics up: not a value")]
    pub fn new() -> Self {
        Self { entries: gauge!(QUARANTINE_ENTRIES) }
    }

    /// Counts a change; `action` is a closed label.
    pub fn changed(&self, action: &'static str) {
        counter!(QUARANTINE_CHANGES, "action" => action).increment(1);
    }
}

/// [`SPANS`].
#[cfg(feature = "otlp")]
pub struct Spans {
    /// With result `sent`.
    pub sent: Counter,
    /// With result `queue_full`.
    pub queue_full: Counter,
    /// With result `failed`: the collector did not take them.
    pub failed: Counter,
}

#[cfg(feature = "otlp")]
impl Spans {
    /// The handles.
    #[expect(clippy::new_without_default, reason = "looks metrics up: not a value")]
    pub fn new() -> Self {
        let spans = |result: &'static str| counter!(SPANS, "result" => result);
        Self { sent: spans("sent"), queue_full: spans("queue_full"), failed: spans("failed") }
    }
}

/// [`BUFFERED_BYTES`], set once a second from what the sweeps see.
pub fn buffered_bytes() -> Gauge {
    gauge!(BUFFERED_BYTES)
}

/// [`IN_FLIGHT`] of one direction, set once a second from the counters of the data path.
pub fn in_flight(direction: &'static str) -> Gauge {
    gauge!(IN_FLIGHT, "direction" => direction)
}

/// Says which crypto module is in use.
pub fn crypto_module(version: &'static str, fips: bool) {
    let fips = if fips { "true" } else { "false" };
    gauge!(CRYPTO_MODULE, "module" => "AWS-LC", "version" => version, "fips" => fips).set(1.0);
}

/// [`CRL_NEXT_UPDATE`], where there are CRLs.
pub fn crl_next_update() -> Gauge {
    gauge!(CRL_NEXT_UPDATE)
}

/// [`CRL_FETCHED`], where CRLs come from URLs.
pub fn crl_fetched() -> Gauge {
    gauge!(CRL_FETCHED)
}

/// Counts a question for a CRL at a URL; `result` is a closed label.
pub fn crl_fetch(result: &'static str) {
    counter!(CRL_FETCHES, "result" => result).increment(1);
}

/// Counts a token that was looked at; `result` is a closed label.
pub fn token_verified(result: &'static str) {
    counter!(TOKENS_VERIFIED, "result" => result).increment(1);
}

/// Counts a question for a policy bundle elsewhere; `result` is a closed label.
pub fn policy_fetch(result: &'static str) {
    counter!(POLICY_FETCHES, "result" => result).increment(1);
}

/// Counts a reading of a key set; `result` is a closed label.
pub fn jwks_read(result: &'static str) {
    counter!(JWKS_READS, "result" => result).increment(1);
}

/// [`JWKS_READ`], where there are issuers.
pub fn jwks_read_at() -> Gauge {
    gauge!(JWKS_READ)
}

/// Counts a certificate with open connections that is not trusted any more; `reason` is a closed label.
pub fn trust_withdrawn(reason: &'static str) {
    counter!(TRUST_WITHDRAWN, "reason" => reason).increment(1);
}

/// Counts a question for a name of an upstream; `result` is a closed label.
pub fn resolved(result: &'static str) {
    counter!(RESOLUTIONS, "result" => result).increment(1);
}

/// Counts a call of AWS; both labels are closed.
pub fn aws_called(operation: &'static str, result: &'static str) {
    counter!(AWS_CALLS, "operation" => operation, "result" => result).increment(1);
}

/// Counts a time that the count of issued certificates could not be read or written.
pub fn issue_count_failed() {
    counter!(ISSUE_COUNT_ERRORS).increment(1);
}

/// Counts an attempt that gave no certificate; `reason` is a closed label.
pub fn rotation_failed(reason: &'static str) {
    counter!(ROTATION_FAILURES, "reason" => reason).increment(1);
}

/// Counts what was done with the certificate on disk; both labels are closed.
pub fn certificate_cached(action: &'static str, result: &'static str) {
    counter!(CERTIFICATE_CACHE, "action" => action, "result" => result).increment(1);
}

/// Counts a question whether the app is well; `result` is a closed label.
pub fn app_checked(result: &'static str) {
    counter!(APP_CHECKS, "result" => result).increment(1);
}

/// Counts a handshake with our own listener; `result` is a closed label.
pub fn self_probed(result: &'static str) {
    counter!(SELF_PROBES, "result" => result).increment(1);
}

/// [`ENDPOINTS`] of the upstream with this name, which the operator wrote; the caller keeps to a budget of names.
pub fn endpoints(upstream: &str) -> Gauge {
    gauge!(ENDPOINTS, "upstream" => upstream.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_carries_help_and_type() {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for (name, _) in ALL {
                // Registered as its description says: the name tells the kind.
                match *name {
                    name if name.ends_with("_total") => counter!(name).increment(1),
                    DURATION => histogram!(DURATION).record(0.003),
                    name => gauge!(name).set(1.0),
                }
            }
        });
        let text = handle.render();
        for (name, help) in ALL {
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}\n{text}");
            let kind = if name.ends_with("_total") {
                "counter"
            } else if *name == DURATION {
                "histogram"
            } else {
                "gauge"
            };
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}\n{text}");
        }
        assert!(text.contains("countersign_request_duration_seconds_bucket{le=\"0.0025\"} 0"), "{text}");
        assert!(text.contains("countersign_request_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }

    #[test]
    fn the_documentation_lists_every_metric() {
        let page = include_str!("../../docs/telemetry.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `countersign_")).collect();
        let known: Vec<String> = ALL.iter().map(|(name, help)| format!("| `{name}` | {help} |")).collect();
        assert_eq!(rows, known);
    }

    #[test]
    fn names_are_unique_and_of_one_shape() {
        for (at, (name, help)) in ALL.iter().enumerate() {
            assert!(name.starts_with("countersign_") && help.ends_with('.'), "{name}");
            assert!(!ALL.iter().skip(at + 1).any(|(other, _)| other == name), "{name}");
        }
    }
}
