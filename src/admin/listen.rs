//! Sockets to listen on.

use crate::runtime::listener;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

const BACKLOG: i32 = 64;

/// Binds a TCP listener. `key` is what an error calls it.
pub(super) fn tcp(address: SocketAddr, key: &str) -> io::Result<tokio::net::TcpListener> {
    let bound = listener::bind(address).and_then(tokio::net::TcpListener::from_std);
    bound.map_err(|error| io::Error::new(error.kind(), format!("{key} {address}: {error}")))
}

/// Binds the control socket with mode 0600.
///
/// # Security
/// There is no instant at which another user can connect: the socket is bound under another name, gets its mode, listens only then, and is renamed. The
/// process's umask, which other threads share, stays as it is.
pub(super) fn unix(path: &Path) -> io::Result<tokio::net::UnixListener> {
    refuse_if_taken(path)?;
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(format!(".{}", std::process::id()));
    let hidden = PathBuf::from(hidden);
    match fs::remove_file(&hidden) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&hidden)?)?;
    let ready = fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| fs::rename(&hidden, path));
    if let Err(error) = ready {
        let _ = fs::remove_file(&hidden);
        return Err(error);
    }
    tokio::net::UnixListener::from_std(socket.into())
}

/// A socket file on which nothing answers is left from an earlier process and may go; anything else stays.
fn refuse_if_taken(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "is there and is no socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process answers on it")),
    }
}
