//! The command line's side of the control socket and the health port. Blocking; for short-lived processes.

use std::io::{self, BufRead as _, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From the connect call to a connected socket.
const CONNECT: Duration = Duration::from_secs(2);
/// From the request to the end of the answer; a reload may take as long.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of the head of an answer that goes on.
const MAX_HEAD: usize = 16 << 10;
/// Bytes of an answer.
const MAX_ANSWER: usize = 4 << 20;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there, or it is not ours to open. Trying again helps once the process runs.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, #[source] io::Error),
    /// The connection broke, or the answer took longer than 30 s. Trying again may help.
    #[error("no answer from {0}: {1}")]
    Exchange(String, #[source] io::Error),
    /// What answered speaks no HTTP/1.1, or its answer was cut short. Trying again does not help.
    #[error("what {0} answered cannot be understood")]
    Answer(String),
}

/// Asks over the control socket.
///
/// # Errors
/// See [`ClientError`]; an HTTP status is no error.
pub fn get(socket: &Path, path: &str) -> Result<Answer, ClientError> {
    over_socket(socket, "GET", path, "")
}

/// Commands over the control socket.
///
/// # Errors
/// See [`ClientError`]; an HTTP status is no error.
pub fn post(socket: &Path, path: &str, body: &str) -> Result<Answer, ClientError> {
    over_socket(socket, "POST", path, body)
}

/// Sets over the control socket.
///
/// # Errors
/// See [`ClientError`]; an HTTP status is no error.
pub fn put(socket: &Path, path: &str, body: &str) -> Result<Answer, ClientError> {
    over_socket(socket, "PUT", path, body)
}

/// Asks the health or metrics port; an unspecified address, as in a `listen`, means this machine.
///
/// # Errors
/// See [`ClientError`]; an HTTP status is no error.
pub fn get_tcp(address: SocketAddr, path: &str) -> Result<Answer, ClientError> {
    // A dual-stack listener takes IPv4 as well, and one that fell back to IPv4 takes nothing else.
    let unspecified = address.ip().is_unspecified();
    let address = if unspecified { SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())) } else { address };
    let name = address.to_string();
    let stream = TcpStream::connect_timeout(&address, CONNECT).map_err(|error| ClientError::Connect(name.clone(), error))?;
    let clock = |left| stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)));
    exchange(&name, &stream, clock, "GET", path, "")
}

/// Takes something away over the control socket.
///
/// # Errors
/// See [`ClientError`]; an HTTP status is no error.
pub fn delete(socket: &Path, path: &str, body: &str) -> Result<Answer, ClientError> {
    over_socket(socket, "DELETE", path, body)
}

/// Asks over the control socket for an answer that goes on: the body of a good one is what is then read, until its end or a silence of 30 s.
///
/// # Errors
/// See [`ClientError`]; any other answer is the inner error.
pub fn stream(socket: &Path, path: &str) -> Result<Result<impl Read + Send + 'static, Answer>, ClientError> {
    let name = socket.display().to_string();
    let mut stream = UnixStream::connect(socket).map_err(|error| ClientError::Connect(name.clone(), error))?;
    let failed = |error| ClientError::Exchange(name.clone(), error);
    let clocked = stream.set_read_timeout(Some(ANSWER)).and_then(|()| stream.set_write_timeout(Some(ANSWER)));
    // HTTP/1.0: the body is not in chunks, and ends with the connection.
    clocked.and_then(|()| stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes())).map_err(failed)?;
    let mut head = Vec::new();
    let mut bytes = io::BufReader::new(stream);
    while !head.ends_with(b"\r\n\r\n") {
        let read = bytes.by_ref().take((MAX_HEAD - head.len()) as u64).read_until(b'\n', &mut head).map_err(failed)?;
        if read == 0 {
            return Err(ClientError::Answer(name));
        }
    }
    let status = std::str::from_utf8(&head).ok().and_then(status).ok_or_else(|| ClientError::Answer(name.clone()))?;
    if (200..300).contains(&status) {
        return Ok(Ok(bytes));
    }
    bytes.take(MAX_ANSWER as u64).read_to_end(&mut head).map_err(failed)?;
    parse(&head).map(Err).ok_or(ClientError::Answer(name))
}

fn over_socket(socket: &Path, method: &str, path: &str, body: &str) -> Result<Answer, ClientError> {
    let name = PathBuf::from(socket).display().to_string();
    let stream = UnixStream::connect(socket).map_err(|error| ClientError::Connect(name.clone(), error))?;
    let clock = |left| stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)));
    exchange(&name, &stream, clock, method, path, body)
}

fn exchange<S: Read + Write>(
    name: &str,
    mut stream: S,
    clock: impl Fn(Duration) -> io::Result<()>,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, ClientError> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    let answer = clock(ANSWER).and_then(|()| stream.write_all(head.as_bytes())).and_then(|()| read_all(stream, clock));
    let answer = answer.map_err(|error| ClientError::Exchange(name.to_owned(), error))?;
    parse(&answer).ok_or_else(|| ClientError::Answer(name.to_owned()))
}

/// Reads to the end, all of it within one time-out.
fn read_all(mut stream: impl Read, clock: impl Fn(Duration) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + ANSWER;
    let mut answer = Vec::new();
    let mut piece = [0; 8_192];
    while answer.len() <= MAX_ANSWER {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        clock(left)?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::FileTooLarge.into())
}

/// Reads what our own server writes: a status line, header fields with a length, a body.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let body = answer.get(end + 4..)?;
    let status = status(head)?;
    let length =
        head.split("\r\n").skip(1).filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let Some((_, length)) = length
        && length.trim().parse() != Ok(body.len())
    {
        return None;
    }
    Some(Answer { status, body: String::from_utf8_lossy(body).into_owned() })
}

/// The status of an answer with this head.
fn status(head: &str) -> Option<u16> {
    let head = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "))?;
    head.get(..3)?.parse().ok()
}
