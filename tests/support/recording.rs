//! An app that notes every request byte by byte, and reads it as strictly as the specification allows.

use super::raw::{RawHttp1, field};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its request line.
    pub line: String,
    /// Its fields in their order, with their names as they were written.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Recorded {
    /// The values under a name in lower case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// Whether there is anything under a name, in any spelling.
    pub fn has(&self, name: &str) -> bool {
        let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        self.fields.iter().chain(&self.trailers).any(|(field, _)| plain(field) == plain(name))
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
        let fields = |fields: &[(String, Vec<u8>)]| fields.iter().map(text).collect::<Vec<_>>();
        let (body, fields, trailers) = (String::from_utf8_lossy(&self.body), fields(&self.fields), fields(&self.trailers));
        write!(f, "{} {fields:?} {body:?} {trailers:?}", self.line)
    }
}

/// Answers everything with `200` and `ok`; dropping it ends it.
pub struct RecordingApp {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Recorded>>>,
    task: JoinHandle<()>,
}

impl RecordingApp {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Recorded>>>::default();
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut client, log) = (RawHttp1::over(stream), Arc::clone(&log));
                tokio::spawn(async move {
                    while let Some(request) = request(&mut client).await {
                        log.lock().unwrap().push(request);
                        client.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Recorded> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that came since the last look; an answer to it is there already.
    pub fn take(&self) -> Recorded {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Drop for RecordingApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request. What could be read in two ways is noted as it is, with a line that no test expects.
async fn request(client: &mut RawHttp1) -> Option<Recorded> {
    let mut lines = client.head().await?.into_iter();
    let (line, fields) = (lines.next()?, lines.map(|line| field(&line)).collect());
    let mut request = Recorded { line, fields, ..Recorded::default() };
    let framing = (request.all("transfer-encoding"), request.all("content-length"));
    match (framing.0.as_slice(), framing.1.as_slice()) {
        ([], []) => {}
        ([b"chunked"], []) => (request.body, request.trailers) = client.chunks().await?,
        ([], [length]) => {
            let length = std::str::from_utf8(length).unwrap().parse().unwrap();
            request.body = client.take(length).await;
        }
        other => request.line = format!("ambiguous framing: {other:?}"),
    }
    Some(request)
}
