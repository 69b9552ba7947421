//! An app that reads HTTP/1.1 by the letter of what a careful sender writes, and notes whatever is not: for requests that nobody sends on purpose.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What of a request a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its host, without the port.
    pub host: String,
}

#[derive(Debug, Default)]
struct Notes {
    seen: Vec<Seen>,
    violations: Vec<String>,
}

/// The app.
pub struct StrictApp {
    /// Where it listens.
    pub address: SocketAddr,
    notes: Arc<Mutex<Notes>>,
    task: JoinHandle<()>,
}

impl StrictApp {
    /// Answers every request with an empty 200 on connections that stay open.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let notes = Arc::<Mutex<Notes>>::default();
        let shared = Arc::clone(&notes);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let notes = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Err(violation) = serve(stream, &notes).await {
                        notes.lock().unwrap().violations.push(violation);
                    }
                });
            }
        });
        Self { address, notes, task }
    }

    /// The requests whose heads came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.notes.lock().unwrap().seen.clone()
    }

    /// What came that no careful sender writes.
    pub fn violations(&self) -> Vec<String> {
        self.notes.lock().unwrap().violations.clone()
    }
}

impl Drop for StrictApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a request's body ends.
enum Framing {
    Length(u64),
    Chunked,
}

/// Serves a connection to its end, which may come at any time; an error is something that must not have been sent.
async fn serve(stream: TcpStream, notes: &Mutex<Notes>) -> Result<(), String> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(head) = head(&mut stream).await? else { return Ok(()) };
        let (seen, framing) = request(&head)?;
        notes.lock().unwrap().seen.push(seen);
        let complete = match framing {
            Framing::Length(length) => tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await.ok() == Some(length),
            Framing::Chunked => chunks(&mut stream).await?,
        };
        if !complete || stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return Ok(());
        }
    }
}

/// The lines of a head; `None` where the connection ends before it is whole.
async fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<Vec<String>>, String> {
    let mut lines = Vec::new();
    loop {
        match line(stream).await? {
            None => return Ok(None),
            Some(line) if line.is_empty() => return Ok(Some(lines)),
            Some(line) => lines.push(line),
        }
    }
}

/// A line without its end; bytes outside ASCII become the Latin-1 characters that they are.
async fn line(stream: &mut BufReader<TcpStream>) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes).await.is_err() || bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let line = text.strip_suffix("\r\n").ok_or_else(|| format!("a line that ends without CR: {text:?}"))?;
    let control = line.contains(|letter: char| letter.is_ascii_control() && letter != '\t');
    if control { Err(format!("a line with a control character: {line:?}")) } else { Ok(Some(line.to_owned())) }
}

fn request(head: &[String]) -> Result<(Seen, Framing), String> {
    let wrong = |what: &str| format!("{what}: {head:?}");
    let (request_line, fields) = head.split_first().ok_or("an empty line before a request")?;
    let [method, target, "HTTP/1.1"] = request_line.split(' ').collect::<Vec<_>>()[..] else { return Err(wrong("request line")) };
    let path = target.split('?').next().unwrap_or_default();
    let plain = path == "*" || path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || method.is_empty() || !method.bytes().all(is_token) {
        return Err(wrong("request line"));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|line| field(line)).collect::<Option<_>>().ok_or_else(|| wrong("field"))?;
    let all = |name: &str| fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| *value).collect::<Vec<_>>();
    let [host] = all("host")[..] else { return Err(wrong("host")) };
    for name in ["authorization", "x-forwarded-client-cert", "x-countersign-peer"] {
        if all(name).len() > 1 {
            return Err(wrong(name));
        }
    }
    let framing = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Framing::Length(0),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => Framing::Length(length.parse().map_err(|_| wrong("length"))?),
        ([], ["chunked"]) => Framing::Chunked,
        _ => return Err(wrong("framing")),
    };
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(host, _)| host);
    Ok((Seen { method: method.into(), path: path.into(), host: host.into() }, framing))
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ").or_else(|| line.strip_suffix(':').map(|name| (name, "")))?;
    let lower = !name.is_empty() && name.bytes().all(|byte| is_token(byte) && !byte.is_ascii_uppercase());
    (lower && value.trim_matches([' ', '\t']) == value).then_some((name, value))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads chunks and trailers; whether they came to their end.
async fn chunks(stream: &mut BufReader<TcpStream>) -> Result<bool, String> {
    loop {
        let Some(size) = line(stream).await? else { return Ok(false) };
        let length = u64::from_str_radix(&size, 16).map_err(|_| format!("chunk size {size:?}"))?;
        if length == 0 {
            return Ok(head(stream).await?.is_some());
        }
        let copied = tokio::io::copy(&mut (&mut *stream).take(length), &mut tokio::io::sink()).await;
        if copied.ok() != Some(length) {
            return Ok(false);
        }
        match line(stream).await? {
            None => return Ok(false),
            Some(end) if end.is_empty() => {}
            Some(more) => return Err(format!("bytes after a chunk: {more:?}")),
        }
    }
}
