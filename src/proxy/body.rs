//! Bodies as they pass: counted, ended when the exchange ends, never held.

use super::activity::Speaks;
use super::buffers::PIECE;
use super::connections::Connection;
use super::exchange::{Exchange, ExchangeGuard};
use super::shard::Shard;
use crate::audit::Direction;
use crate::policy;
use crate::request::Mentioned;
use crate::runtime::tasks::contained_poll;
use crate::upstream::{self, Lease};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The exchange was ended: a time-out, a limit, a new policy, an expired certificate.
    #[error("ended: {0}")]
    Ended(&'static str),
    /// The request is over for whoever receives it. HTTP/2 says so by its code (RFC 9113, section 7).
    #[error("over: {reason}")]
    Over {
        /// Why.
        reason: &'static str,
        /// CANCEL.
        #[source]
        code: h2::Error,
    },
    /// The sender failed. Its code, where HTTP/2 has one, goes on.
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

impl BodyError {
    fn over(reason: &'static str) -> Self {
        Self::Over { reason, code: h2::Reason::CANCEL.into() }
    }
}

/// The request's body on its way up.
pub struct Upload {
    exchange: Rc<Exchange>,
    /// By which the exchange knows us.
    reader: u32,
    connection: Rc<Connection>,
    shard: Rc<Shard>,
    direction: Direction,
    /// Bytes that may still come; zero in the settings means any number.
    allowance: u64,
    declared: bool,
}

impl Upload {
    /// The body of an exchange's request. `[limits] max_body` bounds it.
    pub fn new(guard: &ExchangeGuard) -> Self {
        let upload = Self::read_as(0, guard);
        let now = upload.shard.now();
        if upload.is_end_stream() {
            guard.exchange.upload_done(now);
        }
        if upload.size_hint().exact().is_some_and(|length| length > upload.allowance) {
            // Nothing of it is worth sending on.
            guard.exchange.end("max_body", now);
        }
        upload
    }

    /// The same body once more; `None` when some of it was read.
    pub fn again(guard: &ExchangeGuard) -> Option<Self> {
        guard.exchange.next_reader().map(|reader| Self::read_as(reader, guard))
    }

    fn read_as(reader: u32, guard: &ExchangeGuard) -> Self {
        let (shard, connection) = (Rc::clone(guard.shard()), Rc::clone(guard.connection()));
        let exchange = Rc::clone(&guard.exchange);
        let declared = exchange.with_body(reader, |body| body.size_hint().exact().is_some()) == Some(true);
        let max = shard.plan.limits.max_body;
        let allowance = if max == 0 { u64::MAX } else { max };
        Self { exchange, reader, connection, shard, direction: guard.direction(), allowance, declared }
    }

    fn passed(&mut self, frame: Frame<Bytes>) -> Option<Result<Frame<Bytes>, BodyError>> {
        let now = self.shard.now();
        self.exchange.no_repeat();
        let frame = match frame.into_data() {
            Ok(data) => {
                let bytes = data.len() as u64;
                self.exchange.received(bytes, now);
                if let Some(http2) = self.connection.activity.http2() {
                    http2.taken(bytes);
                }
                let Some(left) = self.allowance.checked_sub(bytes) else {
                    self.exchange.end("max_body", now);
                    return Some(Err(BodyError::over("max_body")));
                };
                self.allowance = left;
                Frame::data(data)
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => {
                    // Whoever sends them on does not ask for more.
                    self.exchange.upload_done(now);
                    Frame::trailers(self.clean(trailers))
                }
                Err(_) => return None,
            },
        };
        if self.is_end_stream() {
            self.exchange.upload_done(now);
        }
        Some(Ok(frame))
    }

    /// What was decided on is not said again after the decision, and nobody but us says who calls.
    fn clean(&self, trailers: HeaderMap) -> HeaderMap {
        let mentioned = match self.direction {
            Direction::Inbound => policy::mentioned(&self.shard.policy.current()),
            Direction::Outbound => Mentioned::default(),
        };
        let refuses = |name: &HeaderName| self.shard.plan.reserved.drops_trailer(name) || mentioned.covers(name);
        without(trailers, &self.shard, self.direction, refuses)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Who asks for more has taken what there was.
        self.exchange.upload_waits(0);
        loop {
            if let Some(reason) = self.exchange.ended() {
                return Poll::Ready(Some(Err(BodyError::over(reason))));
            }
            let Some(polled) = self.exchange.with_body(self.reader, |body| Pin::new(body).poll_frame(cx)) else {
                return Poll::Ready(Some(Err(BodyError::over("sent_elsewhere"))));
            };
            match polled {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(frame) = self.passed(frame) {
                        return Poll::Ready(Some(frame));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.exchange.no_repeat();
                    self.exchange.end("client_closed", self.shard.now());
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    self.exchange.upload_done(self.shard.now());
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    if self.declared {
                        self.exchange.await_upload(self.shard.now());
                    }
                    self.exchange.watch(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.with_body(self.reader, |body| body.is_end_stream()).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        self.exchange.with_body(self.reader, |body| body.size_hint()).unwrap_or_default()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.exchange.leave_body(self.reader);
    }
}

/// A response's body on its way down: ours, or the other side's.
pub enum Download {
    /// Our own short text.
    Own(Option<Bytes>),
    /// Passed on as it comes.
    Passing(Box<Passing>),
}

/// A body that is passed on. Dropping it ends the exchange.
pub struct Passing {
    inner: Incoming,
    /// What is left of the last piece that came.
    rest: Bytes,
    guard: ExchangeGuard,
    lease: Option<Lease<Upload>>,
    keep_alive: Option<Duration>,
    failed: bool,
}

impl Passing {
    /// Passes `inner` on; at its regular end `lease` goes back to its pool. `bodiless`: nothing of it will be read, as after HEAD.
    pub fn new(inner: Incoming, guard: ExchangeGuard, lease: Lease<Upload>, keep_alive: Option<Duration>, bodiless: bool) -> Self {
        let mut passing = Self { inner, rest: Bytes::new(), guard, lease: Some(lease), keep_alive, failed: false };
        if bodiless || passing.inner.is_end_stream() {
            passing.finished();
        }
        passing
    }

    fn finished(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.guard.exchange.completed();
            // A response that came before the request was read to its end leaves the connection in the middle of a body.
            if self.guard.exchange.is_uploaded() {
                lease.give_back(self.keep_alive);
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Who asks for more has taken what there was.
        self.guard.exchange.download_waits(0);
        loop {
            if let Some(reason) = self.guard.exchange.ended() {
                return self.fail(BodyError::Ended(reason));
            }
            if !self.rest.is_empty() {
                return Poll::Ready(Some(Ok(self.piece())));
            }
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(frame) = self.passed(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let reason = self.lease.as_ref().and_then(Lease::cut).unwrap_or("upstream_closed");
                    self.guard.exchange.end(reason, self.guard.shard().now());
                    // A stream is not refused any more once it was answered: said on, it would invite to send the request again.
                    let refused = upstream::is_refused(&error);
                    return self.fail(if refused { BodyError::Ended(reason) } else { error.into() });
                }
                Poll::Ready(None) => {
                    self.finished();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    self.guard.exchange.watch(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn panicked(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.guard.exchange.end("panic", self.guard.shard().now());
        self.fail(BodyError::Ended("panic"))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if std::mem::replace(&mut self.failed, true) {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Err(error)))
    }

    /// The next piece of what came. HTTP/2 gets it frame by frame: a stream holds what it was handed, whatever its window.
    fn piece(&mut self) -> Frame<Bytes> {
        let whole = self.guard.connection().speaks() == Speaks::Http1;
        let most = if whole { self.rest.len() } else { PIECE.min(self.rest.len()) };
        let piece = self.rest.split_to(most);
        self.guard.exchange.sent(piece.len() as u64, self.guard.shard().now());
        self.finish_at_end();
        Frame::data(piece)
    }

    fn is_end(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn finish_at_end(&mut self) {
        if self.is_end() {
            self.finished();
        }
    }

    fn passed(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        match frame.into_data() {
            Ok(data) => {
                #[cfg(feature = "testing")]
                crate::testing::hooks::body(&data);
                self.guard.exchange.arrived(data.len() as u64);
                self.rest = data;
                Some(self.piece())
            }
            Err(frame) => {
                let shard = self.guard.shard();
                let drops = |name: &HeaderName| shard.plan.reserved.drops_trailer(name);
                let trailers = without(frame.into_trailers().ok()?, shard, self.guard.direction(), drops);
                self.finish_at_end();
                Some(Frame::trailers(trailers))
            }
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Passing(passing) => contained_poll("response body", || passing.poll(cx)).unwrap_or_else(|| passing.panicked()),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Passing(passing) => passing.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Passing(passing) => passing.inner.size_hint(),
        }
    }
}

/// Trailers without those that `refuses` names; they are counted.
fn without(mut trailers: HeaderMap, shard: &Shard, direction: Direction, refuses: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let refused: Vec<_> = trailers.keys().filter(|name| refuses(name)).cloned().collect();
    for name in refused {
        trailers.remove(&name);
        shard.metrics(direction).trailers_dropped.increment(1);
    }
    trailers
}
