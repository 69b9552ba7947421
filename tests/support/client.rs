//! Clients in front of a sidecar: HTTP/1.1, HTTP/2, and bytes over TLS.

use super::frames::{Frames, Tapped};
use super::within;
use bytes::Bytes;
use countersign::identity::x509::Leaf;
use countersign::testing::pki::TestCert;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One response, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// A header field as text, empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A request that did not get its whole response.
pub type Failed = hyper::Error;

/// An HTTP connection to a sidecar; dropping it closes it.
pub enum Peer {
    /// HTTP/1.1: one request after the other.
    Http1(http1::SendRequest<Full<Bytes>>, Facts),
    /// HTTP/2.
    Http2(http2::SendRequest<Full<Bytes>>, Facts),
}

/// What is known of a connection beside HTTP.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The serial number of the certificate that the server showed.
    pub serial: String,
    /// On HTTP/2: what the server sent.
    pub frames: Frames,
    ended: Arc<Mutex<Option<tokio::time::Instant>>>,
}

impl Peer {
    /// Connects with HTTP/1.1.
    pub async fn http1(address: SocketAddr, cert: &TestCert) -> Self {
        let stream = tls(address, Some(cert), &["http/1.1"]).await.unwrap();
        let facts = Facts::of(&stream);
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        facts.drive(connection);
        Self::Http1(send, facts)
    }

    /// Connects with HTTP/2.
    pub async fn http2(address: SocketAddr, cert: &TestCert) -> Self {
        let stream = tls(address, Some(cert), &["h2"]).await.unwrap();
        let facts = Facts::of(&stream);
        let tapped = TokioIo::new(Tapped::new(stream, facts.frames.clone()));
        let (send, connection) = http2::handshake(TokioExecutor::new(), tapped).await.unwrap();
        facts.drive(connection);
        Self::Http2(send, facts)
    }

    /// One connection of each kind.
    pub async fn both(address: SocketAddr, cert: &TestCert) -> [Self; 2] {
        [Self::http1(address, cert).await, Self::http2(address, cert).await]
    }

    /// Its facts.
    pub fn facts(&self) -> &Facts {
        match self {
            Self::Http1(_, facts) | Self::Http2(_, facts) => facts,
        }
    }

    /// `http1` or `http2`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http1(..) => "http1",
            Self::Http2(..) => "http2",
        }
    }

    /// Sends a request; the future gives the response's head and does not borrow the connection.
    pub fn begin(&mut self, request: Request<Full<Bytes>>) -> impl Future<Output = Result<Response<Incoming>, Failed>> + use<> {
        let mut request = request;
        if let Self::Http1(..) = self {
            let host = request.uri().authority().unwrap().as_str().parse().unwrap();
            request.headers_mut().entry("host").or_insert(host);
            *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
        }
        let sent: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = match self {
            Self::Http1(send, _) => Box::pin(send.send_request(request)),
            Self::Http2(send, _) => Box::pin(send.send_request(request)),
        };
        sent
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let what = format!("the answer to {} {}", request.method(), request.uri());
        if let Self::Http1(send, _) = self {
            within("the end of the request before", send.ready()).await?;
        }
        let sent = self.begin(request);
        within(&what, async { read(sent.await?).await }).await
    }

    /// `GET`s a path; panics where there is no answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(get(path)).await.unwrap()
    }
}

impl Facts {
    pub(super) fn of(stream: &TlsStream<TcpStream>) -> Self {
        let leaf = stream.get_ref().1.peer_certificates().unwrap().first().unwrap();
        let serial = Leaf::parse(leaf).unwrap().serial;
        Self { serial, frames: Frames::default(), ended: Arc::default() }
    }

    pub(super) fn drive<E: Send>(&self, connection: impl Future<Output = Result<(), E>> + Send + 'static) {
        let ended = Arc::clone(&self.ended);
        tokio::spawn(async move {
            let _ = connection.await;
            ended.lock().unwrap().replace(tokio::time::Instant::now());
        });
    }

    /// Waits until the connection has ended; says when.
    pub async fn ended(&self) -> tokio::time::Instant {
        super::eventually("the end of the connection", async || *self.ended.lock().unwrap()).await
    }

    /// Whether the connection is still there.
    pub fn is_open(&self) -> bool {
        self.ended.lock().unwrap().is_none()
    }
}

/// Reads a response to its end.
pub async fn read(response: Response<Incoming>) -> Result<Answer, Failed> {
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
}

/// A `GET` request for a path of the orders service.
pub fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://orders{path}")).body(Full::default()).unwrap()
}

/// A `POST` of this text.
pub fn post(path: &str, text: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("https://orders{path}")).body(Full::new(text.into())).unwrap()
}

/// Shakes hands with a sidecar. The server's own certificate is not judged here.
///
/// TLS 1.3 lets a client finish before the server has judged its certificate: a refusal comes with the first read.
pub async fn tls(address: SocketAddr, cert: Option<&TestCert>, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    shake(address, tls_config(cert, alpn)).await
}

/// Shakes hands as `config` says.
pub async fn shake(address: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("orders").unwrap();
    let shake = async {
        let stream = TcpStream::connect(address).await?;
        // What a test writes in pieces leaves in pieces, at once.
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    within("a handshake", shake).await
}

/// Whether a sidecar takes this certificate: a request over HTTP/1.1 gets any answer at all.
pub async fn is_taken(address: SocketAddr, cert: Option<&TestCert>) -> bool {
    let Ok(mut stream) = tls(address, cert, &["http/1.1"]).await else { return false };
    if stream.write_all(b"GET /taken HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").await.is_err() {
        return false;
    }
    let mut first = [0];
    within("an answer or the end", stream.read(&mut first)).await.is_ok_and(|count| count == 1)
}

/// Takes every server: these tests are about what the sidecar takes.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Clients without TLS: the app behind an outbound listener.
impl Peer {
    /// Connects to an outbound listener with HTTP/1.1.
    pub async fn app_http1(address: SocketAddr) -> Self {
        let facts = Facts::plain();
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        facts.drive(connection);
        Self::Http1(send, facts)
    }

    /// Connects to an outbound listener with HTTP/2 and prior knowledge.
    pub async fn app_h2c(address: SocketAddr) -> Self {
        let facts = Facts::plain();
        let stream = Tapped::new(TcpStream::connect(address).await.unwrap(), facts.frames.clone());
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        facts.drive(connection);
        Self::Http2(send, facts)
    }

    /// One connection of each kind to an outbound listener.
    pub async fn app_both(address: SocketAddr) -> [Self; 2] {
        [Self::app_http1(address).await, Self::app_h2c(address).await]
    }

    /// `GET`s a path of `host`; panics where there is no answer.
    pub async fn ask(&mut self, host: &str, path: &str) -> Answer {
        self.send(at(host, path)).await.unwrap()
    }
}

impl Facts {
    pub(super) fn plain() -> Self {
        Self { serial: String::new(), frames: Frames::default(), ended: Arc::default() }
    }
}

/// A `GET` request for a path of a host, as an app sends it.
pub fn at(host: &str, path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://{host}{path}")).body(Full::default()).unwrap()
}

/// What [`tls`] shakes hands with.
pub fn tls_config(cert: Option<&TestCert>, alpn: &[&str]) -> ClientConfig {
    tls_config_by(aws_lc_rs::default_provider(), cert, alpn)
}

/// The same with other groups or ciphers.
pub fn tls_config_by(provider: CryptoProvider, cert: Option<&TestCert>, alpn: &[&str]) -> ClientConfig {
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = match cert {
        Some(cert) => builder.with_client_auth_cert(cert.chain.clone(), cert.key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}
