//! A connection to a peer: why it ended, and when we end it.

use crate::identity::Group;
use crate::tls::peer_alert;
use crate::trust::Live;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is known of a connection's end, for whoever has a request on it: HTTP/2 tells them nothing but that it ended.
#[derive(Default)]
pub(super) struct Vitals {
    /// The TLS alert that the peer sent.
    alert: Cell<Option<&'static str>>,
    /// Why we ended it.
    cut: Cell<Option<&'static str>>,
    /// The task that drives it.
    waker: Cell<Option<Waker>>,
    /// Its key exchange group; none without TLS.
    group: Option<Group>,
}

impl Vitals {
    /// Those of a connection whose keys were agreed on in this group.
    pub(super) fn of(group: Option<Group>) -> Rc<Self> {
        Rc::new(Self { group, ..Self::default() })
    }

    /// The key exchange group; none without TLS.
    pub(super) fn group(&self) -> Option<Group> {
        self.group
    }

    /// The TLS alert with which the peer ended it.
    pub(super) fn alert(&self) -> Option<&'static str> {
        self.alert.get()
    }

    /// Why we ended it.
    pub(super) fn cut(&self) -> Option<&'static str> {
        self.cut.get()
    }

    fn end(&self, reason: &'static str) {
        self.cut.set(Some(reason));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A shard's open connections to peers, pooled or in use.
#[derive(Default)]
pub struct PeerConnections {
    open: RefCell<HashMap<u64, PeerConnection>>,
    next: Cell<u64>,
}

struct PeerConnection {
    /// The end of either certificate.
    ends: SystemTime,
    live: Live,
    vitals: Rc<Vitals>,
}

impl PeerConnection {
    fn due(&self, wall: SystemTime, early: Duration) -> Option<&'static str> {
        if wall + early >= self.ends { Some("expired") } else { self.live.withdrawn() }
    }
}

impl PeerConnections {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Ends those whose certificates have ended at `wall`, or do within `early` from it, and those of peers that are not trusted any more.
    /// `each` gets the reason of each.
    pub fn sweep(&self, wall: SystemTime, early: Duration, mut each: impl FnMut(&'static str)) {
        for connection in self.open.borrow().values().filter(|connection| connection.vitals.cut().is_none()) {
            if let Some(reason) = connection.due(wall, early) {
                connection.vitals.end(reason);
                each(reason);
            }
        }
    }
}

/// A stream that fails once [`PeerConnections::sweep`] has ended it, whoever holds it: an HTTP/2 connection lives in several tasks of hyper, and
/// dropping the one that we were given lets the streams of the others run on.
pub(super) struct Mortal<S> {
    stream: S,
    vitals: Rc<Vitals>,
    register: Rc<PeerConnections>,
    id: u64,
}

impl<S> Mortal<S> {
    /// Registers `stream`, whose certificates end at `ends`, until it is dropped.
    pub(super) fn new(stream: S, register: &Rc<PeerConnections>, ends: SystemTime, live: Live, vitals: &Rc<Vitals>) -> Self {
        let id = register.next.get();
        register.next.set(id + 1);
        register.open.borrow_mut().insert(id, PeerConnection { ends, live, vitals: Rc::clone(vitals) });
        Self { stream, vitals: Rc::clone(vitals), register: Rc::clone(register), id }
    }

    /// What `poll` gives while the connection lasts. Its task is woken at the end: the one that waited last.
    fn while_alive<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        S: Unpin,
    {
        if let Some(reason) = self.vitals.cut() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason)));
        }
        let outcome = poll(Pin::new(&mut self.stream), cx);
        match &outcome {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                if let Some(alert) = peer_alert(error) {
                    self.vitals.alert.set(Some(alert));
                }
            }
            Poll::Pending => {
                let waker = self.vitals.waker.take().filter(|waker| waker.will_wake(cx.waker())).unwrap_or_else(|| cx.waker().clone());
                self.vitals.waker.set(Some(waker));
            }
        }
        outcome
    }
}

impl<S> Drop for Mortal<S> {
    fn drop(&mut self) {
        self.register.open.borrow_mut().remove(&self.id);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mortal<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.while_alive(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mortal<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.while_alive(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_alive(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_alive(cx, |stream, cx| stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.while_alive(cx, |stream, cx| stream.poll_write_vectored(cx, bytes))
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::pki::TestCa;
    use crate::trust::{LivePeers, Usage, identify};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_connection_ends_with_its_certificate_whoever_waits_for_it() {
        let register = Rc::new(PeerConnections::default());
        let chain = TestCa::new("d").issue("spiffe://d/a").chain;
        let peer = Arc::new(identify(&chain[0]).unwrap());
        let live = Arc::new(LivePeers::default()).admit(Usage::Server, &peer, &chain, 1);
        let (stream, mut other) = tokio::io::duplex(4);
        let (now, second, vitals) = (SystemTime::now(), Duration::from_secs(1), Rc::default());
        let mut stream = Mortal::new(stream, &register, now + 2 * second, live, &vitals);
        other.write_all(b"in").await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 2);
        let mut seen = Vec::new();
        register.sweep(now, second, |reason| seen.push(reason));
        assert!(seen.is_empty() && vitals.cut().is_none());
        let mut buffer = [0; 8];
        let (read, ()) = tokio::join!(stream.read(&mut buffer), async { register.sweep(now + second, second, |reason| seen.push(reason)) });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(stream.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        register.sweep(now + second, second, |reason| seen.push(reason));
        assert_eq!((seen.as_slice(), vitals.cut()), (&["expired"][..], Some("expired")), "it is counted once");
        drop(stream);
        assert!(register.is_empty());
    }
}
