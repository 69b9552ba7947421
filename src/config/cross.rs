//! What several sections say together.

use super::effective::Ledger;
use super::read::Draft;
use crate::audit::Sink;
use crate::document::{Document, Problem};
use crate::proxy::App;
use crate::runtime::exposure::PrivateApp;
use crate::upstream::Address;
use crate::{credentials, trust};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest time that ECS on Fargate waits between the stop signal and the kill.
const STOP: Duration = Duration::from_secs(120);

/// Compares; problems are noted in `document`, and what is only odd is given back.
pub(super) fn check(draft: &Draft, document: &Document<'_>, ledger: &Ledger) -> Vec<Problem> {
    let mut findings = Findings { document, ledger, warnings: Vec::new() };
    trust_domains(draft, &mut findings);
    upstreams(draft, &mut findings);
    listeners(draft, &mut findings);
    loops(draft, &mut findings);
    webhook(draft, &mut findings);
    oddities(draft, &mut findings);
    unused_credentials(draft, &mut findings);
    #[cfg(feature = "aws")]
    issuing(draft, &mut findings);
    findings.warnings
}

struct Findings<'d> {
    document: &'d Document<'d>,
    ledger: &'d Ledger,
    warnings: Vec<Problem>,
}

impl Findings<'_> {
    /// Notes a problem with `key`, unless its value was refused already.
    fn problem(&self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        if let Some(place) = self.ledger.place(key) {
            self.document.report_at(place, what, instead);
        }
    }

    fn warning(&mut self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        if let Some(place) = self.ledger.place(key) {
            self.warnings.push(Problem { file: self.document.file().to_owned(), place, what: what.into(), instead: instead.into() });
        }
    }
}

fn trust_domains(draft: &Draft, findings: &mut Findings<'_>) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, trust) in draft.trust.iter().enumerate() {
        let Some(trust) = trust else { continue };
        if let Some(earlier) = first.get(trust.domain.as_str()) {
            let what = format!("{:?} has a [[trust]] already, trust[{earlier}]", trust.domain.as_str());
            findings.problem(&format!("trust[{index}].domain"), what, "put its roots into one file");
        } else {
            first.insert(trust.domain.as_str(), index);
        }
    }
    if draft.trust.is_empty() || draft.trust.iter().any(Option::is_none) {
        return;
    }
    if let Some(own) = draft.credentials.as_ref().map(|credentials| credentials.id.trust_domain())
        && !first.contains_key(own)
    {
        let instead = format!("add [[trust]] with domain = {own:?}: our own certificate is verified like any other");
        findings.problem("workload.id", format!("is in {own:?}, which has no [[trust]]"), instead);
    }
}

fn upstreams(draft: &Draft, findings: &mut Findings<'_>) {
    let trust_known = !draft.trust.is_empty() && draft.trust.iter().all(Option::is_some);
    let domains: Vec<_> = draft.trust.iter().flatten().map(|trust| trust.domain.as_str()).collect();
    let any_dns = draft.trust.iter().flatten().any(|trust| !trust.dns_names.is_empty());
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, upstream) in draft.upstreams.iter().enumerate() {
        let Some(upstream) = upstream else { continue };
        for host in &upstream.hosts {
            if let Some(earlier) = first.get(host.as_str()) {
                let what = format!("has {host:?}, which upstream[{earlier}] has already");
                findings.problem(&format!("upstream[{index}].hosts"), what, "write each host once");
            } else {
                first.insert(host, index);
            }
        }
        let expected = upstream.expected.0.as_str();
        match expected.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next()) {
            Some(domain) if trust_known && !domains.contains(&domain) => {
                let instead = format!("add [[trust]] with domain = {domain:?}");
                findings.problem(&format!("upstream[{index}].id"), format!("is in {domain:?}, which has no [[trust]]"), instead);
            }
            None if trust_known && !any_dns => {
                let instead = format!("write dns_names in the [[trust]] whose roots sign {expected:?}");
                findings.problem(&format!("upstream[{index}].dns_san"), "is a DNS name, and no [[trust]] accepts any", instead);
            }
            _ => {}
        }
    }
}

/// What is told is what is recorded.
fn webhook(draft: &Draft, findings: &mut Findings<'_>) {
    if draft.webhook.is_some() && draft.audit.sink == Sink::None {
        findings.problem(
            "webhook.url",
            "is of no use: nothing is recorded, so nothing is told",
            "write another audit.sink, or remove [webhook]",
        );
    }
}

fn listeners(draft: &Draft, findings: &mut Findings<'_>) {
    let listeners = own_listeners(draft);
    for (index, (key, address)) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(index).find(|(_, other)| collide(*address, *other));
        if let Some((earlier, other)) = earlier {
            findings.problem(key, format!("{address} is taken by {earlier}, {other}"), "write another port");
        }
    }
}

fn loops(draft: &Draft, findings: &mut Findings<'_>) {
    let listeners = own_listeners(draft);
    if let Some(App::Tcp(app)) = draft.inbound.as_ref().map(|inbound| &inbound.app)
        && let Some((listener, _)) = listeners.iter().find(|(_, own)| reaches(*app, *own))
    {
        findings.problem("inbound.app", format!("{app} is our own {listener}"), "write the address that the app listens on");
    }
    for (index, upstream) in draft.upstreams.iter().enumerate() {
        for address in upstream.iter().flat_map(|upstream| &upstream.addresses) {
            let targets = match address {
                Address::Socket(address) => vec![*address],
                Address::Name(name, port) if name == "localhost" => vec![([127, 0, 0, 1], *port).into()],
                Address::Name(..) => Vec::new(),
            };
            let own = listeners.iter().filter(|(key, _)| *key != "inbound.listen");
            let reached = own.clone().find(|(_, own)| targets.iter().any(|target| reaches(*target, *own)));
            if let Some((listener, own)) = reached {
                let what = format!("leads back to our own {listener}, {own}");
                findings.problem(&format!("upstream[{index}].address"), what, "write the address of the peer's sidecar");
            }
        }
    }
}

fn own_listeners(draft: &Draft) -> Vec<(&'static str, SocketAddr)> {
    let mut listeners = Vec::new();
    listeners.extend(draft.inbound.as_ref().map(|inbound| ("inbound.listen", inbound.listen)));
    listeners.extend(draft.outbound.as_ref().map(|outbound| ("outbound.listen", outbound.listen)));
    listeners.extend([("health.listen", draft.admin.health), ("admin.listen", draft.admin.metrics)]);
    listeners
}

/// Whether two listeners cannot both be bound. An unspecified IPv6 address takes IPv4 along.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: SocketAddr, b: SocketAddr| a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}

/// Whether a connection to `target` certainly arrives at `listener`: another host's address at the same port is a peer.
fn reaches(target: SocketAddr, listener: SocketAddr) -> bool {
    let (to, at) = (target.ip().to_canonical(), listener.ip().to_canonical());
    target.port() == listener.port() && (to == at || (at.is_unspecified() && to.is_loopback()))
}

fn oddities(draft: &Draft, findings: &mut Findings<'_>) {
    let readable = ["inbound", "outbound"].iter().all(|section| findings.ledger.place(section).is_some());
    if readable && draft.inbound.is_none() && draft.outbound.is_none() {
        findings.problem(
            "inbound",
            "is absent, and so is outbound: there is nothing to do",
            "add [inbound] with app = \"http://127.0.0.1:8080\"",
        );
    }
    match (&draft.outbound, draft.upstreams.is_empty()) {
        (Some(_), true) => {
            findings.problem("outbound.listen", "leads nowhere", "add [[upstream]] with hosts, address and id, or leave [outbound] out")
        }
        (None, false) => {
            findings.warning("upstream[0].hosts", "is of no use without [outbound]", "add [outbound], or leave [[upstream]] out")
        }
        _ => {}
    }
    if let Some(App::Tcp(app)) = draft.inbound.as_ref().map(|inbound| &inbound.app)
        && !app.ip().to_canonical().is_loopback()
    {
        findings.warning(
            "inbound.app",
            "is not loopback: requests reach the app in the clear, past the network",
            "write a loopback address, or a Unix socket",
        );
    }
    private_app(draft, findings);
    let stop = draft.timeouts.pre_drain.saturating_add(draft.timeouts.drain);
    if stop > STOP {
        let what = format!("and timeouts.pre_drain add up to {} s", stop.as_secs());
        findings.warning("timeouts.drain", what, "stay below the stop time-out of the task, which on Fargate is at most 120 s");
    }
    if matches!(draft.audit.sink, crate::audit::Sink::None) {
        findings.warning("audit.sink", "keeps no record of any decision", "write \"stdout\" or \"file\" outside of measurements");
    }
}

/// What is said of the app and cannot be, or is of no use.
fn private_app(draft: &Draft, findings: &mut Findings<'_>) {
    let required = draft.inbound.as_ref().filter(|inbound| inbound.private_app == PrivateApp::Required);
    if let Some(App::Tcp(app)) = required.map(|inbound| &inbound.app)
        && !app.ip().to_canonical().is_loopback()
    {
        findings.problem(
            "inbound.require_private_app",
            format!("is true, and inbound.app is {app}, which is not loopback"),
            "write a loopback address in inbound.app, or leave this out",
        );
    }
    if draft.inbound.is_none() && findings.ledger.is_written("health.app_check") {
        findings.warning("health.app_check", "is of no use without [inbound]", "leave it out, or add [inbound]");
    }
}

/// Whether the schedule fits into the issuing budget twice: restarts and failures need the other half.
#[cfg(feature = "aws")]
fn issuing(draft: &Draft, findings: &mut Findings<'_>) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let Some(credentials) = &draft.credentials else { return };
    let credentials::Source::AcmPca(pca) = &credentials.source else { return };
    let (terms, ceilings) = (pca.terms(credentials.renew), pca.ceilings);
    for (key, ceiling, window, unit) in [
        (credentials::Ceilings::PER_HOUR, ceilings.per_hour, HOUR, "an hour"),
        (credentials::Ceilings::PER_DAY, ceilings.per_day, HOUR * 24, "a day"),
    ] {
        let needed = terms.needed(window);
        // One is always needed, and one more may follow a restart.
        if needed > 1 && needed.saturating_mul(2) > ceiling {
            let what = format!("is {ceiling}, and the schedule of credentials.acm_pca.validity alone needs {needed} {unit}");
            let instead = format!("write {key} = {}, or a longer validity", needed.saturating_mul(2));
            findings.problem(&format!("credentials.acm_pca.{key}"), what, instead);
        }
    }
}

/// Keys of a source that nothing uses: valid, so that one text can serve a laptop and a task.
fn unused_credentials(draft: &Draft, findings: &mut Findings<'_>) {
    const FILE: &[&str] = &["credentials.file.chain", "credentials.file.key"];
    const CACHE: &[&str] = &["credentials.cache.dir"];
    let Some(source) = draft.credentials.as_ref().map(|credentials| &credentials.source) else { return };
    let roots = || draft.trust.iter().map(|trust| trust.as_ref().map(|trust| &trust.source));
    let dev_roots = roots().any(|source| source.is_none_or(|source| matches!(source, trust::Source::Dev(_))));
    let dev: &[&str] = if dev_roots { &["credentials.dev.validity"] } else { &["credentials.dev.dir", "credentials.dev.validity"] };
    // Nothing else than files and the development CA: somebody asks AWS for roots.
    let pca_roots = roots().any(|source| source.is_none_or(|source| !matches!(source, trust::Source::Dev(_) | trust::Source::File(_))));
    let authority: &[&str] = if pca_roots { &[] } else { &["credentials.acm_pca.authority"] };
    let unused = match source {
        credentials::Source::Dev { .. } => [FILE, authority, CACHE],
        credentials::Source::File { .. } => [dev, authority, CACHE],
        #[cfg(feature = "aws")]
        credentials::Source::AcmPca(_) => [FILE, dev, &[]],
    };
    for key in unused.concat() {
        if findings.ledger.is_written(key) {
            findings.warning(key, "is of no use with this credentials.source", "leave it out, or change the source");
        }
    }
}
