//! One request's use of a pooled connection.

use super::Switched;
use super::mortal::Alert;
use super::pool::Pool;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

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
    alert: Alert,
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
    pub(super) fn new(sender: http1::SendRequest<B>, task: AbortHandle, alert: Alert, retire: Instant) -> Self {
        Self { sender, task, alert, retire, since: Instant::now(), keep_alive: None, switched: None }
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
    alert: Alert,
    retire: Instant,
    pub(super) streams: Cell<usize>,
    since: Cell<Instant>,
    dead: Cell<bool>,
}

impl<B> Shared<B> {
    pub(super) fn new(sender: http2::SendRequest<B>, alert: Alert, retire: Instant) -> Rc<Self> {
        Rc::new(Self { sender, alert, retire, streams: Cell::new(0), since: Cell::new(Instant::now()), dead: Cell::new(false) })
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
        Self { form: Form::Http1(Some(idle)), home: Rc::clone(home), reused }
    }

    pub(super) fn http2(shared: &Rc<Shared<B>>, home: &Rc<Pool<B>>, reused: bool) -> Self {
        home.enter();
        shared.streams.set(shared.streams.get() + 1);
        Self { form: Form::Http2(Rc::clone(shared)), home: Rc::clone(home), reused }
    }

    /// Which HTTP it speaks.
    pub fn protocol(&self) -> Protocol {
        match self.form {
            Form::Http1(_) => Protocol::Http1,
            Form::Http2(_) => Protocol::Http2,
        }
    }

    /// The TLS alert with which the peer ended the connection.
    pub fn alert(&self) -> Option<&'static str> {
        match &self.form {
            Form::Http1(idle) => idle.as_ref().and_then(|idle| idle.alert.get()),
            Form::Http2(shared) => shared.alert.get(),
        }
    }

    /// What is left of a connection whose other side has answered 101; `None` unless it was leased to switch protocols.
    pub async fn switched(&mut self) -> Option<Switched> {
        match &mut self.form {
            Form::Http1(Some(idle)) => idle.switched.as_mut()?.await.ok(),
            Form::Http1(None) | Form::Http2(_) => None,
        }
    }

    /// Gives the connection up: it took no request, so nobody else shall try it.
    pub fn discard(self) {
        if let Form::Http2(shared) = &self.form {
            shared.dead.set(true);
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
    /// Sends a request.
    ///
    /// # Errors
    /// With the request inside when no byte of it was written, so that it may go elsewhere.
    pub async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        match &mut self.form {
            Form::Http1(Some(idle)) => {
                // A new connection becomes ready when its task first runs.
                let _ = idle.sender.ready().await;
                idle.sender.try_send_request(request).await
            }
            Form::Http1(None) => std::future::pending().await,
            Form::Http2(shared) => {
                let mut sender = shared.sender.clone();
                let _ = sender.ready().await;
                sender.try_send_request(request).await
            }
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
