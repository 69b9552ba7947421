//! The way onward: a permitted request goes to the app or to a peer, and its response comes back cleaned.

use super::body::{Download, Passing, Upload};
use super::error::Failure;
use super::exchange::ExchangeGuard;
use super::headers::{self, Length};
use super::outbound;
use super::upgrade::Asked;
use crate::audit::Direction;
use crate::policy::Permit;
use crate::request::CanonicalRequest;
use crate::tls::Offer;
use crate::upstream::balance::{Attempts, Counts};
use crate::upstream::{Endpoint, Lease, PoolKey, Protocol, Route, UpstreamError, is_unprocessed};
use http::header::{CONNECTION, HOST, TRAILER, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Forwards a permitted request to the app.
///
/// # Errors
/// No usable response came.
pub async fn to_app(
    permit: Permit,
    request: CanonicalRequest,
    headers: HeaderMap,
    upload: Upload,
    guard: ExchangeGuard,
    asked: Option<Box<Asked>>,
) -> Result<Response<Download>, (Failure, ExchangeGuard)> {
    drop(permit);
    let shard = guard.shard().clone();
    let timeouts = shard.timeouts();
    let mut outgoing = outgoing(&request, headers, upload, asked.as_deref());
    loop {
        let leased = match asked {
            None => unless_ended(&guard, shard.app.lease(&timeouts)).await,
            Some(_) => unless_ended(&guard, Box::pin(shard.app.lease_to_switch(&timeouts))).await,
        };
        let mut lease = match leased {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => return Err((Failure::App(error), guard)),
            Err(ended) => return Err((ended, guard)),
        };
        if !lease.reused {
            shard.inbound_metrics.dials.increment(1);
        }
        let next = match lease.protocol() {
            Protocol::Http1 => outgoing,
            // In the clear, and said so: servers refuse a scheme that is not their connection's.
            Protocol::Http2 if request.authority.is_some() => for_http2(outgoing, &request, Scheme::HTTP),
            Protocol::Http2 => return Err((Failure::NoAuthority, guard)),
        };
        match send(&guard, &mut lease, next).await {
            Ok(response) => {
                return match asked {
                    None => deliver(response, lease, guard, &request.method),
                    Some(asked) => Box::pin(asked.answered(response, lease, guard, &request)).await,
                };
            }
            Err(Unanswered::Unused(request)) => {
                shard.inbound_metrics.replaced.increment(1);
                outgoing = *request;
            }
            Err(Unanswered::Unprocessed(failure) | Unanswered::Failed(failure)) => return Err((failure, guard)),
        }
    }
}

/// Forwards a permitted request to a peer of `route`; tries further endpoints only as `retries` allows, and only while no byte was written.
///
/// # Errors
/// No usable response came.
pub async fn to_peer(
    permit: Permit,
    route: &Route,
    request: CanonicalRequest,
    headers: HeaderMap,
    upload: Upload,
    guard: ExchangeGuard,
    asked: Option<Box<Asked>>,
) -> Result<Response<Download>, (Failure, ExchangeGuard)> {
    drop(permit);
    let shard = guard.shard().clone();
    let timeouts = shard.timeouts();
    // Protocols are switched on HTTP/1.1 alone, and not on a connection that negotiated something else.
    let offer = if asked.is_some() { Offer::Http1 } else { route.offer };
    if offer == Offer::Http1 && route.offer == Offer::Http2 {
        return Err((Failure::Peer(UpstreamError::NoHttp1), guard));
    }
    let Some(tls) = shard.tls.current() else { return Err((Failure::Peer(UpstreamError::NoCertificate), guard)) };
    let key =
        |endpoint: &Endpoint| PoolKey { endpoint: endpoint.address, expected: route.expected.clone(), generation: tls.generation, offer };
    let load = |endpoint: &Endpoint| shard.peers.load(&key(endpoint));
    let mut attempts = Attempts::new(&route.endpoints, route.retries);
    let Some(mut endpoint) = attempts.first(load) else {
        return Err((Failure::Peer(UpstreamError::NoAddress(route.name.clone())), guard));
    };
    if attempts.may_retry() {
        guard.exchange.may_repeat();
    }
    let mut outgoing = outgoing(&request, headers, upload, asked.as_deref());
    loop {
        let key = key(endpoint);
        let leased = match asked {
            None => unless_ended(&guard, shard.peers.lease(&key, request.host(), &tls, &timeouts)).await,
            Some(_) => unless_ended(&guard, Box::pin(shard.peers.lease_to_switch(&key, request.host(), &tls, &timeouts))).await,
        };
        let mut lease = match leased {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => {
                // Recorded for each endpoint: one that is not who it must be shall not hide behind another that is.
                outbound::handshake_failed(&shard, route, request.host(), &error, endpoint.address);
                if let Some(name) = &endpoint.name {
                    name.doubt();
                }
                let Some((another, counts)) = attempts.next(&error, load) else { return Err((Failure::Peer(error), guard)) };
                if counts == Counts::AsRetry {
                    shard.outbound_metrics.retries.increment(1);
                }
                endpoint = another;
                continue;
            }
            Err(ended) => return Err((ended, guard)),
        };
        guard.exchange.reaches(lease.group());
        if !lease.reused {
            shard.outbound_metrics.dials.increment(1);
            shard.outbound_metrics.handshakes_ok.increment(1);
        }
        let next = match lease.protocol() {
            Protocol::Http1 => for_http1(outgoing, &request),
            Protocol::Http2 => for_http2(outgoing, &request, Scheme::HTTPS),
        };
        let spare = attempts.may_retry().then(|| head_of(&next));
        match send(&guard, &mut lease, next).await {
            Ok(response) => {
                return match asked {
                    None => deliver(response, lease, guard, &request.method),
                    Some(asked) => Box::pin(asked.answered(response, lease, guard, &request)).await,
                };
            }
            Err(Unanswered::Unused(request)) => {
                shard.outbound_metrics.replaced.increment(1);
                outgoing = *request;
            }
            Err(Unanswered::Unprocessed(failure)) => {
                let Some((head, upload)) = spare.zip(Upload::again(&guard)) else { return Err((failure, guard)) };
                let Some(another) = attempts.again(load) else { return Err((failure, guard)) };
                shard.outbound_metrics.retries.increment(1);
                endpoint = another;
                outgoing = head.map(|()| upload);
            }
            Err(Unanswered::Failed(failure)) => return Err((failure, guard)),
        }
    }
}

/// What is kept of a request that may be sent once more.
fn head_of(request: &Request<Upload>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    head
}

/// What goes on the next leg: exactly what was decided on, framed by us.
fn outgoing(request: &CanonicalRequest, mut headers: HeaderMap, upload: Upload, asked: Option<&Asked>) -> Request<Upload> {
    if let Some(asked) = asked {
        asked.ask(&mut headers);
    }
    frame(&mut headers, &upload);
    let mut outgoing = Request::new(upload);
    *outgoing.method_mut() = request.method.clone();
    *outgoing.uri_mut() = Uri::from(request.target.clone());
    *outgoing.headers_mut() = headers;
    outgoing
}

/// A body of unknown length is framed on purpose, whatever the method: HTTP/1.1 would drop it after GET. One with trailers has to be chunked.
fn frame(headers: &mut HeaderMap, upload: &Upload) {
    if !upload.is_end_stream() && (upload.size_hint().exact().is_none() || headers.contains_key(TRAILER)) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// HTTP/1.1 wants the path alone, the authority in `Host`, and a framed body.
fn for_http1(outgoing: Request<Upload>, request: &CanonicalRequest) -> Request<Upload> {
    if outgoing.version() != Version::HTTP_2 {
        return outgoing;
    }
    // It was meant for an HTTP/2 connection that turned out to be dead.
    let (mut parts, upload) = outgoing.into_parts();
    parts.version = Version::HTTP_11;
    parts.uri = Uri::from(request.target.clone());
    if let Some(authority) = &request.authority {
        parts.headers.insert(HOST, authority.header_value().clone());
    }
    headers::nominate_te(&mut parts.headers);
    frame(&mut parts.headers, &upload);
    Request::from_parts(parts, upload)
}

/// HTTP/2 wants scheme and authority in the target, and frames by itself.
fn for_http2(mut outgoing: Request<Upload>, request: &CanonicalRequest, scheme: Scheme) -> Request<Upload> {
    outgoing.headers_mut().remove(TRANSFER_ENCODING);
    outgoing.headers_mut().remove(CONNECTION);
    outgoing.headers_mut().remove(HOST);
    let mut parts = Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = request.authority.as_ref().and_then(|authority| Authority::try_from(authority.header_value().as_bytes()).ok());
    parts.path_and_query = Some(request.target.clone());
    if let Ok(uri) = Uri::from_parts(parts) {
        *outgoing.uri_mut() = uri;
    }
    *outgoing.version_mut() = Version::HTTP_2;
    outgoing
}

/// Why there is no response.
enum Unanswered {
    /// No byte was written on a connection that had been pooled.
    Unused(Box<Request<Upload>>),
    /// The other side did nothing with the request: it says so, or no byte was written.
    Unprocessed(Failure),
    Failed(Failure),
}

async fn send(guard: &ExchangeGuard, lease: &mut Lease<Upload>, request: Request<Upload>) -> Result<Response<Incoming>, Unanswered> {
    match unless_ended(guard, lease.send(request)).await {
        Err(ended) => {
            if matches!(ended, Failure::Ended("response_head_timeout" | "deadline_exceeded")) {
                lease.give_up();
            }
            Err(Unanswered::Failed(ended))
        }
        Ok(Ok(response)) => {
            lease.answered();
            Ok(response)
        }
        Ok(Err(mut error)) => match error.take_message() {
            Some(request) if lease.reused => {
                lease.discard();
                Err(Unanswered::Unused(Box::new(request)))
            }
            unsent => {
                let error = error.into_error();
                let unprocessed = unsent.is_some() || is_unprocessed(&error);
                let failure = not_answered(guard, lease, error);
                Err(if unprocessed { Unanswered::Unprocessed(failure) } else { Unanswered::Failed(failure) })
            }
        },
    }
}

fn not_answered(guard: &ExchangeGuard, lease: &Lease<Upload>, error: hyper::Error) -> Failure {
    if let Some(ended) = guard.exchange.ended().or(lease.cut()) {
        return Failure::Ended(ended);
    }
    if let Some(alert) = lease.alert() {
        return Failure::PeerRefusedUs(alert);
    }
    let reason = match (guard.direction(), error.is_parse()) {
        (Direction::Inbound, true) => "app_bad_response",
        (Direction::Inbound, false) => "app_closed",
        (Direction::Outbound, true) => "peer_bad_response",
        (Direction::Outbound, false) => "peer_closed",
    };
    Failure::Response { reason, source: error }
}

/// The response as the client gets it, its body passed on as it comes.
///
/// # Errors
/// It is a 1xx, which cannot be one.
pub fn deliver(
    response: Response<Incoming>,
    lease: Lease<Upload>,
    guard: ExchangeGuard,
    method: &Method,
) -> Result<Response<Download>, (Failure, ExchangeGuard)> {
    if response.status().is_informational() {
        return Err((Failure::UnaskedStatus, guard));
    }
    let (mut parts, incoming) = response.into_parts();
    let bodiless = *method == Method::HEAD || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let keep_alive = headers::keep_alive(&parts.headers);
    let length = match incoming.size_hint().exact() {
        _ if parts.status == StatusCode::NO_CONTENT => Length::None,
        _ if bodiless => Length::Unsent,
        exact => exact.map_or(Length::None, Length::Body),
    };
    headers::clean_response(&mut parts.headers, length, guard.direction() == Direction::Outbound);
    parts.version = Version::HTTP_11;
    guard.exchange.responded(parts.status.as_u16(), guard.shard().now());
    guard.exchange.reads_ahead(lease.reads_ahead());
    let body = Passing::new(incoming, guard, lease, keep_alive, bodiless);
    Ok(Response::from_parts(parts, Download::Passing(Box::new(body))))
}

pin_project! {
    /// See [`unless_ended`]. A type of its own, since an `async fn` would hold the future twice.
    pub struct UnlessEnded<'g, F> {
        guard: &'g ExchangeGuard,
        #[pin]
        future: F,
    }
}

/// Waits for `future` unless the exchange is ended first.
pub fn unless_ended<F: Future>(guard: &ExchangeGuard, future: F) -> UnlessEnded<'_, F> {
    UnlessEnded { guard, future }
}

impl<F: Future> Future for UnlessEnded<'_, F> {
    type Output = Result<F::Output, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let exchange = &this.guard.exchange;
        if let Some(reason) = exchange.ended() {
            return Poll::Ready(Err(Failure::Ended(reason)));
        }
        let outcome = this.future.poll(cx);
        if outcome.is_pending() {
            exchange.watch(cx);
        }
        outcome.map(Ok)
    }
}
