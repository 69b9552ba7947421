//! This service → peer: the local app's requests, routed by host, sent only to the peer that the route expects.

use super::activity::Speaks;
use super::body::{Download, Upload};
use super::connections::Lifetime;
use super::downstream::{Begun, Counted, Downstream, Owes, Refusal, claimed};
use super::exchange::{ExchangeGuard, Patience};
use super::serve::serve;
use super::settings::OutboundProtocol;
use super::shard::{Listener, Shard};
use super::{forward, headers, respond, upgrade};
use crate::audit::{Direction, RefusedHandshake, Target};
use crate::policy::{self, Caller, RuleFacts, Verdict};
use crate::request::{self, CanonicalRequest, Mentioned, Strictness, canonicalize};
use crate::runtime::listener::Incoming as Arrived;
use crate::tls::ConnectError;
use crate::upstream::{Address, Route, Routes, Settings, Snapshot, UpstreamError};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The beginning of an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The routes, each with what its records say.
pub type Destinations = Routes<Destination>;

/// What the records of a route say.
#[derive(Debug, Clone)]
pub struct Destination {
    rule: Arc<RuleFacts>,
    target: Arc<Target>,
}

/// The routes of a configuration, with the addresses that its names have now.
pub fn destinations(upstreams: &[Settings], names: &Snapshot) -> Destinations {
    Routes::new(upstreams, names, |host, upstream, route| {
        let port = upstream.addresses.first().map_or(0, |address| match address {
            Address::Socket(address) => address.port(),
            Address::Name(_, port) => *port,
        });
        let target = Target { id: Some(route.expected.0.as_str().to_owned()), host: host.to_owned(), port };
        Destination { rule: Arc::new(RuleFacts::route(&route.name)), target: Arc::new(target) }
    })
}

/// Whether a request for this host still goes to the peer that `target` names.
pub fn leads_on(destinations: &Destinations, request: &CanonicalRequest, target: Option<&Target>) -> bool {
    let now = destinations.find(request.host()).and_then(|(_, destination)| destination.target.id.as_ref());
    now.is_some() && now == target.and_then(|target| target.id.as_ref())
}

/// Serves one accepted connection to its end.
pub async fn connection(shard: Rc<Shard>, arrived: Arrived<Listener>, port: u16) {
    let Arrived { stream, source, permit, .. } = arrived;
    let Some(settings) = shard.plan.outbound.as_ref() else { return };
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    let _counted = Counted::new(&shard, Direction::Outbound);
    let head = shard.timeouts().head;
    let (speaks, ahead) = match tokio::time::timeout(head, protocol(&mut stream, settings.protocol)).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(_) => return shard.outbound_metrics.cut("head"),
    };
    let caller = Arc::new(Caller::new(None, source, port, None));
    let guard = shard.connections.admit(caller, None, speaks, Lifetime::default());
    if shard.is_closing(Direction::Outbound) {
        guard.connection.begin_closing(shard.now());
    }
    let connection = Rc::clone(&guard.connection);
    let downstream = Rc::new(Downstream { shard: Rc::clone(&shard), connection, direction: Direction::Outbound });
    let strictness = settings.strictness;
    let handle = |request| {
        let downstream = Rc::clone(&downstream);
        async move {
            let answer = async |request, begun, owes: &_| route_and_forward(&downstream, strictness, request, begun, owes).await;
            downstream.answer(request, answer).await
        }
    };
    let ended = serve(stream, ahead, speaks, &downstream, &shard.plan.limits, handle).await;
    downstream.finished(speaks, ended);
    drop(permit);
}

/// Which HTTP the app speaks. By its first bytes where the settings leave it open; they are handed on.
async fn protocol(stream: &mut TcpStream, settings: OutboundProtocol) -> Option<(Speaks, Bytes)> {
    match settings {
        OutboundProtocol::Http1 => return Some((Speaks::Http1, Bytes::new())),
        OutboundProtocol::H2c => return Some((Speaks::Http2, Bytes::new())),
        OutboundProtocol::Auto => {}
    }
    let mut ahead = BytesMut::with_capacity(1_024);
    loop {
        if stream.read_buf(&mut ahead).await.ok()? == 0 {
            return None;
        }
        let common = ahead.iter().zip(PREFACE).take_while(|(byte, expected)| byte == expected).count();
        if common == PREFACE.len() {
            return Some((Speaks::Http2, ahead.freeze()));
        }
        if common < ahead.len() {
            return Some((Speaks::Http1, ahead.freeze()));
        }
    }
}

async fn route_and_forward(
    downstream: &Downstream,
    strictness: Strictness,
    request: Request<Incoming>,
    begun: Begun,
    owes: &Cell<Owes>,
) -> Response<Download> {
    let shard = &downstream.shard;
    let (mut parts, body) = request.into_parts();
    // Routes are found by host alone: no rule asks about a header.
    let (listener, mentioned) = (request::Listener::Outbound, Mentioned::default());
    let canonical = upgrade::asked(&mut parts).and_then(|asked| {
        let Parts { method, uri, version, headers, .. } = &parts;
        canonicalize(method, uri, *version, headers, &strictness, listener, &mentioned).map(|canonical| (canonical, asked))
    });
    let (canonical, asked) = match canonical {
        Ok((canonical, asked)) => (CanonicalRequest { framing: downstream.framing(&parts.headers), ..canonical }, asked),
        Err(malformed) => {
            owes.set(Owes::Nobody);
            let refusal = Refusal::malformed(malformed, &shard.policy.current(), parts.method);
            return downstream.refuse(begun, *refusal);
        }
    };
    let destinations = shard.plan.destinations.load_full();
    let Some((route, destination)) = destinations.find(canonical.host()) else {
        owes.set(Owes::Nobody);
        return downstream.refuse_because(begun, StatusCode::BAD_GATEWAY, "unknown_host", canonical);
    };
    let Ok(hop) = headers::next_hop(&parts.headers) else {
        owes.set(Owes::Nobody);
        return downstream.refuse_because(begun, StatusCode::LOOP_DETECTED, "loop", canonical);
    };
    let permit = policy::permit_route(Arc::clone(&destination.rule), &shard.policy.current());
    let decide_ns = begun.nanos();
    let admitted = if shard.plan.buffers.refuse(&downstream.connection) { Err("buffers_full") } else { shard.plan.admission.outbound() };
    let share = match admitted {
        Ok(share) if shard.recorder.reserve().await.is_ok() => share,
        refused => {
            owes.set(Owes::Nobody);
            let reason = refused.err().unwrap_or("audit_unavailable");
            return downstream.refuse_because(begun, StatusCode::SERVICE_UNAVAILABLE, reason, canonical);
        }
    };
    // The log may have made us wait, and what is not open yet is not among what new routes end.
    if !Arc::ptr_eq(&destinations, &shard.plan.destinations.load())
        && !leads_on(&shard.plan.destinations.load(), &canonical, Some(&destination.target))
    {
        owes.set(Owes::Nobody);
        return downstream.refuse_because(begun, StatusCode::BAD_GATEWAY, "unknown_host", canonical);
    }
    shard.outbound_metrics.allowed.increment(1);
    let mut record = downstream.decision(begun, decide_ns, Verdict::Allow, permit.facts().clone(), Some(canonical.clone()));
    record.target = Some(Arc::clone(&destination.target));
    let id = record.id;
    let response_head = route.response_head.unwrap_or(shard.timeouts().response_head);
    let patience = Patience::of(&begun, &parts.headers, response_head);
    let guard = ExchangeGuard::open(shard, &downstream.connection, record, begun.instant, patience, share, body);
    owes.set(Owes::Exchange(id));
    let stripped = headers::to_peer(&mut parts.headers, &canonical, &shard.plan.reserved, hop);
    shard.outbound_metrics.stripped.increment(stripped);
    if shard.plan.spans {
        canonical.trace.enter(&mut parts.headers, id.span_id());
    }
    let upload = Upload::new(&guard);
    match forward::to_peer(permit, route, canonical, parts.headers, upload, guard, asked).await {
        Ok(response) => response,
        Err((failure, guard)) => {
            tracing::debug!(error = %failure, "a request failed");
            guard.exchange.failed(begun.speech.sent(failure.status()).as_u16(), failure.reason());
            respond::refusal(failure.status(), id, Direction::Outbound, failure.reason(), begun.speech)
        }
    }
}

/// Counts a handshake with the peer at `endpoint` that failed, and records a peer that we refused in it, with what its certificate said.
pub fn handshake_failed(shard: &Shard, route: &Route, host: &str, error: &UpstreamError, endpoint: SocketAddr) {
    if matches!(error, UpstreamError::Handshake(_) | UpstreamError::HandshakeTimeout(_) | UpstreamError::RefusedUs(_)) {
        shard.outbound_metrics.handshake_failed(error.reason());
    }
    let UpstreamError::Handshake(error) = error else { return };
    let (ConnectError::IdentityMismatch { refused, .. } | ConnectError::Refused(refused)) = &**error else { return };
    tracing::warn!(upstream = route.name, expected = route.expected.0.as_str(), %error, "a peer was refused");
    let at = shard.plan.clock.now();
    shard.recorder.handshake(RefusedHandshake {
        at,
        id: shard.recorder.id(at),
        direction: Direction::Outbound,
        source: endpoint,
        local_port: 0,
        reason: error.reason().into(),
        claimed: Some(claimed(refused)),
        server_name: Some(host.to_owned()),
    });
}
