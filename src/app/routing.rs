//! Upstreams and the addresses of their names, published together as the data path's routes.

use crate::proxy::{self, Plan};
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics::endpoints;
use crate::upstream::{Address, Names, Report, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upstreams that have a series of their own in the metrics.
const SERIES: usize = 64;

/// How long a reload waits for the names that it brings: what is reloaded then works when it is said to be in force.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// The upstreams in force.
pub struct Routing {
    upstreams: Mutex<Vec<Settings>>,
    names: Names,
    plan: Arc<Plan>,
    readiness: Readiness,
}

impl Routing {
    /// Follows the names of these upstreams from now on. `/ready` waits until each was asked for once, and not for an answer: two services that wait for
    /// each other's names to be registered would wait for ever.
    pub fn new(upstreams: Vec<Settings>, names: Names, plan: Arc<Plan>, readiness: Readiness) -> Self {
        names.follow(&followed(&upstreams));
        let routing = Self { upstreams: Mutex::new(upstreams), names, plan, readiness };
        routing.refresh();
        routing
    }

    /// Asks for the names that `upstreams` would bring, and waits for the answers for a while. Blocks.
    pub fn prepare(&self, upstreams: &[Settings]) {
        let names = followed(upstreams);
        let known = names.is_subset(&followed(&self.lock()));
        if !known {
            self.names.prepare(&names, FIRST_ANSWER);
        }
    }

    /// Follows no names but those of the upstreams in force.
    pub fn keep(&self) {
        self.names.follow(&followed(&self.lock()));
    }

    /// Puts other upstreams in force; names that none of them has are no longer followed.
    pub fn replace(&self, upstreams: Vec<Settings>) {
        let mut current = self.lock();
        for gone in current.iter().filter_map(series) {
            endpoints(gone).set(0.0);
        }
        *current = upstreams;
        self.names.follow(&followed(&current));
        self.publish(&current);
    }

    /// Publishes again whenever something becomes known of a name.
    pub async fn follow(self: Arc<Self>) {
        let mut changes = self.names.changes();
        // What became known before this was listened to.
        self.refresh();
        while changes.changed().await.is_ok() {
            self.refresh();
        }
    }

    /// For `countersign status`.
    pub fn status(&self) -> Value {
        let reports = self.names.report();
        let upstreams = self.lock().iter().map(|upstream| describe(upstream, &reports)).collect();
        Value::Array(upstreams)
    }

    fn refresh(&self) {
        self.publish(&self.lock());
    }

    /// Under the lock of the upstreams, so that an older publication never comes after a newer one.
    fn publish(&self, upstreams: &[Settings]) {
        let destinations = proxy::destinations(upstreams, &self.names.snapshot());
        let mut others = 0;
        for (index, upstream) in upstreams.iter().enumerate() {
            let Some((host, count)) = series(upstream).and_then(|host| Some((host, destinations.find(host)?.0.endpoints.len()))) else {
                continue;
            };
            if index < SERIES {
                endpoints(host).set(count as f64);
            } else {
                others += count;
            }
        }
        if upstreams.len() > SERIES {
            endpoints("other").set(others as f64);
        }
        self.plan.destinations.store(Arc::new(destinations));
        self.say(upstreams);
    }

    fn say(&self, upstreams: &[Settings]) {
        let reports = self.names.report();
        let of_these: Vec<(&str, &Report)> = followed_in(upstreams).filter_map(|name| Some((name, reports.get(name)?))).collect();
        let listed = |chosen: &dyn Fn(&Report) -> bool| {
            let names = of_these.iter().filter(|(_, report)| chosen(report));
            let said: BTreeSet<String> = names
                .map(|(name, report)| match &report.problem {
                    Some(problem) => format!("{name}: {problem}"),
                    None => (*name).to_owned(),
                })
                .collect();
            said.into_iter().collect::<Vec<_>>().join("; ")
        };
        let unasked = listed(&|report| !report.asked);
        if unasked.is_empty() {
            self.readiness.ready("upstream");
        } else {
            self.readiness.pending("upstream", format!("asking for {unasked}"));
        }
        let without = listed(&|report| report.asked && report.addresses.is_empty());
        if without.is_empty() {
            self.readiness.unnote("upstream");
        } else {
            self.readiness.note("upstream", format!("no address for {without}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Settings>> {
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn followed(upstreams: &[Settings]) -> BTreeSet<String> {
    followed_in(upstreams).map(str::to_owned).collect()
}

fn followed_in(upstreams: &[Settings]) -> impl Iterator<Item = &str> {
    upstreams.iter().flat_map(Settings::names)
}

/// What the metrics call an upstream.
fn series(upstream: &Settings) -> Option<&str> {
    upstream.hosts.first().map(String::as_str)
}

fn describe(upstream: &Settings, reports: &BTreeMap<String, Report>) -> Value {
    let mut endpoints = Vec::new();
    let mut names = serde_json::Map::new();
    for address in &upstream.addresses {
        match address {
            Address::Socket(address) => endpoints.push(json!({ "address": address.to_string() })),
            Address::Name(name, port) => {
                let Some(report) = reports.get(name) else { continue };
                let age = report.age.map(|age| age.as_secs());
                for address in report.addresses.iter() {
                    let address = std::net::SocketAddr::new(*address, *port).to_string();
                    endpoints.push(json!({ "address": address, "name": name, "age_s": age }));
                }
                names.insert(name.clone(), json!({ "age_s": age, "problem": report.problem }));
            }
        }
    }
    json!({ "hosts": upstream.hosts, "endpoints": endpoints, "names": names })
}
