//! The only wiring: builds everything from a configuration, runs it, ends it.

use crate::admin::{self, Bound};
use crate::audit::detect::Detecting;
use crate::audit::{self, BootFacts, Direction, KeptTables, TrustEvent, Writer};
use crate::config::Loaded;
use crate::credentials::Renewal;
use crate::document::Problems;
use crate::policy::{self, jwt::Keepers};
use crate::proxy::{self, Admission, Buffers, Listener, Plan, Shard};
use crate::request::reserved::Reserved;
use crate::runtime::clock::Clock;
#[cfg(not(feature = "testing"))]
use crate::runtime::clock::SystemClock;
use crate::runtime::drain::{Drain, Drained};
use crate::runtime::listener::{self, Incoming, accept_loop};
use crate::runtime::look::Look;
use crate::runtime::readiness::Readiness;
use crate::runtime::shards::Shards;
use crate::runtime::surroundings;
use crate::runtime::tasks::spawn;
use crate::telemetry::log::LogLevel;
use crate::telemetry::metrics::crypto_module;
#[cfg(feature = "otlp")]
use crate::telemetry::otlp::Exporting;
use crate::tls::{BuildError, Module, OwnProbe, Publishing, SelfProbe, TlsPublisher, approve};
use crate::trust::{DevelopmentRoots, Judging, LivePeers, Trusting, Usage, Withdrawn};
use crate::upstream::{Names, OwnListeners, Resolver, Snapshot, System};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

mod app_watch;
mod bundles;
mod emitting;
#[cfg(feature = "otlp")]
mod exporting;
mod quarantine;
mod reload;
mod routing;
mod sources;
mod status;
mod tables;
mod trust_report;
mod usage;
mod webhook;

pub use reload::Reloader;
#[cfg(feature = "aws")]
pub use sources::way_to_aws;

use app_watch::AppWatch;
use bundles::Bundled;
use emitting::Emitting;
use routing::Routing;
use usage::Counting;

/// How a sidecar is started, beside its configuration.
pub struct Options {
    /// `--allow-development-roots`.
    pub development: DevelopmentRoots,
    /// Gets a copy of each record's line.
    pub tap: Option<audit::Tap>,
    /// Where the configuration came from, to be read again at a reload; `None`: it does not change.
    pub source: Option<String>,
    /// The process log's level.
    pub log: Option<LogLevel>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

/// Why a sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file is there and cannot be used.
    #[error("{0}")]
    Unusable(#[from] Problems),
    /// A listener cannot be bound.
    #[error("{key} = \"{address}\": {source}; free the address or write another one")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The health port, the metrics port, or the control socket.
    #[error("{0}")]
    Admin(io::Error),
    /// The decision log cannot be written.
    #[error("[audit]: {0}; nothing is forwarded without a decision log")]
    Audit(io::Error),
    /// A FIPS build does not do what it is built for.
    #[error("[tls]: {0}")]
    NotApproved(#[from] BuildError),
    /// The kernel gives no threads.
    #[error("a thread or its runtime cannot be made: {0}")]
    Threads(io::Error),
}

/// A running sidecar.
pub struct Sidecar {
    /// Where it listens.
    pub addresses: Addresses,
    /// Begins its end.
    pub drain: Drain,
    /// Reads its configuration again.
    pub reloader: Arc<Reloader>,
    /// What is missing for `/ready`.
    pub readiness: Readiness,
    shards: Shards<Incoming<Listener>>,
    counting: Arc<Counting>,
    writer: Writer,
    emitting: Option<Emitting>,
    #[cfg(feature = "otlp")]
    exporting: Option<Exporting>,
    control: Runtime,
    acceptors: Runtime,
    timeouts: Arc<Plan>,
    _admin: Bound,
}

/// Where a sidecar listens, as the kernel says.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Peers.
    pub inbound: Option<SocketAddr>,
    /// The local app.
    pub outbound: Option<SocketAddr>,
    /// `/live`, `/ready`.
    pub health: Option<SocketAddr>,
    /// `/metrics`.
    pub metrics: Option<SocketAddr>,
}

impl Sidecar {
    /// Starts everything. Listeners are bound when this returns; a certificate and trust may come later, and until then every handshake is refused.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(loaded: Loaded, options: Options) -> Result<Self, StartError> {
        let config = loaded.config.clone();
        let module = Module::linked();
        crypto_module(module.version, module.fips.is_some());
        approve(&config.tls)?;
        let readiness = Readiness::default();
        let inbound = config.inbound.as_ref().map(|inbound| bind("inbound.listen", inbound.listen)).transpose()?;
        let outbound = config.outbound.as_ref().map(|outbound| bind("outbound.listen", outbound.listen)).transpose()?;
        let mut addresses = Addresses { inbound: local(&inbound), outbound: local(&outbound), ..Addresses::default() };
        let bound = Arc::new(OnceLock::new());
        let listeners = policy::Listeners {
            ports: addresses.inbound.iter().map(SocketAddr::port).collect(),
            reserved: Reserved::new(config.inbound.as_ref().map(|inbound| inbound.reserved_headers.clone()).unwrap_or_default()),
            http_only: true,
        };
        let publisher = policy::Publisher::new();
        let (look, looked_at) = (Look::at(&config.policy.files()), SystemTime::now());
        let kept = KeptTables::beside(&config.audit.sink);
        let clock = clock();
        let control = runtime("control").map_err(StartError::Threads)?;
        let fetcher = sources::fetcher();
        let way = bundles::Way { runtime: control.handle().clone(), open: sources::bundles(&fetcher) };
        let bundled = Arc::new(Bundled::open(&config.policy, &config.audit.sink, Arc::clone(&clock), way));
        let first = tables::first(&config.policy, &listeners, &readiness, kept.as_ref(), &bundled)?;

        let signer = config.audit.signing.as_ref().map(sources::boot_signer).transpose()?;
        let policy_sha256 = first.as_ref().map(|tables| tables.own().facts.sha256.clone());
        let boot = BootFacts { workload: config.credentials.id.to_string(), version: env!("CARGO_PKG_VERSION"), policy_sha256 };
        let quarantine = policy::quarantine::Quarantine::new(config.quarantine.clone(), publisher.clone());
        let webhook = config.webhook.as_ref().map(|settings| webhook::Webhook::open(settings, &fetcher, &clock)).transpose()?;
        let (webhook, outbox) = webhook.unzip();
        let detecting = Detecting { settings: config.detect.clone(), quarantine: quarantine.clone(), clock: Arc::clone(&clock), outbox };
        let (recorders, journal, writer) =
            audit::start_tapped(&labelled(&config.audit), boot, config.runtime.shards, options.tap.clone(), Some(detecting))
                .map_err(StartError::Audit)?;
        let drain = Drain::default();
        let tls = TlsPublisher::default();
        let acceptors = runtime("acceptor").map_err(StartError::Threads)?;
        let level = options.log.clone();
        let key_sets = Keepers::new(control.handle().clone(), fetcher.clone(), readiness.clone());
        let is_read = first.is_some();
        if let Some(first) = first {
            tables::put_in_force(&publisher, first, &key_sets, &journal);
        }
        let (trusting, renewal) = {
            let _inside = control.enter();
            let (authorities, certificates) = sources::factories(&readiness);
            let trusting = Trusting::new(&config.trust, authorities, fetcher, options.development, Arc::clone(&clock), readiness.clone());
            let renewal = Renewal::new(&config.credentials, certificates, trusting.bundles(), Arc::clone(&clock), readiness.clone());
            (trusting, renewal)
        };
        let counting = Arc::new(Counting::open(&config, publisher.clone(), Arc::clone(&clock)));
        let own_probe = OwnProbe::default();
        let own = OwnListeners { ports: addresses.outbound.iter().map(SocketAddr::port).collect() };
        let plan = Arc::new(Plan {
            inbound: config.inbound.clone(),
            outbound: config.outbound.clone(),
            limits: config.limits.clone(),
            timeouts: ArcSwap::from_pointee(config.timeouts.clone()),
            destinations: ArcSwap::from_pointee(proxy::destinations(&config.upstreams, &Snapshot::default())),
            tls: tls.clone(),
            live_peers: Arc::new(LivePeers::default()),
            policy: publisher.clone(),
            usage: counting.gathered(),
            admission: Admission::new(&config.limits, Arc::clone(drain.live())),
            buffers: Buffers::new(config.limits.buffered_bytes),
            handshakes: Arc::new(Semaphore::new(config.limits.handshakes)),
            live: Arc::clone(drain.live()),
            clock: Arc::clone(&clock),
            own: Arc::new(own),
            own_probe: own_probe.clone(),
            reserved: listeners.reserved.clone(),
            spans: config.trace.otlp.is_some(),
            phases: drain.phases(),
        });
        let names = Names::new(Resolver::new(system()), control.handle().clone());
        let routing = Arc::new(Routing::new(config.upstreams.clone(), names, Arc::clone(&plan), readiness.clone()));
        let app = AppWatch::new(config.inbound.as_ref(), &addresses, &readiness);
        let log_of_decisions = journal.clone();
        let tables =
            tables::Keeper::new(config.policy.clone(), listeners, publisher, journal.clone(), readiness.clone(), bundled, key_sets);
        let tables = tables.keeping(kept);
        // What was refused may be accepted once the clock is right: it is looked at again.
        let tables = Arc::new(if is_read { tables.read_at(look, looked_at) } else { tables });
        let reloader = Arc::new(Reloader::new(
            loaded,
            options.source,
            reload::Targets {
                plan: Arc::clone(&plan),
                routing: Arc::clone(&routing),
                tables: Arc::clone(&tables),
                journal,
                trust: trusting.settings(),
                trust_trigger: trusting.trigger(),
                credentials: renewal.settings(),
                credentials_trigger: renewal.trigger(),
                log: level.clone(),
            },
        ));
        let emitting = config.metrics.emf.then(|| Emitting::start(&config, options.metrics.clone(), log_of_decisions.clone()));
        let emitting = emitting.transpose().map_err(StartError::Threads)?;
        #[cfg(feature = "otlp")]
        let exporting = exporting::start(&config, &log_of_decisions).map_err(StartError::Threads)?;
        let handles = admin::Handles {
            readiness: readiness.clone(),
            metrics: options.metrics,
            status: status::reporter(&plan, &readiness, &reloader, &routing, app.clone(), trusting.remote_lists(), Arc::clone(&bound)),
            trust: trust_report::reporter(&plan, trusting.remote_lists()),
            usage: Arc::new({
                let counting = Arc::clone(&counting);
                move || counting.document()
            }),
            drain: Arc::new({
                let drain = drain.clone();
                move || drain.request()
            }),
            reload: Arc::new({
                let reloader = Arc::clone(&reloader);
                move || reloader.reload()
            }),
            promote: Arc::new({
                let tables = Arc::clone(&tables);
                move || tables.promote()
            }),
            quarantine: quarantine::handle(&quarantine, &config.quarantine, &log_of_decisions, &clock),
            tail: Arc::new({
                let journal = log_of_decisions.clone();
                move || journal.watch()
            }),
            log_level: Arc::new(move |text| match &level {
                Some(level) => level.set(text).map_err(|error| error.to_string()),
                None => Err("this process has no log level".into()),
            }),
        };
        let admin = {
            let _inside = control.enter();
            admin::start(&config.admin, handles).map_err(StartError::Admin)?
        };
        (addresses.health, addresses.metrics) = (Some(admin.health), Some(admin.metrics));
        let addresses = bound.get_or_init(|| addresses).clone();

        let workers = recorders.into_iter().map(|recorder| {
            let plan = Arc::clone(&plan);
            move |work| Shard::new(plan, recorder).run(work)
        });
        let shards = Shards::start(workers.collect()).map_err(StartError::Threads)?;
        let judging = Judging::new(Arc::clone(&plan.live_peers), trusting.bundles(), Arc::clone(&clock), readiness.clone(), {
            let journal = log_of_decisions.clone();
            move |withdrawn| journal.trust(trust_event(&withdrawn))
        });
        let probe = addresses.inbound.map(|inbound| SelfProbe::new(inbound, renewal.issued(), tls.clone(), own_probe, readiness.clone()));
        let publishing = Publishing::new(config.tls, renewal.issued(), trusting.bundles(), Arc::clone(&clock), tls, readiness.clone());
        {
            let _inside = control.enter();
            spawn("trust", trusting.run());
            spawn("live peers", judging.run());
            spawn("renewal", renewal.run());
            spawn("tls state", publishing.run());
            if let Some(probe) = probe {
                spawn("self-probe", probe.run(drain.stop_inbound()));
            }
            if let Some(signer) = signer {
                spawn("boot key", log_of_decisions.clone().certify(signer, readiness.clone()));
            }
            spawn("policy", tables.watch());
            spawn("usage", Arc::clone(&counting).keep());
            if let Some(webhook) = webhook {
                webhook.start();
            }
            spawn("quarantine", quarantine::expire(quarantine, log_of_decisions.clone(), Arc::clone(&clock)));
            spawn("routes", routing.follow());
            app.run(&drain);
            spawn("watch", status::watch(Arc::clone(&plan), log_of_decisions, readiness.clone()));
        }
        let permits = Arc::new(Semaphore::new(config.limits.connections));
        let app_permits = Arc::new(Semaphore::new(config.limits.connections));
        {
            let _inside = acceptors.enter();
            if let (Some(listener), Some(address)) = (inbound, addresses.inbound) {
                let kind = Listener::Inbound(address.port());
                spawn("inbound acceptor", accept_loop(listener, kind, permits, shards.dispatch(), drain.stop_inbound()));
            }
            if let (Some(listener), Some(address)) = (outbound, addresses.outbound) {
                let kind = Listener::Outbound(address.port());
                spawn("outbound acceptor", accept_loop(listener, kind, app_permits, shards.dispatch(), drain.stop_outbound()));
            }
        }
        tracing::info!(
            id = %config.credentials.id,
            inbound = addresses.inbound.map(tracing::field::display),
            outbound = addresses.outbound.map(tracing::field::display),
            health = %admin.health,
            metrics = %admin.metrics,
            shards = config.runtime.shards,
            crypto = %module,
            "countersign {} serves",
            env!("CARGO_PKG_VERSION")
        );
        Ok(Self {
            addresses,
            drain,
            reloader,
            readiness,
            shards,
            counting,
            writer,
            emitting,
            #[cfg(feature = "otlp")]
            exporting,
            control,
            acceptors,
            timeouts: plan,
            _admin: admin,
        })
    }

    /// The control runtime, for signals.
    pub fn control(&self) -> &Runtime {
        &self.control
    }

    /// Waits for a drain to be asked for, leads it, and ends everything. Blocks.
    pub fn wait(self) -> Drained {
        let Self {
            drain,
            readiness,
            shards,
            counting,
            writer,
            emitting,
            #[cfg(feature = "otlp")]
            exporting,
            control,
            acceptors,
            timeouts,
            _admin,
            ..
        } = self;
        control.block_on(drain.run(|| (**timeouts.timeouts.load()).clone(), &readiness));
        acceptors.shutdown_background();
        shards.join();
        counting.finish();
        // Its last lines go through the writer.
        emitting.into_iter().for_each(Emitting::finish);
        writer.finish();
        #[cfg(feature = "otlp")]
        exporting.into_iter().for_each(Exporting::finish);
        drop(_admin);
        control.shutdown_background();
        let drained = drain.outcome();
        match drained {
            Drained::Clean => tracing::info!("drained"),
            Drained::Cut(requests) => tracing::warn!(requests, "drained; requests had to be cut"),
        }
        drained
    }
}

/// With what the platform says of this copy of the workload; the configuration's own labels come first.
fn labelled(settings: &audit::Settings) -> audit::Settings {
    let mut settings = settings.clone();
    match surroundings::labels() {
        Ok(said) => {
            for (name, value) in said {
                settings.labels.entry(name).or_insert(value);
            }
        }
        Err(error) => tracing::warn!(%error, "records do not say which task or pod they are of"),
    }
    settings
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    listener::bind(address).map_err(|source| StartError::Listen { key, address, source })
}

fn local(listener: &Option<TcpListener>) -> Option<SocketAddr> {
    listener.as_ref().and_then(|listener| listener.local_addr().ok())
}

/// Where the system says how names are resolved.
fn system() -> System {
    #[cfg(feature = "testing")]
    if let Some((configuration, port)) = crate::testing::hooks::resolver() {
        return System { configuration, port: Some(port) };
    }
    System::default()
}

/// The wall clock; in tests one that they move.
pub fn clock() -> Arc<dyn Clock> {
    #[cfg(feature = "testing")]
    return crate::testing::clock::clock();
    #[cfg(not(feature = "testing"))]
    Arc::new(SystemClock)
}

fn runtime(name: &str) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(8).thread_name(name).enable_all().build()
}

/// The record of a peer that is not trusted any more.
fn trust_event(withdrawn: &Withdrawn) -> TrustEvent {
    let direction = match withdrawn.peer.usage {
        Usage::Client => Direction::Inbound,
        Usage::Server => Direction::Outbound,
    };
    let peer = Arc::clone(&withdrawn.peer.identity);
    TrustEvent { direction, peer, reason: withdrawn.reason, connections: withdrawn.connections as u64 }
}
