//! Listening sockets and the loop that accepts on them.

use super::shards::Dispatch;
use crate::telemetry::metrics::Process;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections that the kernel holds for us; what is above waits in the peer's SYN retries.
const KERNEL_BACKLOG: i32 = 4_096;

/// When the kernel asks a silent peer whether it is still there, and how often again until it gives the connection up: a machine that went away
/// without a word holds its open streams and tunnels for some three minutes.
const PROBED_AFTER: Duration = Duration::from_secs(60);
const PROBED_EVERY: Duration = Duration::from_secs(15);

/// Bytes that wait in the kernel because a reader takes none, per connection (TCP_NOTSENT_LOWAT). More than a round trip inside a VPC holds.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 << 10;

/// One accepted connection, not yet on any runtime.
pub struct Incoming<K> {
    /// The socket, non-blocking, without Nagle's delay.
    pub stream: TcpStream,
    /// The TCP peer.
    pub source: SocketAddr,
    /// Which listener it came from.
    pub listener: K,
    /// Its share of `[limits] connections`; keep it as long as the connection lasts.
    pub permit: OwnedSemaphorePermit,
}

/// Binds a TCP listener; `[::]` serves IPv6 and IPv4, and becomes `0.0.0.0` where the kernel has no IPv6.
///
/// # Errors
/// The address is taken, not ours, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    match bind_exactly(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && no_ipv6(&error) => {
            bind_exactly(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        other => other,
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}

fn bind_exactly(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Accepted sockets inherit these, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    limit_unsent(&socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBED_AFTER).with_interval(PROBED_EVERY))?;
    socket.bind(&address.into())?;
    socket.listen(KERNEL_BACKLOG)?;
    Ok(socket.into())
}

/// Bounds what the kernel holds for a reader that has stopped, by itself up to 4 MiB a connection. Where it has no such option, nothing changes.
pub fn limit_unsent<'s>(socket: impl Into<SockRef<'s>>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket.into().set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket.into();
}

/// Accepts until `stop` says so, and then once more what has come before: takes a permit first, so that connections above the limit wait in the kernel; pauses after errors such as too many open files.
pub async fn accept_loop<K: Copy>(
    listener: std::net::TcpListener,
    kind: K,
    permits: Arc<Semaphore>,
    shards: Dispatch<Incoming<K>>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be registered with the runtime"),
    };
    let mut pause = Duration::ZERO;
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((permit, accept(&listener).await))
        };
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = next => accepted,
        };
        match accepted {
            None => return,
            Some((permit, Ok((stream, source)))) => {
                pause = Duration::ZERO;
                if shards.give(Incoming { stream, source, listener: kind, permit }).await.is_err() {
                    return;
                }
            }
            // The peer gave up before we came: nothing is wrong here.
            Some((_, Err(error))) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Some((_, Err(error))) => {
                Process::handles().accept_errors.increment(1);
                pause = (pause * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
                tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "accept failed");
                tokio::time::sleep(pause).await;
            }
        }
    }
    // Whoever is in the kernel's queue believes to be connected, and would be reset when the listener closes.
    for _ in 0..KERNEL_BACKLOG {
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { return };
        let waiting = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
        let Poll::Ready(Ok((stream, source))) = waiting else { return };
        let Ok(stream) = stream.into_std() else { return };
        if shards.give(Incoming { stream, source: unmapped(source), listener: kind, permit }).await.is_err() {
            return;
        }
    }
}

/// A standard socket again: a tokio socket belongs to the runtime that accepted it, and the shard's is another.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, source) = listener.accept().await?;
    Ok((stream.into_std()?, unmapped(source)))
}

/// An IPv4 peer of a listener for both families appears as IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
