//! What HTTP/2 frames a server sends, read off the wire under the client.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The frame types that tests look at (RFC 9113, section 6).
pub const RST_STREAM: u8 = 3;
/// See [`RST_STREAM`].
pub const GOAWAY: u8 = 7;

/// One frame that came.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its stream; zero: the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
    /// When its end came.
    pub at: Instant,
}

impl Frame {
    /// The error code of a RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let from = if self.kind == GOAWAY { 4 } else { 0 };
        self.payload.get(from..from + 4).map_or(u32::MAX, |code| u32::from_be_bytes(code.try_into().unwrap()))
    }
}

/// The frames of one connection, as they come; and when it ended.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Vec<u8>,
    frames: Vec<Frame>,
    ended: Option<Instant>,
}

impl Frames {
    /// The frames of this type so far.
    pub fn of(&self, kind: u8) -> Vec<Frame> {
        self.shared.lock().unwrap().frames.iter().filter(|frame| frame.kind == kind).cloned().collect()
    }

    /// When the server ended the connection.
    pub fn ended(&self) -> Option<Instant> {
        self.shared.lock().unwrap().ended
    }

    /// Waits for the first frame of this type.
    pub async fn first(&self, kind: u8) -> Frame {
        super::eventually(&format!("an HTTP/2 frame of type {kind}"), async || self.of(kind).into_iter().next()).await
    }

    fn came(&self, bytes: &[u8]) {
        let mut shared = self.shared.lock().unwrap();
        shared.pending.extend_from_slice(bytes);
        while let Some(head) = shared.pending.first_chunk::<9>().copied() {
            let length = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if shared.pending.len() < length {
                return;
            }
            let frame: Vec<u8> = shared.pending.drain(..length).collect();
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            shared.frames.push(Frame { kind: head[3], stream, payload: frame[9..].to_vec(), at: Instant::now() });
        }
    }
}

/// A stream that notes what is read from it.
pub struct Tapped<S> {
    inner: S,
    frames: Frames,
}

impl<S> Tapped<S> {
    /// Notes what is read from `inner` in `frames`.
    pub fn new(inner: S, frames: Frames) -> Self {
        Self { inner, frames }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            self.frames.shared.lock().unwrap().ended.get_or_insert_with(Instant::now);
        }
        self.frames.came(new);
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
