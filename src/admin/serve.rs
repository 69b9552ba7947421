//! Accepts and serves, one request a connection, everything under a bound.

use super::routes::Room;
use super::stream::Streams;
use crate::runtime::tasks::spawn;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Open connections of one listener; more wait in the kernel's backlog.
const CONNECTIONS: usize = 64;
/// From accept to the end of the request's head.
const HEAD: Duration = Duration::from_secs(5);
/// From accept to the cut, but for an answer that goes on until its client ends it.
const LIFE: Duration = Duration::from_secs(30);
/// From an error of accept(2), such as too many open files, to the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;

/// Serves `room` on a TCP listener, for ever.
pub(super) async fn tcp(listener: TcpListener, room: Arc<Room>) {
    accept(|| async { listener.accept().await.map(|(stream, _)| (stream, None)) }, room).await;
}

/// Serves `room` on a Unix socket, for ever, for our own user and root.
pub(super) async fn unix(listener: UnixListener, room: Arc<Room>) {
    accept(|| async { listener.accept().await.map(|(stream, _)| stream).and_then(checked) }, room).await;
}

/// The mode of the socket's file says the same; this still holds where somebody changed it.
fn checked(stream: UnixStream) -> io::Result<(UnixStream, Option<u32>)> {
    let uid = stream.peer_cred()?.uid();
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return Ok((stream, Some(uid)));
    }
    tracing::warn!(uid, "another user's connection to the control socket was refused");
    Err(io::ErrorKind::PermissionDenied.into())
}

async fn accept<S, F>(next: impl Fn() -> F, room: Arc<Room>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<(S, Option<u32>)>>,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // Never closed: ends with its task.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match next().await {
            Ok((stream, uid)) => drop(spawn("admin connection", connection(stream, uid, Arc::clone(&room), permit))),
            Err(error) => {
                tracing::debug!(%error, "a connection to an admin port was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<S>(stream: S, uid: Option<u32>, room: Arc<Room>, _permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (begun, streams) = (AtomicBool::new(false), AtomicBool::new(false));
    let service = service_fn(|request| {
        begun.store(true, Ordering::Relaxed);
        let (room, streams) = (Arc::clone(&room), &streams);
        async move {
            let answer = room.answer(request, uid).await;
            streams.store(answer.extensions().get::<Streams>().is_some(), Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    // A head that is read in one piece and an answer that fits a buffer need no keep-alive; scrapers come every few seconds.
    builder.keep_alive(false).half_close(true).max_buf_size(HEAD_BYTES);
    let served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let late = async {
        sleep(HEAD).await;
        if begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let aged = async {
        sleep(LIFE).await;
        if streams.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        _ = served => {}
        () = late => tracing::debug!("a connection to an admin port sent no request in time"),
        () = aged => tracing::debug!("a connection to an admin port was cut at its age"),
    }
}
