//! One shard: what its connections share, its loop, and its sweep.

use super::activity::Millis;
use super::admission::Admission;
use super::body::Upload;
use super::buffers::Buffers;
use super::connections::{Close, Connections, TICK};
use super::outbound::Destinations;
use super::settings::{App, Inbound, Outbound};
use super::{inbound, outbound};
use crate::audit::{Direction, Recorder};
use crate::policy::usage::{Gathered, Tally};
use crate::policy::{self, Reason};
use crate::request::reserved::Reserved;
use crate::runtime::clock::Clock;
use crate::runtime::drain::{Live, Phase};
use crate::runtime::limits::{Limits, Timeouts};
use crate::runtime::listener::Incoming;
use crate::runtime::shards::Assigned;
use crate::runtime::tasks::{contained_poll, spawn_local};
use crate::telemetry::metrics::DataPath;
use crate::tls::{OwnProbe, TlsPublisher};
use crate::trust::LivePeers;
use crate::upstream::{AppAddress, AppPool, Dialer, OwnListeners, PeerConnections, PeerPools};
use arc_swap::{ArcSwap, Guard};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio::sync::{Semaphore, mpsc, watch};

/// Which listener a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Peers, over mutual TLS; with the local port.
    Inbound(u16),
    /// The local app, in the clear; with the local port.
    Outbound(u16),
}

/// What the data path is made of, shared by all shards.
pub struct Plan {
    /// `[inbound]`.
    pub inbound: Option<Inbound>,
    /// `[outbound]`.
    pub outbound: Option<Outbound>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[timeouts]`, as reloaded last.
    pub timeouts: ArcSwap<Timeouts>,
    /// `[[upstream]]`, as reloaded last.
    pub destinations: ArcSwap<Destinations>,
    /// The TLS state in force.
    pub tls: TlsPublisher,
    /// The peers of all open connections.
    pub live_peers: Arc<LivePeers>,
    /// The table in force.
    pub policy: policy::Publisher,
    /// How often its rules decided.
    pub usage: Arc<Gathered>,
    /// Requests under way.
    pub admission: Admission,
    /// Bytes that connections hold.
    pub buffers: Buffers,
    /// Handshakes under way.
    pub handshakes: Arc<Semaphore>,
    /// Counters of the drain.
    pub live: Arc<Live>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Our own plain listeners.
    pub own: Arc<OwnListeners>,
    /// Our own handshake with the inbound listener.
    pub own_probe: OwnProbe,
    /// Header names that never cross.
    pub reserved: Reserved,
    /// Whether each decision is a span of its own in its request's trace.
    pub spans: bool,
    /// How far the end has come.
    pub phases: watch::Receiver<Phase>,
}

/// What the connections of one shard share.
pub struct Shard {
    /// What all shards share.
    pub plan: Arc<Plan>,
    /// The open connections.
    pub connections: Rc<Connections>,
    /// The decision log.
    pub recorder: Recorder,
    /// The table in force, cached.
    pub policy: policy::Reader,
    /// How often its rules decided here.
    pub usage: Tally,
    /// The TLS state in force.
    pub tls: TlsPublisher,
    /// Connections to the app.
    pub app: AppPool<Upload>,
    /// Connections to peers.
    pub peers: PeerPools<Upload>,
    /// Metrics of the inbound direction.
    pub inbound_metrics: DataPath,
    /// Metrics of the outbound direction.
    pub outbound_metrics: DataPath,
    phase: Cell<Phase>,
    /// Of trust, as acted on.
    withdrawals: Cell<u64>,
    /// What its connections held when it last looked.
    held: Cell<u64>,
}

impl Shard {
    /// A shard without connections.
    pub fn new(plan: Arc<Plan>, recorder: Recorder) -> Rc<Self> {
        let dialer = Dialer {
            connections: Rc::new(PeerConnections::default()),
            live: Arc::clone(&plan.live_peers),
            own: Arc::clone(&plan.own),
            clock: Arc::clone(&plan.clock),
            max_age: plan.limits.max_connection_age,
            head_bytes: plan.limits.head_bytes,
        };
        // Nothing is forwarded to the app without an inbound listener.
        let nowhere = Inbound::default();
        let inbound = plan.inbound.as_ref().unwrap_or(&nowhere);
        let app = match &inbound.app {
            App::Tcp(address) => AppAddress::Tcp(*address),
            App::Unix(path) => AppAddress::Unix(path.clone()),
        };
        Rc::new(Self {
            connections: Connections::new(),
            recorder,
            policy: plan.policy.reader(),
            usage: Tally::new(Arc::clone(&plan.usage)),
            tls: plan.tls.clone(),
            app: AppPool::new(app, inbound.app_protocol, dialer.clone()),
            peers: PeerPools::new(dialer),
            inbound_metrics: DataPath::new("inbound"),
            outbound_metrics: DataPath::new("outbound"),
            phase: Cell::new(Phase::Running),
            withdrawals: Cell::new(0),
            held: Cell::new(0),
            plan,
        })
    }

    /// The coarse clock.
    pub fn now(&self) -> Millis {
        self.connections.clock().now()
    }

    /// The time-outs in force.
    pub fn timeouts(&self) -> Guard<Arc<Timeouts>> {
        self.plan.timeouts.load()
    }

    /// The metrics of one direction.
    pub fn metrics(&self, direction: Direction) -> &DataPath {
        match direction {
            Direction::Inbound => &self.inbound_metrics,
            Direction::Outbound => &self.outbound_metrics,
        }
    }

    /// Whether new connections of a direction begin their graceful end at once.
    pub fn is_closing(&self, direction: Direction) -> bool {
        let from = if direction == Direction::Inbound { Phase::InboundClosing } else { Phase::OutboundClosing };
        self.phase.get() >= from
    }

    /// Serves connections until the cut of the drain.
    pub async fn run(self: Rc<Self>, mut work: mpsc::Receiver<Assigned<Incoming<Listener>>>) {
        let mut phases = self.plan.phases.clone();
        drop(spawn_local("sweep", Rc::clone(&self).sweep()));
        loop {
            tokio::select! {
                biased;
                changed = phases.changed() => {
                    let phase = *phases.borrow_and_update();
                    self.enter(phase);
                    if phase == Phase::Cut || changed.is_err() {
                        break;
                    }
                }
                assigned = work.recv() => match assigned {
                    Some(assigned) => Rc::clone(&self).serve(assigned),
                    None => break,
                }
            }
        }
        // What was cut says so in its record: give the tasks one turn each to end.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.recorder.flush();
        self.usage.hand_over(self.plan.clock.now());
    }

    fn serve(self: Rc<Self>, assigned: Assigned<Incoming<Listener>>) {
        let Assigned { work, load } = assigned;
        drop(match work.listener {
            Listener::Inbound(port) => spawn_local("inbound connection", async move {
                inbound::connection(self, work, port).await;
                drop(load);
            }),
            Listener::Outbound(port) => spawn_local("outbound connection", async move {
                outbound::connection(self, work, port).await;
                drop(load);
            }),
        });
    }

    /// Moves every connection of the directions that a phase ends.
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        let now = self.now();
        self.connections.for_each(|connection| {
            let direction = if connection.caller.identity.is_some() { Direction::Inbound } else { Direction::Outbound };
            if phase == Phase::Cut {
                self.plan.live.cut.fetch_add(connection.unfinished(), Ordering::SeqCst);
                connection.tell(Close::Cut("drained"));
            } else if self.is_closing(direction) {
                connection.begin_closing(now);
            }
        });
    }

    async fn sweep(self: Rc<Self>) {
        let in_force = InForce::default();
        loop {
            // An idle process does not tick.
            let settled = self.recorder.is_settled() && self.usage.is_settled();
            if settled && self.app.is_empty() && self.peers.is_empty() && self.held.get() == 0 {
                self.connections.stirred().await;
            }
            tokio::time::sleep(TICK).await;
            // Without the sweep nothing ends in time: it outlives whatever goes wrong in one of its rounds.
            let _ = contained_poll("sweep", || self.look(&in_force));
        }
    }

    fn look(&self, in_force: &InForce) {
        let timeouts = self.timeouts();
        let wall = self.plan.clock.now();
        let held = self.connections.sweep(wall, &timeouts);
        let withdrawals = self.plan.live_peers.withdrawals();
        if self.withdrawals.replace(withdrawals) != withdrawals {
            self.connections.cut_withdrawn();
        }
        self.peers.connections().sweep(wall, TICK, |reason| self.outbound_metrics.cut(reason));
        let give_up = self.plan.buffers.exchange(self.held.replace(held), held);
        if give_up > 0 {
            self.connections.give_up(give_up);
        }
        self.app.expire(&timeouts);
        self.peers.expire(self.tls.generation(), &timeouts);
        if in_force.moved(self, wall) {
            self.decide_again(wall);
        }
        self.record_open();
        self.recorder.flush();
        self.usage.hand_over(wall);
    }

    /// Requests under way are decided by the rules and routes that are in force now; what these forbid ends.
    fn decide_again(&self, wall: SystemTime) {
        let (table, destinations) = (self.policy.current(), self.plan.destinations.load_full());
        let now = self.now();
        self.connections.for_each_exchange(|connection, exchange| {
            let forbidden = exchange.with_decision(|decision| {
                let request = decision.request.as_ref()?;
                match decision.direction {
                    Direction::Inbound => {
                        let denial = policy::decide(&table, &connection.caller, request, wall).err()?;
                        Some(if denial.facts.reason == Reason::Quarantined { "quarantined" } else { "policy_changed" })
                    }
                    Direction::Outbound => {
                        (!outbound::leads_on(&destinations, request, decision.target.as_deref())).then_some("route_changed")
                    }
                }
            });
            if let Some(reason) = forbidden.flatten() {
                exchange.end(reason, now);
            }
        });
    }

    fn record_open(&self) {
        let now = self.now();
        self.connections.for_each_exchange(|_, exchange| {
            if let Some(decision) = exchange.record_open(now) {
                self.recorder.allow(decision);
            }
        });
    }
}

/// The rules and routes by which the requests under way were decided last.
#[derive(Default)]
struct InForce {
    publication: Cell<u64>,
    destinations: RefCell<Option<Arc<Destinations>>>,
    /// When the first of them ends by itself (`expires`).
    until: Cell<Option<SystemTime>>,
}

impl InForce {
    /// Whether others are in force at `wall`: there is a new table, a rule has ended, or there are new routes.
    fn moved(&self, shard: &Shard, wall: SystemTime) -> bool {
        let publication = shard.policy.publication();
        let replaced = self.publication.replace(publication) != publication;
        let rules = replaced || self.until.get().is_some_and(|until| wall >= until);
        if rules {
            self.until.set(shard.policy.current().as_ref().as_ref().and_then(|table| table.holds_until(wall)));
        }
        let destinations = shard.plan.destinations.load();
        let routes = !self.destinations.borrow().as_ref().is_some_and(|known| Arc::ptr_eq(known, &destinations));
        if routes {
            self.destinations.replace(Some(Arc::clone(&destinations)));
        }
        rules || routes
    }
}
