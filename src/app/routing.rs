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
    current: Mutex<Current>,
    names: Names,
    plan: Arc<Plan>,
    readiness: Readiness,
}

struct Current {
    upstreams: Vec<Settings>,
    /// First hosts that have a series in the metrics; a series stays as long as the process.
    series: BTreeSet<String>,
}

impl Routing {
    /// Follows the names of these upstreams from now on. `/ready` waits until each was asked for once, and not for an answer: two services that wait for
    /// each other's names to be registered would wait for ever.
    pub fn new(upstreams: Vec<Settings>, names: Names, plan: Arc<Plan>, readiness: Readiness) -> Self {
        names.follow(&followed(&upstreams));
        let current = Mutex::new(Current { upstreams, series: BTreeSet::new() });
        let routing = Self { current, names, plan, readiness };
        routing.refresh();
        routing
    }

    /// Asks for the names that `upstreams` would bring, and waits for the answers for a while. Blocks.
    pub fn prepare(&self, upstreams: &[Settings]) {
        let names = followed(upstreams);
        let known = names.is_subset(&followed(&self.lock().upstreams));
        if !known {
            self.names.prepare(&names, FIRST_ANSWER);
        }
    }

    /// Follows no names but those of the upstreams in force.
    pub fn keep(&self) {
        self.names.follow(&followed(&self.lock().upstreams));
    }

    /// Puts other upstreams in force; names that none of them has are no longer followed.
    pub fn replace(&self, upstreams: Vec<Settings>) {
        let mut current = self.lock();
        current.upstreams = upstreams;
        self.names.follow(&followed(&current.upstreams));
        self.publish(&mut current);
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
        let upstreams = self.lock().upstreams.iter().map(|upstream| describe(upstream, &reports)).collect();
        Value::Array(upstreams)
    }

    fn refresh(&self) {
        self.publish(&mut self.lock());
    }

    /// Under the lock of the upstreams, so that an older publication never comes after a newer one.
    fn publish(&self, current: &mut Current) {
        let destinations = proxy::destinations(&current.upstreams, &self.names.snapshot());
        current.count(&destinations);
        self.say(&current.upstreams);
        self.plan.destinations.store(Arc::new(destinations));
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

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn followed(upstreams: &[Settings]) -> BTreeSet<String> {
    followed_in(upstreams).map(str::to_owned).collect()
}

fn followed_in(upstreams: &[Settings]) -> impl Iterator<Item = &str> {
    upstreams.iter().flat_map(Settings::names)
}

impl Current {
    /// Sets the gauges: those of upstreams that are gone to zero, those beyond the budget together.
    fn count(&mut self, destinations: &proxy::Destinations) {
        let mut counts: BTreeMap<String, usize> = self.series.iter().map(|host| (host.clone(), 0)).collect();
        let mut others = None;
        for host in self.upstreams.iter().filter_map(|upstream| upstream.hosts.first()) {
            let count = destinations.find(host).map_or(0, |(route, _)| route.endpoints.len());
            if counts.contains_key(host) || counts.len() < SERIES {
                counts.insert(host.clone(), count);
            } else {
                others = Some(others.unwrap_or(0) + count);
            }
        }
        counts.iter().for_each(|(host, count)| endpoints(host).set(*count as f64));
        if let Some(others) = others {
            endpoints("other").set(others as f64);
        }
        self.series = counts.into_keys().collect();
    }
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
