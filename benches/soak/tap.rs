//! Looks at what an HTTP/2 server sends, on its way to the library: when did the first GOAWAY come (RFC 9113, section 6.8)?

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A frame's head: 24 bits of length, 8 of type, 8 of flags, 32 of stream.
const HEAD: usize = 9;
const GOAWAY: u8 = 7;

/// A stream under observation.
pub struct Tap<S> {
    stream: S,
    goaway: Rc<Cell<Option<SystemTime>>>,
    head: Vec<u8>,
    /// Bytes of the current frame's content that are still to come.
    left: usize,
}

impl<S> Tap<S> {
    /// Notes the time of the first GOAWAY in `goaway`.
    pub fn new(stream: S, goaway: Rc<Cell<Option<SystemTime>>>) -> Self {
        Self { stream, goaway, head: Vec::with_capacity(HEAD), left: 0 }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let (head, rest) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [high, middle, low, kind, _, _, _, _, _] = self.head[..] {
                self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                if kind == GOAWAY && self.goaway.get().is_none() {
                    self.goaway.set(Some(SystemTime::now()));
                }
                self.head.clear();
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.look(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
