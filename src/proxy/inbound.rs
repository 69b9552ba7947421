//! Peer → this service: handshake, identity, then every request is decided and forwarded to the app.

use super::activity::Speaks;
use super::admission::Share;
use super::body::{Download, Upload};
use super::connections::Lifetime;
use super::downstream::{Begun, Counted, Downstream, Owes, Refusal, claimed, jittered};
use super::exchange::{ExchangeGuard, Patience};
use super::serve::serve;
use super::shard::{Listener, Shard};
use super::upgrade::{self, Asked};
use super::{forward, headers, respond};
use crate::audit::{Claimed, Direction, RefusedHandshake};
use crate::policy::{self, Caller, Denial, Facts, Permit, Snapshot, Trial, Verdict, Would};
use crate::request::{self, CanonicalRequest, Strictness, canonicalize};
use crate::runtime::listener::Incoming as Arrived;
use crate::runtime::tasks::spawn_local;
use crate::telemetry::metrics::Process;
use crate::tls::{self, Accepted, HandshakeError};
use crate::trust::Usage;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What the requests of one inbound connection share.
struct Peer {
    downstream: Downstream,
    identity: headers::Identity,
    in_flight: Arc<AtomicUsize>,
    strictness: Strictness,
}

/// Serves one accepted connection to its end.
pub async fn connection(shard: Rc<Shard>, arrived: Arrived<Listener>, port: u16) {
    let Arrived { stream, source, permit, .. } = arrived;
    let Some(settings) = shard.plan.inbound.as_ref() else { return };
    // From here on a drain waits for it: whoever was let in is answered.
    let _counted = Counted::new(&shard, Direction::Inbound);
    let Some((accepted, own, permit)) = handshake(&shard, stream, source, port, permit).await else { return };
    let live = shard.plan.live_peers.admit(Usage::Client, &accepted.peer, accepted.chain(), own.bundles().generation);
    let Accepted { stream, peer, channel } = accepted;
    shard.inbound_metrics.handshakes_ok.increment(1);
    let identity = headers::Identity::new(settings, own.id.as_str(), &peer, source.ip());
    let in_flight = shard.plan.admission.identity(peer.principal.as_str());
    let speaks = if channel.alpn == "h2" { Speaks::Http2 } else { Speaks::Http1 };
    let ends = peer.not_after.min(own.not_after);
    let age = jittered(shard.plan.limits.max_connection_age);
    let lifetime = Lifetime::until(ends, shard.plan.clock.now(), shard.timeouts().drain_grace, age);
    let caller = Arc::new(Caller::new(Some(peer), source, port, Some(channel)));
    let guard = shard.connections.admit(caller, Some(live), speaks, lifetime);
    if shard.is_closing(Direction::Inbound) {
        guard.connection.begin_closing(shard.now());
    }
    let downstream = Downstream { shard: Rc::clone(&shard), connection: Rc::clone(&guard.connection), direction: Direction::Inbound };
    let peer = Rc::new(Peer { downstream, identity, in_flight, strictness: settings.strictness });
    let handle = |request| {
        let peer = Rc::clone(&peer);
        async move {
            let answer = async |request, begun, owes: &_| decide_and_forward(&peer, request, begun, owes).await;
            peer.downstream.answer(request, answer).await
        }
    };
    let ended = serve(stream, Bytes::new(), speaks, &peer.downstream, &shard.plan.limits, handle).await;
    peer.downstream.finished(speaks, ended);
    drop(permit);
}

/// Shakes hands under `[timeouts] handshake`, which runs from the accept; a refusal is recorded with who was refused.
/// The connection's permit lasts until the refused client has read why.
async fn handshake(
    shard: &Shard,
    stream: std::net::TcpStream,
    source: SocketAddr,
    port: u16,
    permit: OwnedSemaphorePermit,
) -> Option<(Accepted, Arc<tls::TlsState>, OwnedSemaphorePermit)> {
    let limit = shard.timeouts().handshake;
    let attempt = async {
        let _turn = shard.plan.handshakes.acquire().await.ok()?;
        let Some(state) = shard.tls.current() else {
            refused(shard, source, port, "no_certificate", "handshake:no_certificate".into(), None);
            return None;
        };
        let stream = TcpStream::from_std(stream).ok()?;
        match tls::accept(&state, stream).await {
            Ok(accepted) => Some((accepted, state, permit)),
            Err(refused_by_tls) => {
                let error = &refused_by_tls.error;
                let claimed = match error {
                    HandshakeError::Refused(peer) => Some(claimed(peer)),
                    _ => None,
                };
                tracing::debug!(%source, %error, "handshake refused");
                refused(shard, source, port, error.label(), error.reason(), claimed);
                drop(spawn_local("parting", async move {
                    refused_by_tls.part().await;
                    drop(permit);
                }));
                None
            }
        }
    };
    match tokio::time::timeout(limit, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => {
            refused(shard, source, port, "timeout", "handshake_timeout".into(), None);
            None
        }
    }
}

fn refused(
    shard: &Shard,
    source: SocketAddr,
    local_port: u16,
    label: &'static str,
    reason: std::borrow::Cow<'static, str>,
    claimed: Option<Claimed>,
) {
    if shard.plan.own_probe.is(source) {
        // No peer's: the probe itself tells of it.
        return;
    }
    shard.inbound_metrics.handshake_failed(label);
    let at = shard.plan.clock.now();
    let id = shard.recorder.id(at);
    let direction = Direction::Inbound;
    shard.recorder.handshake(RefusedHandshake { at, id, direction, source, local_port, reason, claimed, server_name: None });
    if !shard.recorder.is_settled() {
        // A flood of refusals opens no connection, and its counts would wait for one.
        shard.connections.stir();
    }
}

async fn decide_and_forward(peer: &Peer, request: Request<Incoming>, begun: Begun, owes: &Cell<Owes>) -> Response<Download> {
    let Peer { downstream, identity, in_flight, strictness } = peer;
    let shard = &downstream.shard;
    let (mut parts, body) = request.into_parts();
    #[cfg(feature = "testing")]
    crate::testing::hooks::decision(&parts.headers);
    let in_force = shard.policy.publication();
    let Decided { canonical, permit, asked } = match decide(downstream, &mut parts, strictness, begun.wall) {
        Ok(decided) => decided,
        Err(refusal) => {
            count_difference(shard, Verdict::Deny, &refusal.facts);
            owes.set(Owes::Nobody);
            return downstream.refuse(begun, *refusal);
        }
    };
    let decide_ns = begun.nanos();
    let (hop, share) = match admit(downstream, &parts.headers, in_flight).await {
        Ok(admitted) => admitted,
        Err((status, reason)) => {
            owes.set(Owes::Nobody);
            return downstream.refuse_because(begun, status, reason, canonical);
        }
    };
    // The log may have made us wait, and what is not open yet is not among what a new table decides again.
    let permit = match shard.policy.publication() {
        same if same == in_force => permit,
        _ => match permitted(&shard.policy.current(), downstream, &canonical, begun.wall) {
            Ok(permit) => permit,
            Err(refusal) => {
                count_difference(shard, Verdict::Deny, &refusal.facts);
                owes.set(Owes::Nobody);
                return downstream.refuse(begun, *refusal);
            }
        },
    };
    count_allowed(shard, permit.facts());
    let record = downstream.decision(begun, decide_ns, Verdict::Allow, permit.facts().clone(), Some(canonical.clone()));
    let id = record.id;
    let patience = Patience::of(&begun, &parts.headers, shard.timeouts().response_head);
    let guard = ExchangeGuard::open(shard, &downstream.connection, record, begun.instant, patience, share, body);
    owes.set(Owes::Exchange(id));
    let stripped = headers::to_app(&mut parts.headers, &canonical, &shard.plan.reserved, identity, hop);
    shard.inbound_metrics.stripped.increment(stripped);
    if shard.plan.spans {
        canonical.trace.enter(&mut parts.headers, id.span_id());
    }
    let upload = Upload::new(&guard);
    match forward::to_app(permit, canonical, parts.headers, upload, guard, asked).await {
        Ok(response) => response,
        Err((failure, guard)) => {
            tracing::debug!(error = %failure, "a request failed");
            guard.exchange.failed(begun.speech.sent(failure.status()).as_u16(), failure.reason());
            respond::refusal(failure.status(), id, Direction::Inbound, failure.reason(), begun.speech)
        }
    }
}

/// A request that may pass.
struct Decided {
    canonical: CanonicalRequest,
    permit: Permit,
    asked: Option<Box<Asked>>,
}

/// The canonical request and the permit for it, by the table in force at this moment.
fn decide(downstream: &Downstream, parts: &mut Parts, strictness: &Strictness, wall: SystemTime) -> Result<Decided, Box<Refusal>> {
    let table = downstream.shard.policy.current();
    let asked = upgrade::asked(parts).map_err(|malformed| Refusal::malformed(malformed, &table, parts.method.clone()))?;
    let mentioned = policy::mentioned(&table);
    let listener = request::Listener::Inbound;
    let canonical = canonicalize(&parts.method, &parts.uri, parts.version, &parts.headers, strictness, listener, &mentioned);
    let mut canonical = canonical.map_err(|malformed| Refusal::malformed(malformed, &table, parts.method.clone()))?;
    canonical.framing = downstream.framing(&parts.headers);
    let permit = permitted(&table, downstream, &canonical, wall)?;
    Ok(Decided { canonical, permit, asked })
}

/// What a table says of a canonical request.
fn permitted(table: &Snapshot, downstream: &Downstream, canonical: &CanonicalRequest, wall: SystemTime) -> Result<Permit, Box<Refusal>> {
    policy::decide_counted(table, &downstream.connection.caller, canonical, wall, &downstream.shard.usage).map_err(|denial| {
        let Denial { status, facts } = *denial;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Box::new(Refusal { status, facts, request: Some(canonical.clone()), method: None })
    })
}

/// What the data path itself can refuse once the table allows: loops, too much at once, a log that takes no more.
async fn admit(
    downstream: &Downstream,
    headers: &HeaderMap,
    in_flight: &Arc<AtomicUsize>,
) -> Result<(HeaderValue, Share), (StatusCode, &'static str)> {
    let shard = &downstream.shard;
    if shard.plan.buffers.refuse(&downstream.connection) {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "buffers_full"));
    }
    let hop = headers::next_hop(headers).map_err(|()| (StatusCode::LOOP_DETECTED, "loop"))?;
    let share = shard.plan.admission.inbound(in_flight).map_err(|reason| (StatusCode::SERVICE_UNAVAILABLE, reason))?;
    shard.recorder.reserve().await.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable"))?;
    Ok((hop, share))
}

fn count_allowed(shard: &Shard, facts: &Facts) {
    shard.inbound_metrics.allowed.increment(1);
    if facts.would.as_ref().is_some_and(|would| would.verdict == Verdict::Deny && would.by == Trial::Shadow) {
        shard.inbound_metrics.would_deny.increment(1);
    }
    if facts.ticket().is_some() {
        Process::handles().break_glass.increment(1);
    }
    count_difference(shard, Verdict::Allow, facts);
}

/// Counts a request that the candidate decides otherwise.
fn count_difference(shard: &Shard, verdict: Verdict, facts: &Facts) {
    if let Some(Would { rule, by: Trial::Candidate(_), .. }) = facts.would.as_deref() {
        let [enforced, tried] = [&facts.rule, rule].map(|rule| rule.as_ref().map(|rule| rule.id.as_str()));
        shard.inbound_metrics.differences.count(verdict.as_str(), enforced, tried);
    }
}
