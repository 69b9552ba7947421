//! Connections that speak bytes: for what no HTTP library would send, and for what one would not show. HTTP/1.1 here, HTTP/2 in [`super::raw_http2`].
//!
//! Writing never fails: a server may end a connection while a test still writes to it, and what it said before is read afterwards.

use super::client::tls;
use super::raw_http2::RawHttp2;
use super::within;
use bytes::{Buf as _, BytesMut};
use countersign::testing::pki::TestCert;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Any stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Where raw connections come from: over mutual TLS to an inbound listener, or as the app to an outbound one.
pub enum Raw {}

impl Raw {
    /// HTTP/1.1 over mutual TLS.
    pub async fn http1(address: SocketAddr, cert: &TestCert) -> RawHttp1 {
        RawHttp1::over(tls(address, Some(cert), &["http/1.1"]).await.unwrap())
    }

    /// HTTP/2 over mutual TLS; its preface is sent, with empty SETTINGS.
    pub async fn http2(address: SocketAddr, cert: &TestCert) -> RawHttp2 {
        let mut connection = Self::http2_silent(address, cert).await;
        connection.preface().await;
        connection
    }

    /// HTTP/2 over mutual TLS, of which nothing is sent yet.
    pub async fn http2_silent(address: SocketAddr, cert: &TestCert) -> RawHttp2 {
        RawHttp2::over(tls(address, Some(cert), &["h2"]).await.unwrap(), "https")
    }

    /// HTTP/1.1 in the clear.
    pub async fn app_http1(address: SocketAddr) -> RawHttp1 {
        RawHttp1::over(plain(address).await)
    }

    /// HTTP/2 in the clear with prior knowledge; its preface is sent, with empty SETTINGS.
    pub async fn app_h2c(address: SocketAddr) -> RawHttp2 {
        let mut connection = Self::app_h2c_silent(address).await;
        connection.preface().await;
        connection
    }

    /// HTTP/2 in the clear, of which nothing is sent yet.
    pub async fn app_h2c_silent(address: SocketAddr) -> RawHttp2 {
        RawHttp2::over(plain(address).await, "http")
    }
}

async fn plain(address: SocketAddr) -> TcpStream {
    within("a connection", TcpStream::connect(address)).await.unwrap()
}

/// How a server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order: end of file, or TLS's close.
    Closed,
    /// By a reset, or without TLS's close.
    Reset,
}

/// A response as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// Its status.
    pub status: u16,
    /// Its fields in their order, without pseudo-headers.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl RawAnswer {
    /// The first field of this name in lower case, as text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| std::str::from_utf8(value).unwrap())
    }
}

/// A stream with what was read ahead.
pub(super) struct Wire {
    stream: Box<dyn Duplex>,
    pub(super) read: BytesMut,
    pub(super) end: Option<End>,
}

impl Wire {
    pub(super) fn over(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), read: BytesMut::new(), end: None }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let written = async { self.stream.write_all(bytes).await.and(self.stream.flush().await) };
        let _ = within("the server to read", written).await;
    }

    pub(super) async fn shutdown(&mut self) {
        let _ = within("the server to read", self.stream.shutdown()).await;
    }

    /// Reads more; whether there was more.
    pub(super) async fn more(&mut self, what: &str) -> bool {
        if self.end.is_none() {
            match within(what, self.stream.read_buf(&mut self.read)).await {
                Ok(0) => self.end = Some(End::Closed),
                Ok(_) => return true,
                Err(_) => self.end = Some(End::Reset),
            }
        }
        false
    }
}

/// An HTTP/1.1 connection; dropping it closes it.
pub struct RawHttp1 {
    wire: Wire,
}

impl RawHttp1 {
    /// Speaks over any stream.
    pub fn over(stream: impl Duplex + 'static) -> Self {
        Self { wire: Wire::over(stream) }
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes.as_ref()).await;
    }

    /// Ends our side; the other may go on.
    pub async fn shutdown(&mut self) {
        self.wire.shutdown().await;
    }

    /// Reads at least `count` bytes and gives exactly so many; fewer where the connection ends before: for what follows an upgrade.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.wire.read.len() < count && self.wire.more("bytes").await {}
        let count = count.min(self.wire.read.len());
        self.wire.read.split_to(count).to_vec()
    }

    /// Reads one response to anything but HEAD and CONNECT, a 1xx alone as well; `None` where the connection ends before it is complete.
    pub async fn response(&mut self) -> Option<RawAnswer> {
        self.response_to("GET").await
    }

    /// As [`RawHttp1::response`], to a request with this method.
    pub async fn response_to(&mut self, method: &str) -> Option<RawAnswer> {
        let mut lines = self.head().await?.into_iter();
        let status_line = lines.next()?;
        let status: u16 = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let fields: Vec<_> = lines.map(|line| field(&line)).collect();
        let mut answer = RawAnswer { status, fields, body: Vec::new(), trailers: Vec::new() };
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return Some(answer);
        }
        if answer.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            (answer.body, answer.trailers) = self.chunks().await?;
        } else if let Ok(length) = answer.header("content-length").parse() {
            answer.body = Some(self.take(length).await).filter(|body| body.len() == length)?;
        } else {
            answer.body = self.rest().await.0;
        }
        Some(answer)
    }

    /// Reads to the end of the connection.
    pub async fn rest(&mut self) -> (Vec<u8>, End) {
        while self.wire.more("the end of the connection").await {}
        (self.wire.read.split().to_vec(), self.wire.end.unwrap())
    }

    /// The lines of a head without their ends.
    pub(super) async fn head(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            match self.line().await? {
                line if line.is_empty() => return Some(lines),
                line => lines.push(line),
            }
        }
    }

    /// One line; bytes that are no UTF-8 become the Latin-1 characters that they are.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(length) = self.wire.read.windows(2).position(|end| end == b"\r\n") {
                let line = self.wire.read.split_to(length);
                self.wire.read.advance(2);
                return Some(line.iter().map(|byte| char::from(*byte)).collect());
            }
            if !self.wire.more("the end of a line").await {
                return None;
            }
        }
    }

    pub(super) async fn chunks(&mut self) -> Option<(Vec<u8>, Vec<(String, Vec<u8>)>)> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).unwrap();
            if length == 0 {
                return Some((body, self.head().await?.iter().map(|line| field(line)).collect()));
            }
            body.extend(Some(self.take(length).await).filter(|chunk| chunk.len() == length)?);
            assert_eq!(self.line().await?, "", "a chunk ends with its line");
        }
    }
}

pub(super) fn field(line: &str) -> (String, Vec<u8>) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
    (name.to_owned(), value.trim().chars().map(|character| character as u8).collect())
}
