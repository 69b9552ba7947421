//! A server of revocation lists in the test's process, over http or https, that misbehaves as it is told to.

use super::eventually;
use countersign::testing::pki::TestCert;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A list, with an entity tag of this name; 304 to whoever has it.
    List(Vec<u8>, &'static str),
    /// These bytes as they are, and then the connection ends.
    Raw(Vec<u8>),
    /// These bytes as they are, and then nothing for as long as the client waits.
    Hang(Vec<u8>),
    /// A head of this kind, and a body without end.
    Endless(&'static str),
}

/// The server; dropping it ends it.
pub struct ListServer {
    /// Where it listens.
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answer: Mutex<Answer>,
    asked: Mutex<Vec<String>>,
}

impl ListServer {
    /// Listens with plain http.
    pub async fn http(answer: Answer) -> Self {
        Self::start(answer, None, "127.0.0.1:0").await
    }

    /// Listens with https and shows `cert`.
    pub async fn https(answer: Answer, cert: &TestCert) -> Self {
        Self::start(answer, Some(cert), "127.0.0.1:0").await
    }

    /// Listens at `address`.
    pub async fn start(answer: Answer, cert: Option<&TestCert>, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { answer: Mutex::new(answer), asked: Mutex::default() });
        let tls = cert.map(|cert| {
            let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
            TlsAcceptor::from(Arc::new(builder.with_single_cert(cert.chain.clone(), cert.key()).unwrap()))
        });
        let serving = Arc::clone(&shared);
        let scheme = if cert.is_some() { "https" } else { "http" };
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (shared, tls) = (Arc::clone(&serving), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &shared).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &shared).await,
                            Err(error) => shared.asked.lock().unwrap().push(format!("refused: {error}")),
                        },
                    }
                });
            }
        });
        Self { address, scheme, shared, task }
    }

    /// Its list by address.
    pub fn url(&self) -> String {
        format!("{}://{}/a.crl", self.scheme, self.address)
    }

    /// Its list by a name.
    pub fn url_at(&self, name: &str) -> String {
        format!("{}://{name}:{}/a.crl", self.scheme, self.address.port())
    }

    /// From now on it answers this.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// The heads of the requests that came, in lower case; or why a handshake failed.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits until it was asked more than `before` times.
    pub async fn is_asked_after(&self, before: usize) -> String {
        eventually("a question for the list", async || self.asked().get(before).cloned()).await
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a status and nothing in it.
pub fn status(line: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into_bytes())
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    shared.asked.lock().unwrap().push(head.clone());
    let answer = shared.answer.lock().unwrap().clone();
    // The client may be gone at any time.
    let _ = match answer {
        Answer::List(_, tag) if head.contains(&format!("if-none-match: \"{tag}\"")) => {
            stream.write_all(format!("HTTP/1.1 304 Not Modified\r\netag: \"{tag}\"\r\n\r\n").as_bytes()).await
        }
        Answer::List(der, tag) => {
            let head = format!("HTTP/1.1 200 OK\r\netag: \"{tag}\"\r\ncontent-length: {}\r\n\r\n", der.len());
            stream.write_all(&[head.as_bytes(), &der].concat()).await
        }
        Answer::Raw(bytes) => stream.write_all(&bytes).await,
        Answer::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            stream.read_u8().await.map(|_| ())
        }
        Answer::Endless(head) => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
            Ok(())
        }
    };
    let _ = stream.shutdown().await;
}
