//! What both directions do alike with a downstream connection: refusals and their records, contained panics, the end.

use super::activity::Speaks;
use super::body::Download;
use super::connections::{Close, Connection};
use super::exchange::micros;
use super::grpc::Speech;
use super::http2::{Http2, Refused};
use super::respond;
use super::serve::Ended;
use super::shard::Shard;
use crate::audit::{Claimed, Decision, DecisionId, Direction, Outcome};
use crate::policy::{Denial, Facts, Reason, Snapshot, Verdict};
use crate::request::{CanonicalRequest, Framing, Malformed};
use crate::runtime::tasks::contained;
use crate::trust::RefusedPeer;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// One downstream connection as its requests see it.
pub struct Downstream {
    /// The shard that serves it.
    pub shard: Rc<Shard>,
    /// Its entry in the register.
    pub connection: Rc<Connection>,
    /// Which way its requests go.
    pub direction: Direction,
}

/// What is known of a request before it is decided: when it came, and what its sender understands.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// The record's `time`.
    pub wall: SystemTime,
    /// For durations.
    pub instant: Instant,
    /// How our own answer has to be put.
    pub speech: Speech,
}

impl Begun {
    /// Nanoseconds until now; a decision takes less than the four seconds that fit.
    pub fn nanos(&self) -> u32 {
        u32::try_from(self.instant.elapsed().as_nanos()).unwrap_or(u32::MAX)
    }
}

/// What is refused, and how.
pub struct Refusal {
    /// The answer's status.
    pub status: StatusCode,
    /// What the record says.
    pub facts: Facts,
    /// The request, where it is canonical.
    pub request: Option<CanonicalRequest>,
    /// The method, where it is not.
    pub method: Option<Method>,
}

impl Refusal {
    /// The refusal of a request that cannot be made canonical.
    pub fn malformed(malformed: Malformed, table: &Snapshot, method: Method) -> Box<Self> {
        let Denial { status, facts } = Denial::malformed(malformed, table);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Box::new(Self { status, facts, request: None, method: Some(method) })
    }
}

impl Downstream {
    /// Now, for a request that comes now.
    fn begin(&self, speech: Speech) -> Begun {
        Begun { wall: self.shard.plan.clock.now(), instant: Instant::now(), speech }
    }

    /// [`Framing::TeCl`] for a request whose head has a length beside its transfer coding; the library drops the length.
    pub fn framing(&self, headers: &HeaderMap) -> Option<Framing> {
        (self.connection.activity.is_framed_twice() && headers.contains_key(TRANSFER_ENCODING)).then_some(Framing::TeCl)
    }

    /// A record of a decision that took `decide_ns` nanoseconds.
    pub fn decision(&self, begun: Begun, decide_ns: u32, verdict: Verdict, facts: Facts, request: Option<CanonicalRequest>) -> Decision {
        Decision {
            at: begun.wall,
            id: self.shard.recorder.id(begun.wall),
            direction: self.direction,
            verdict,
            facts,
            caller: Arc::clone(&self.connection.caller),
            target: None,
            request,
            method: None,
            decide_ns,
            outcome: Outcome::default(),
        }
    }

    /// Records a refusal, then answers it: in this order.
    pub fn refuse(&self, begun: Begun, refusal: Refusal) -> Response<Download> {
        let Refusal { status, facts, request, method } = refusal;
        let metrics = self.shard.metrics(self.direction);
        match facts.reason {
            Reason::Malformed(_) => metrics.malformed.increment(1),
            Reason::Refused(_) => metrics.refused.increment(1),
            _ => metrics.denied.increment(1),
        }
        let sent = begun.speech.sent(status).as_u16();
        metrics.responded(sent);
        let reason = facts.reason;
        let mut record = self.decision(begun, begun.nanos(), Verdict::Deny, facts, request);
        record.method = method;
        record.outcome = Outcome { status: sent, total_us: micros(begun.instant.elapsed()), ..Outcome::default() };
        let id = record.id;
        self.shard.recorder.deny(record);
        let mut response = respond::refusal(status, id, self.direction, &reason.text(), begun.speech);
        if status == StatusCode::NOT_IMPLEMENTED {
            // The framing of what follows on this connection is not known.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Refuses what the table allows and the data path cannot take.
    pub fn refuse_because(&self, begun: Begun, status: StatusCode, reason: &'static str, request: CanonicalRequest) -> Response<Download> {
        let facts = Facts::without_rule(Reason::Refused(reason), &self.shard.policy.current());
        self.refuse(begun, Refusal { status, facts, request: Some(request), method: None })
    }

    /// Answers one request with `answer`; a panic in it becomes a 500 with a record and costs nothing else.
    /// `answer` says in the cell who owes the record.
    pub async fn answer(
        &self,
        request: Request<Incoming>,
        answer: impl AsyncFnOnce(Request<Incoming>, Begun, &Cell<Owes>) -> Response<Download>,
    ) -> Response<Download> {
        let (method, version) = (request.method().clone(), request.version());
        let begun = self.begin(Speech::of(&method, request.headers()));
        let bodiless = request.body().is_end_stream();
        let owes = Cell::new(Owes::Downstream);
        let _owed = Owed { downstream: self, begun, method: &method, owes: &owes };
        let mut response = match contained("request", answer(request, begun, &owes)).await {
            Some(response) => response,
            None if let Owes::Exchange(id) = owes.get() => {
                respond::refusal(StatusCode::INTERNAL_SERVER_ERROR, id, self.direction, "panic", begun.speech)
            }
            None => {
                owes.set(Owes::Nobody);
                let facts = Facts::without_rule(Reason::Refused("panic"), &self.shard.policy.current());
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                self.refuse(begun, Refusal { status, facts, request: None, method: Some(method.clone()) })
            }
        };
        self.connection.answered();
        // What is left of a request's body after our own answer is not read: nothing can follow it.
        let unread = !bodiless && matches!(response.body(), Download::Own(_));
        let ends = (unread || self.connection.is_closing()) && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        if ends && version != Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Looks at what the HTTP/2 library has done by itself, when it has nothing more to do. Costs a good connection three loads.
    pub fn observe(&self, ended: bool) {
        let activity = &self.connection.activity;
        let Some(http2) = activity.http2() else { return };
        if http2.flooded() {
            self.connection.tell(Close::Cut("h2_flood"));
        }
        // While the client takes nothing, the library may not have read what came.
        if (ended || activity.blocked_since().is_none())
            && let Some(Refused { malformed, too_large, too_many }) = http2.settle()
        {
            (0..malformed).for_each(|_| self.unseen(Reason::Malformed(Malformed::H2Stream), 0));
            (0..too_large).for_each(|_| self.unseen(Reason::Malformed(Malformed::HeadBytes), 431));
            (0..too_many).for_each(|_| self.unseen(Reason::Refused("h2_streams"), 0));
        }
    }

    /// The end of the connection: what the HTTP library refused by itself, and what we cut for the client's sake, is recorded with the caller.
    pub fn finished(&self, speaks: Speaks, ended: Ended) {
        let http2 = self.connection.activity.http2();
        if let Ended::Cut(_) = ended {
            self.observe(true);
        }
        match ended {
            Ended::Cut(reason) => self.cut(reason),
            Ended::Http(_) if http2.is_some_and(Http2::flooded) => self.cut("h2_flood"),
            Ended::Http(Err(error)) if error.is_parse_too_large() => self.unseen(Reason::Malformed(Malformed::Http1TooLarge), 431),
            Ended::Http(Err(error)) if error.is_parse() => self.unseen(Reason::Malformed(Malformed::Http1Parse), 400),
            Ended::Http(_) if http2.is_some_and(Http2::failed) => self.unseen(Reason::Malformed(Malformed::H2Connection), 0),
            Ended::Http(Err(error)) if speaks == Speaks::Http2 && is_protocol_error(&error) => {
                self.unseen(Reason::Malformed(Malformed::H2Connection), 0);
            }
            // A CONNECT that declares a body: the library ends the connection and says nothing.
            Ended::Http(Ok(()))
                if http2.is_some_and(Http2::lost) && !self.connection.is_closing() && !self.connection.activity.has_ended() =>
            {
                self.unseen(Reason::Malformed(Malformed::H2Connection), 0);
            }
            Ended::Http(_) => {}
        }
    }

    /// A connection that we cut. What a client did to it is recorded; where requests were open, their records say it.
    fn cut(&self, reason: &'static str) {
        self.shard.metrics(self.direction).cut(reason);
        let always = matches!(reason, "head" | "h2_flood");
        if always || (matches!(reason, "body_idle" | "buffers_full") && !self.connection.is_accounted()) {
            self.unseen(Reason::Refused(reason), 0);
        }
    }

    /// Records what was refused before it was a request of ours: no path, no decision header.
    fn unseen(&self, reason: Reason, status: u16) {
        let metrics = self.shard.metrics(self.direction);
        match reason {
            Reason::Malformed(_) => metrics.malformed.increment(1),
            _ => metrics.refused.increment(1),
        }
        let begun = self.begin(Speech::Http);
        let facts = Facts::without_rule(reason, &self.shard.policy.current());
        let mut record = self.decision(begun, begun.nanos(), Verdict::Deny, facts, None);
        record.outcome.status = status;
        self.shard.recorder.deny(record);
    }
}

/// Who writes a request's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owes {
    /// Nobody yet: the downstream connection does.
    Downstream,
    /// The exchange, under this id, when it ends.
    Exchange(DecisionId),
    /// It is written.
    Nobody,
}

/// A request between its head and its record. Where the client goes before there is one (a full log lets requests wait), this writes it.
struct Owed<'r> {
    downstream: &'r Downstream,
    begun: Begun,
    method: &'r Method,
    owes: &'r Cell<Owes>,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.owes.get() == Owes::Downstream {
            let facts = Facts::without_rule(Reason::Refused("client_closed"), &self.downstream.shard.policy.current());
            let mut record = self.downstream.decision(self.begun, self.begun.nanos(), Verdict::Deny, facts, None);
            record.method = Some(self.method.clone());
            record.outcome.total_us = micros(self.begun.instant.elapsed());
            self.downstream.shard.recorder.deny(record);
        }
    }
}

fn is_protocol_error(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<std::io::Error>() {
            return false;
        }
        source = error.source();
    }
    !error.is_timeout() && !error.is_canceled() && !error.is_incomplete_message() && !error.is_body_write_aborted() && !error.is_user()
}

/// What a refused certificate said of itself, for the record.
pub fn claimed(peer: &RefusedPeer) -> Claimed {
    Claimed {
        id: peer.id.clone(),
        serial: peer.serial.clone(),
        fingerprint: peer.fingerprint.clone(),
        issuer: peer.issuer.clone(),
        not_after: peer.not_after,
    }
}

/// An age limit with ± 10 %, so that connections made together do not end together; none for zero.
pub fn jittered(age: Duration) -> Option<Duration> {
    (!age.is_zero()).then(|| age.mul_f64(0.9 + 0.2 * fastrand::f64()))
}

/// One connection in the counters of the drain and of the metrics.
pub struct Counted {
    shard: Rc<Shard>,
    direction: Direction,
}

impl Counted {
    /// Counts one more.
    pub fn new(shard: &Rc<Shard>, direction: Direction) -> Self {
        let counted = Self { shard: Rc::clone(shard), direction };
        counted.counter().fetch_add(1, Ordering::Relaxed);
        shard.metrics(direction).connections.increment(1);
        counted
    }

    fn counter(&self) -> &std::sync::atomic::AtomicUsize {
        match self.direction {
            Direction::Inbound => &self.shard.plan.live.inbound_connections,
            Direction::Outbound => &self.shard.plan.live.outbound_connections,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        self.shard.metrics(self.direction).connections.decrement(1);
    }
}
