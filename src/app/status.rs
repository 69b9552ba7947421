//! What `countersign status` shows, and the figures that nobody counts on the request path.

use super::{Addresses, AppWatch, Reloader, Routing, trust_report};
use crate::audit::{Journal, Trouble};
use crate::policy::jwt::KeysStanding;
use crate::policy::{Part, Table};
use crate::proxy::Plan;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::{buffered_bytes, in_flight};
use crate::tls::Module;
use crate::trust::RemoteLists;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// The share of its life after which a certificate should have been replaced long ago: renewal begins at half of it.
const OLD: f64 = 0.8;

/// The answer to `GET /status`. `bound` is set once every listener is.
pub fn reporter(
    plan: &Arc<Plan>,
    readiness: &Readiness,
    reloader: &Arc<Reloader>,
    routing: &Arc<Routing>,
    app: AppWatch,
    remote_lists: RemoteLists,
    bound: Arc<OnceLock<Addresses>>,
) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let (plan, readiness, reloader, routing) = (Arc::clone(plan), readiness.clone(), Arc::clone(reloader), Arc::clone(routing));
    Arc::new(move || {
        let details = |conditions: Vec<(&'static str, String)>| -> serde_json::Map<String, Value> {
            conditions.into_iter().map(|(what, why)| (what.to_owned(), json!(why))).collect()
        };
        let missing = details(readiness.missing());
        let config = reloader.loaded().config.clone();
        let certificate = plan.tls.current().map(|tls| {
            json!({ "serial": tls.serial, "sha256": tls.fingerprint, "not_after": rfc3339(tls.not_after), "generation": tls.generation })
        });
        let tables = plan.policy.snapshot();
        let table = |part: Part| tables.as_ref()?.all().find(|(known, _)| *known == part).map(|(_, table)| said(table));
        let live = &plan.live;
        let addresses = bound.get().cloned().unwrap_or_default();
        let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
        json!({
            "id": config.credentials.id.as_str(),
            "version": env!("CARGO_PKG_VERSION"),
            "crypto": Module::linked().to_string(),
            "pid": std::process::id(),
            "ready": missing.is_empty(),
            "pending": missing,
            "notes": details(readiness.notes()),
            "inbound": addresses.inbound.map(|address| address.to_string()),
            "outbound": addresses.outbound.map(|address| address.to_string()),
            "health": addresses.health.map(|address| address.to_string()),
            "metrics": addresses.metrics.map(|address| address.to_string()),
            "certificate": certificate,
            "policy": table(Part::Own),
            "policy_boundary": table(Part::Boundary),
            "policy_candidate": table(Part::Candidate),
            "policy_bundles": reloader.bundled().status(),
            "policy_sources": reloader.bundled().sources(),
            "quarantined": plan.policy.quarantined(),
            "revocation_lists": trust_report::lists(&plan, &remote_lists),
            "key_sets": reloader.key_sets().standing().iter().map(key_set).collect::<Vec<_>>(),
            "app": app.status(),
            "upstreams": routing.status(),
            "connections": { "inbound": count(&live.inbound_connections), "outbound": count(&live.outbound_connections) },
            "in_flight": { "inbound": count(&live.inbound_requests), "outbound": count(&live.outbound_requests) },
            "shards": config.runtime.shards,
        })
    })
}

fn said(table: &Table) -> Value {
    let facts = &table.facts;
    json!({ "name": facts.name, "version": facts.version, "sha256": facts.sha256, "generation": table.generation })
}

fn key_set(standing: &KeysStanding) -> Value {
    json!({
        "from": standing.source,
        "keys": standing.keys,
        "age_s": standing.age.map(|age| age.as_secs()),
        "problem": standing.problem,
    })
}

/// Once a second: the gauges of requests under way and of bytes held, whether the decision log still lives, and whether our certificate gets old.
pub async fn watch(plan: Arc<Plan>, journal: Journal, readiness: Readiness) {
    let (inbound, outbound, buffered) = (in_flight("inbound"), in_flight("outbound"), buffered_bytes());
    let mut late = String::new();
    loop {
        if let Some(trouble) = renewal_late(&plan, &mut late) {
            journal.trouble(trouble);
        }
        inbound.set(plan.live.inbound_requests.load(Ordering::Relaxed) as f64);
        outbound.set(plan.live.outbound_requests.load(Ordering::Relaxed) as f64);
        buffered.set(plan.buffers.held() as f64);
        if !journal.is_writing() {
            readiness.pending("decision_log", "its writer died; restart the process");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Our certificate, once it is past [`OLD`] of its life; once for each, by its serial number.
fn renewal_late(plan: &Plan, told: &mut String) -> Option<Trouble> {
    let tls = plan.tls.current()?;
    let life = tls.not_after.duration_since(tls.not_before).ok()?;
    let late = plan.clock.now() >= tls.not_before + life.mul_f64(OLD) && *told != tls.serial;
    late.then(|| {
        told.clone_from(&tls.serial);
        Trouble::RenewalLate { serial: tls.serial.clone(), not_after: tls.not_after }
    })
}

/// A moment as text.
pub fn rfc3339(time: SystemTime) -> String {
    time::OffsetDateTime::from(time).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
