//! A connection for one request that asks to switch protocols: never pooled, and taken over by the tunnel.

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// Bytes both ways, whatever carries them.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A connection whose other side has switched protocols.
pub struct Switched {
    /// What is left of it without HTTP.
    pub stream: Box<dyn Stream>,
    /// Bytes of the new protocol that came together with the answer.
    pub ahead: Bytes,
}

/// Drives `connection`; hands over what is left once the other side has answered 101.
pub(super) async fn drive<S, B>(mut connection: http1::Connection<TokioIo<S>, B>, to: oneshot::Sender<Switched>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    if (&mut connection).await.is_ok() {
        let http1::Parts { io, read_buf: ahead, .. } = connection.into_parts();
        // Whoever sent the request knows whether it was a 101; if not, nobody takes it.
        drop(to.send(Switched { stream: Box::new(io.into_inner()), ahead }));
    }
}
