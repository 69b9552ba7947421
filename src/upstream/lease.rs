//! One request's use of a pooled connection.

use super::Switched;
use super::mortal::Vitals;
use super::pool::Pool;
use crate::identity::Group;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Streams on one HTTP/2 connection before another one is dialled, where the other side allows more: what servers commonly allow.
const STREAMS: usize = 100;

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// An HTTP/1.1 connection that nobody uses.
pub(super) struct Idle<B> {
    pub(super) sender: http1::SendRequest<B>,
    /// The task that drives it.
    task: AbortHandle,
    vitals: Rc<Vitals>,
    /// Not used from here on.
    pub(super) retire: Instant,
    /// Since when it idles.
    pub(super) since: Instant,
    /// How long it may idle, where the server said so.
    pub(super) keep_alive: Option<Duration>,
    /// On a connection for one request that asks to switch protocols: what is left of it when the answer was 101.
    pub(super) switched: Option<oneshot::Receiver<Switched>>,
}

impl<B> Idle<B> {
    pub(super) fn new(sender: http1::SendRequest<B>, task: AbortHandle, vitals: Rc<Vitals>, retire: Instant) -> Self {
        Self { sender, task, vitals, retire, since: Instant::now(), keep_alive: None, switched: None }
    }

    pub(super) fn usable(&self, now: Instant, idle: Duration) -> bool {
        let longest = self.keep_alive.map_or(idle, |told| told.min(idle));
        // Not ready: the other side has not read the end of a request that it has answered already. It may never do.
        self.sender.is_ready() && now < self.retire && now.duration_since(self.since) < longest
    }
}

/// An HTTP/2 connection, shared by its streams.
pub(super) struct Shared<B> {
    sender: http2::SendRequest<B>,
    /// Streams that the other side takes at once, as it said last.
    allowed: Box<dyn Fn() -> usize>,
    vitals: Rc<Vitals>,
    retire: Instant,
    /// The window of each stream; bytes.
    window: u32,
    pub(super) streams: Cell<usize>,
    since: Cell<Instant>,
    /// Responses that came on it.
    answers: Cell<u64>,
    dead: Cell<bool>,
}

impl<B> Shared<B> {
    pub(super) fn new(
        sender: http2::SendRequest<B>,
        allowed: Box<dyn Fn() -> usize>,
        vitals: Rc<Vitals>,
        retire: Instant,
        window: u32,
    ) -> Rc<Self> {
        Rc::new(Self {
            sender,
            allowed,
            vitals,
            retire,
            window,
            streams: Cell::new(0),
            since: Cell::new(Instant::now()),
            answers: Cell::new(0),
            dead: Cell::new(false),
        })
    }

    /// Whether one more stream would be opened at once: it would otherwise wait behind the others, however long they last.
    pub(super) fn is_roomy(&self) -> bool {
        self.streams.get() < STREAMS.min((self.allowed)())
    }

    pub(super) fn usable(&self, now: Instant, idle: Duration) -> bool {
        let awake = self.streams.get() > 0 || now.duration_since(self.since.get()) < idle;
        !self.dead.get() && !self.sender.is_closed() && now < self.retire && awake
    }
}

/// One request's use of a connection; given back with [`Lease::give_back`], or given up by dropping it.
pub struct Lease<B> {
    form: Form<B>,
    home: Rc<Pool<B>>,
    /// Responses that had come on the connection when the request was sent.
    answers: u64,
    /// Whether the connection served a request before.
    pub reused: bool,
}

enum Form<B> {
    Http1(Option<Idle<B>>),
    Http2(Rc<Shared<B>>),
}

impl<B> Lease<B> {
    pub(super) fn http1(idle: Idle<B>, home: &Rc<Pool<B>>, reused: bool) -> Self {
        home.enter();
        Self { form: Form::Http1(Some(idle)), home: Rc::clone(home), answers: 0, reused }
    }

    pub(super) fn http2(shared: &Rc<Shared<B>>, home: &Rc<Pool<B>>, reused: bool) -> Self {
        home.enter();
        shared.streams.set(shared.streams.get() + 1);
        Self { form: Form::Http2(Rc::clone(shared)), home: Rc::clone(home), answers: shared.answers.get(), reused }
    }

    /// Which HTTP it speaks.
    pub fn protocol(&self) -> Protocol {
        match self.form {
            Form::Http1(_) => Protocol::Http1,
            Form::Http2(_) => Protocol::Http2,
        }
    }

    /// Bytes of a response that may wait inside the library for their reader; zero: it reads a piece at a time.
    pub fn reads_ahead(&self) -> u32 {
        match &self.form {
            Form::Http1(_) => 0,
            Form::Http2(shared) => shared.window,
        }
    }

    /// The TLS alert with which the peer ended the connection.
    pub fn alert(&self) -> Option<&'static str> {
        self.vitals().and_then(Vitals::alert)
    }

    /// Why we ended the connection: a certificate has ended, or its peer is not trusted any more.
    pub fn cut(&self) -> Option<&'static str> {
        self.vitals().and_then(Vitals::cut)
    }

    /// The key exchange group of a peer's connection; none towards the app.
    pub fn group(&self) -> Option<Group> {
        self.vitals().and_then(Vitals::group)
    }

    fn vitals(&self) -> Option<&Vitals> {
        match &self.form {
            Form::Http1(idle) => idle.as_ref().map(|idle| &*idle.vitals),
            Form::Http2(shared) => Some(&shared.vitals),
        }
    }

    /// What is left of a connection whose other side has answered 101; `None` unless it was leased to switch protocols.
    pub async fn switched(&mut self) -> Option<Switched> {
        match &mut self.form {
            Form::Http1(Some(idle)) => idle.switched.as_mut()?.await.ok(),
            Form::Http1(None) | Form::Http2(_) => None,
        }
    }

    /// Notes that a response came.
    pub fn answered(&self) {
        if let Form::Http2(shared) = &self.form {
            shared.answers.set(shared.answers.get() + 1);
        }
    }

    /// Gives the connection up: it took no request, so nobody else shall try it.
    pub fn discard(&self) {
        if let Form::Http2(shared) = &self.form {
            shared.dead.set(true);
        }
    }

    /// Gives up a connection that has let a request wait for too long: perhaps nobody is there any more, and the next request dials and knows.
    /// One that has answered somebody meanwhile is alive.
    pub fn give_up(&self) {
        if let Form::Http2(shared) = &self.form {
            shared.dead.set(shared.dead.get() || shared.answers.get() == self.answers);
        }
    }

    /// Gives the connection back after an HTTP/1.1 exchange that ended well; `keep_alive`: what the server said of its own patience.
    pub fn give_back(mut self, keep_alive: Option<Duration>) {
        if let Form::Http1(idle) = &mut self.form
            && let Some(mut idle) = idle.take()
            && idle.switched.is_none()
            && !idle.sender.is_closed()
        {
            idle.since = Instant::now();
            idle.keep_alive = keep_alive.or(idle.keep_alive);
            self.home.put(idle);
        }
    }
}

impl<B: Body + 'static> Lease<B> {
    /// Sends a request; the future waits for its response.
    ///
    /// # Errors
    /// With the request inside when no byte of it was written, so that it may go elsewhere.
    pub fn send(&mut self, request: Request<B>) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<B> {
        match &mut self.form {
            Form::Http1(Some(idle)) => Sending::Http1 { response: idle.sender.try_send_request(request) },
            Form::Http1(None) => Sending::Never,
            Form::Http2(shared) => Sending::Http2 { response: shared.sender.clone().try_send_request(request) },
        }
    }
}

pin_project! {
    /// A request under way on either form of connection.
    #[project = SendingProjection]
    enum Sending<One, Two> {
        Http1 { #[pin] response: One },
        Http2 { #[pin] response: Two },
        Never,
    }
}

impl<One: Future, Two: Future<Output = One::Output>> Future for Sending<One, Two> {
    type Output = One::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<One::Output> {
        match self.project() {
            SendingProjection::Http1 { response } => response.poll(cx),
            SendingProjection::Http2 { response } => response.poll(cx),
            SendingProjection::Never => Poll::Pending,
        }
    }
}

impl<B> Drop for Lease<B> {
    fn drop(&mut self) {
        self.home.leave();
        match &self.form {
            // In the middle of a request or a response. By itself it would first finish a request whose response has come, however long that takes.
            Form::Http1(Some(idle)) => idle.task.abort(),
            Form::Http1(None) => {}
            Form::Http2(shared) => {
                shared.streams.set(shared.streams.get().saturating_sub(1));
                shared.since.set(Instant::now());
            }
        }
    }
}
