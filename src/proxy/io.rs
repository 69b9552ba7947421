//! The I/O wrapper of a downstream connection: leaves marks for the sweep, looks at HTTP/2 frames, and gives back bytes that were read ahead.

use super::activity::Activity;
use super::framing;
use super::http2::{Farewell, Observer};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose reads and writes are marked.
pub struct Marked<S> {
    stream: S,
    activity: Arc<Activity>,
    ahead: Bytes,
    /// The client sends no more.
    eof: bool,
    /// We send no more.
    shut: bool,
    /// HTTP/2 only.
    observer: Option<Box<Observer>>,
}

impl<S> Marked<S> {
    /// Wraps `stream`; `ahead` was read from it before and comes first.
    pub fn new(stream: S, activity: Arc<Activity>, ahead: Bytes) -> Self {
        let observer = activity.http2().map(|_| Box::new(Observer::new()));
        Self { stream, activity, ahead, eof: false, shut: false, observer }
    }

    /// The stream alone, and what of `ahead` nobody has read.
    pub fn into_inner(self) -> (S, Bytes) {
        (self.stream, self.ahead)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Marked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        } else {
            let bytes = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(self.ahead.get(..bytes).unwrap_or_default());
            self.ahead.advance(bytes);
        }
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.activity.read(bytes);
            if self.activity.is_in_head() && framing::has_both(buffer.filled().get(before..).unwrap_or_default()) {
                self.activity.framed_twice();
            }
            let Self { observer, activity, .. } = &mut *self;
            if let (Some(observer), Some(http2)) = (observer, activity.http2()) {
                observer.read(buffer.filled().get(before..).unwrap_or_default(), http2, activity.now());
                if let Some(farewell) = http2.farewell() {
                    return self.part(cx, farewell);
                }
            }
        } else if buffer.remaining() > 0 {
            self.eof = true;
            self.activity.ended();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Marked<S> {
    fn mark<T>(&self, outcome: &Poll<T>) {
        match outcome {
            Poll::Ready(_) => self.activity.wrote(),
            Poll::Pending => self.activity.write_blocked(),
        }
    }

    /// Says why the connection ends, if it can be said at once; nothing of it is read any more.
    fn part(&mut self, cx: &mut Context<'_>, farewell: Farewell) -> Poll<io::Result<()>> {
        if self.observer.as_ref().is_some_and(|observer| observer.is_between()) {
            let _ = Pin::new(&mut self.stream).poll_write(cx, &farewell);
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    /// Looks at the frames of what went out. What could not is looked at as well: the refusals in it are as real.
    fn observe<'b>(&mut self, outcome: &Poll<io::Result<usize>>, pieces: impl Iterator<Item = &'b [u8]>) {
        let Self { observer: Some(observer), activity, .. } = self else { return };
        let Some(http2) = activity.http2() else { return };
        let mut left = match outcome {
            Poll::Pending => return,
            Poll::Ready(Ok(bytes)) => *bytes,
            Poll::Ready(Err(_)) => usize::MAX,
        };
        for piece in pieces {
            let went = piece.get(..left).unwrap_or(piece);
            left -= went.len();
            observer.wrote(went, http2, activity.now());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Marked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.mark(&outcome);
        self.observe(&outcome, std::iter::once(bytes));
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.mark(&outcome);
        outcome
    }

    /// Ends our side, and on HTTP/1.1 waits for the client's: a socket that is closed with unread bytes is reset, and the reset overtakes the answer
    /// to a request that was refused before it was read (RFC 9112, section 9.6). The sweep bounds the wait.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
            self.mark(&outcome);
            ready!(outcome)?;
            self.shut = true;
            self.eof |= !self.activity.part();
        }
        let mut discarded = [0; 4_096];
        while !self.eof && !self.activity.has_left() {
            let mut buffer = ReadBuf::new(&mut discarded);
            let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            self.eof = outcome.is_err() || buffer.filled().is_empty();
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.mark(&outcome);
        self.observe(&outcome, bytes.iter().map(|piece| &**piece));
        outcome
    }
}
