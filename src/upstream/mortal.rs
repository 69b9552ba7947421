//! A peer connection's stream: it ends with its certificates, and remembers why the peer ended it.

use crate::runtime::clock::{Clock, sleep_until};
use crate::tls::peer_alert;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The TLS alert that the peer sent, for whoever had a request on the connection: HTTP/2 tells them nothing but that it ended.
pub(super) type Alert = Rc<Cell<Option<&'static str>>>;

/// A stream that fails from `ends` on, whoever holds it: an HTTP/2 connection lives in several tasks of hyper, and dropping the one that we
/// were given lets the streams of the others run on.
pub(super) struct Mortal<S> {
    stream: S,
    alert: Alert,
    end: Pin<Box<dyn Future<Output = ()>>>,
    ended: bool,
}

impl<S> Mortal<S> {
    pub(super) fn new(stream: S, clock: Arc<dyn Clock>, ends: SystemTime, alert: Alert) -> Self {
        Self { stream, alert, end: Box::pin(async move { sleep_until(&*clock, ends).await }), ended: false }
    }

    /// What `outcome` is while the certificates last. Looks only when there is nothing else to do: whoever waits for the stream waits for its end too,
    /// and nobody reads or writes for long without waiting.
    fn while_alive<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome
            && let Some(alert) = peer_alert(error)
        {
            self.alert.set(Some(alert));
        }
        if outcome.is_pending() && !self.ended {
            self.ended = self.end.as_mut().poll(cx).is_ready();
        }
        if self.ended {
            Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "a certificate of this connection has ended")))
        } else {
            outcome
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mortal<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.while_alive(outcome, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mortal<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.while_alive(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.while_alive(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.while_alive(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.while_alive(outcome, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::SystemClock;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn reads_and_writes_end_with_the_certificate() {
        for ends in [Duration::ZERO, Duration::from_millis(1)] {
            let (stream, mut other) = tokio::io::duplex(4);
            let mut stream = Mortal::new(stream, Arc::new(SystemClock), SystemTime::now() + ends, Alert::default());
            other.write_all(b"in").await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 2);
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
            assert_eq!(stream.write_all(b"more than fits").await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        }
    }
}
