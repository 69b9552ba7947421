//! One downstream connection: HTTP/1.1 or HTTP/2 until it ends, or is told to.

use super::activity::Speaks;
use super::body::Download;
use super::buffers::SEND_BUFFER;
use super::connections::{Close, Connection, PARTING};
use super::downstream::Downstream;
use super::http2::{CONNECTION_WINDOW, STREAM_WINDOW};
use super::io::Marked;
use crate::runtime::limits::{H2_PENDING_RESETS, H2_STREAM_ERRORS, Limits};
use crate::runtime::tasks::LocalExecutor;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// The windows of a new connection while memory is short: the least that every client expects (RFC 9113, section 6.9.2).
const SHORT_WINDOW: u32 = 65_535;

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself, well or not.
    Http(Result<(), hyper::Error>),
    /// By us; why.
    Cut(&'static str),
}

/// Serves `stream` with `handle` until it ends. `ahead` was read from it before.
pub async fn serve<S, H, F>(stream: S, ahead: Bytes, speaks: Speaks, downstream: &Downstream, limits: &Limits, handle: H) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Download>> + 'static,
{
    let connection = &downstream.connection;
    let io = TokioIo::new(Marked::new(stream, Arc::clone(&connection.activity), ahead));
    match speaks {
        Speaks::Http1 => {
            let mut builder = http1::Builder::new();
            builder.max_buf_size(limits.head_bytes.max(8 << 10)).header_read_timeout(None);
            if limits.head_fields != 100 {
                builder.max_headers(limits.head_fields);
            }
            let mut serving = builder.serve_connection(io, service_fn(|request| Answering { response: handle(request) }));
            match http1_messages(&mut serving, downstream).await {
                Ended::Http(Ok(())) => {
                    // In a place of its own: a connection that idles shall not be larger for what may follow.
                    let rest = {
                        let http1::Parts { io, read_buf, .. } = serving.into_parts();
                        Box::pin(after_http1(connection, io.into_inner(), read_buf))
                    };
                    unless_cut(connection, rest).await
                }
                ended => ended,
            }
        }
        Speaks::Http2 => {
            let short = downstream.shard.plan.buffers.are_short();
            let mut builder = http2::Builder::new(LocalExecutor);
            builder
                .max_concurrent_streams(limits.h2_streams)
                .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
                .initial_stream_window_size(if short { SHORT_WINDOW } else { STREAM_WINDOW })
                .initial_connection_window_size(if short { SHORT_WINDOW } else { CONNECTION_WINDOW })
                .max_send_buf_size(SEND_BUFFER)
                .max_pending_accept_reset_streams(H2_PENDING_RESETS)
                .max_local_error_reset_streams(H2_STREAM_ERRORS)
                .enable_connect_protocol();
            let service = service_fn(|request| {
                if let Some(http2) = connection.activity.http2() {
                    http2.handled();
                }
                // In a place of its own: the library moves what answers a request into a stream, that into a task, and its end out of it again.
                Box::pin(Answering { response: handle(request) })
            });
            let mut serving = pin!(builder.serve_connection(io, service));
            loop {
                let observed = poll_fn(|cx| {
                    let ended = serving.as_mut().poll(cx);
                    downstream.observe(ended.is_ready());
                    ended
                });
                tokio::select! {
                    biased;
                    told = told(connection) => match told {
                        Close::Graceful => serving.as_mut().graceful_shutdown(),
                        Close::Cut(reason) => return Ended::Cut(reason),
                    },
                    ended = observed => return Ended::Http(ended),
                }
            }
        }
    }
}

pin_project! {
    /// The answer to one request, as a service gives it. A type of its own, since an `async` block would hold the future twice.
    struct Answering<F> {
        #[pin]
        response: F,
    }
}

impl<F: Future> Future for Answering<F> {
    type Output = Result<F::Output, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().response.poll(cx).map(Ok)
    }
}

/// Drives an HTTP/1.1 connection to the end of its last message.
async fn http1_messages<I, S>(serving: &mut http1::Connection<I, S>, downstream: &Downstream) -> Ended
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Download, Error = Infallible>,
{
    let mut serving = Pin::new(serving);
    let connection = &downstream.connection;
    loop {
        tokio::select! {
            biased;
            told = told(connection) => match told {
                Close::Graceful => {
                    // hyper closes without another look: what has come in the meantime is looked at first, and begins a request.
                    if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx))).await {
                        return Ended::Http(ended);
                    }
                    if connection.activity.is_idle() {
                        serving.as_mut().graceful_shutdown();
                    }
                }
                // Our side has ended, and only its result tells why.
                Close::Cut(PARTING) if !connection.activity.has_left() => {
                    downstream.shard.metrics(downstream.direction).cut(PARTING);
                    connection.activity.leave();
                }
                Close::Cut(reason) => return Ended::Cut(reason),
            },
            ended = serving.as_mut() => return Ended::Http(ended),
        }
    }
}

/// What follows the last message of an HTTP/1.1 connection: the tunnel that a request asked for, or the end. hyper leaves that to us also where an
/// `Upgrade` was not answered with 101.
async fn after_http1<S: AsyncRead + AsyncWrite + Unpin>(connection: &Connection, mut io: Marked<S>, early: Bytes) {
    let Some(tunnel) = connection.switched() else { return drop(io.shutdown().await) };
    let (stream, unread) = io.into_inner();
    let early = if early.is_empty() { unread } else { early };
    tunnel.run(stream, early).await;
}

async fn unless_cut(connection: &Connection, mut rest: Pin<Box<impl Future<Output = ()>>>) -> Ended {
    loop {
        tokio::select! {
            biased;
            told = told(connection) => if let Close::Cut(reason) = told {
                return Ended::Cut(reason);
            },
            () = rest.as_mut() => return Ended::Http(Ok(())),
        }
    }
}

async fn told(connection: &Connection) -> Close {
    poll_fn(|cx| connection.poll_told(cx)).await
}
