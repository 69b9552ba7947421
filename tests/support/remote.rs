//! A peer that a sidecar calls: a TLS server in the test's process that notes who called and every byte that came.

use super::app::{AppBody, full, unfinished};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::TestCert;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One connection that reached the peer.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The serial number of the caller's certificate, once the handshake is done.
    pub client: Option<String>,
    /// The server name that the caller asked for.
    pub server_name: Option<String>,
    /// Why the handshake failed.
    pub refused: Option<String>,
    /// Application bytes that came.
    pub bytes: usize,
    /// Whether it has ended.
    pub ended: bool,
}

/// One request that reached the peer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The connection that it came on, by the order of arrival.
    pub call: usize,
    /// Its authority.
    pub host: String,
    /// Its path and query.
    pub target: String,
    /// Its header.
    pub headers: HeaderMap,
}

/// A TLS server that wants a client certificate and takes any; dropping it stops accepting.
///
/// It answers `/read…` once the whole request is there (trailers are then noted as fields), `/hold…` once [`Remote::release`] was called, `/unfinished…` without end, and the rest at once, with the request's authority.
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    gate: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    certs: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    calls: Mutex<Vec<Call>>,
    asked: Mutex<Vec<Asked>>,
}

impl Remote {
    /// A peer that shows `cert` whatever name is asked for, and speaks these protocols.
    pub async fn start(cert: &TestCert, alpn: &[&str]) -> Self {
        Self::start_at(cert, alpn, "127.0.0.1:0".parse().unwrap()).await
    }

    /// As [`Remote::start`], at this address.
    pub async fn start_at(cert: &TestCert, alpn: &[&str], address: SocketAddr) -> Self {
        let shared = Arc::<Shared>::default();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient(aws_lc_rs::default_provider())))
            .with_cert_resolver(Arc::<Shared>::clone(&shared));
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, gate) = (listener.local_addr().unwrap(), watch::Sender::new(false));
        let (calls, gates) = (Arc::clone(&shared), gate.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let call = calls.begin();
                tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&calls), call, gates.clone()));
            }
        });
        let remote = Self { address, shared, gate, task };
        remote.show(cert);
        remote
    }

    /// Peers at several addresses of this machine, `127.0.0.1` and up, all at the same port, as the addresses of one name are.
    pub async fn several<const N: usize>(cert: &TestCert, alpn: &[&str]) -> [Self; N] {
        let mut started = vec![Self::start(cert, alpn).await];
        for host in 2..=u8::try_from(N).unwrap() {
            started.push(Self::start_at(cert, alpn, ([127, 0, 0, host], started[0].address.port()).into()).await);
        }
        started.try_into().ok().unwrap()
    }

    /// Shows another certificate from now on, to those who ask for a name that has none of its own.
    pub fn show(&self, cert: &TestCert) {
        self.show_as("", cert);
    }

    /// Shows this certificate to those who ask for `name`.
    pub fn show_as(&self, name: &str, cert: &TestCert) {
        let key = aws_lc_rs::sign::any_supported_type(&cert.key()).unwrap();
        self.shared.certs.lock().unwrap().insert(name.to_owned(), Arc::new(CertifiedKey::new(cert.chain.clone(), key)));
    }

    /// The connections so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits for a request to this path and query.
    pub async fn got(&self, target: &str) -> Asked {
        let look = async || self.asked().into_iter().find(|asked| asked.target == target);
        super::eventually(&format!("a request for {target} at the peer"), look).await
    }

    /// Answers what is held, and holds nothing from now on.
    pub fn release(&self) {
        self.gate.send_replace(true);
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a peer that speaks for itself shakes hands with: it shows `cert` and takes every client.
pub fn acceptor(cert: &TestCert, alpn: &[&str]) -> TlsAcceptor {
    acceptor_by(aws_lc_rs::default_provider(), cert, alpn)
}

/// The same with other groups or ciphers.
pub fn acceptor_by(provider: CryptoProvider, cert: &TestCert, alpn: &[&str]) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient(aws_lc_rs::default_provider())))
        .with_single_cert(cert.chain.clone(), cert.key())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>, call: usize, gate: watch::Sender<bool>) {
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return shared.note(call, |call| (call.refused, call.ended) = (Some(error.to_string()), true)),
    };
    let tls = stream.get_ref().1;
    let serial = Leaf::parse(tls.peer_certificates().unwrap().first().unwrap()).unwrap().serial;
    let (name, http2) = (tls.server_name().map(str::to_owned), tls.alpn_protocol() == Some(b"h2"));
    shared.note(call, |call| (call.client, call.server_name) = (Some(serial), name));
    let (asking, counting) = (Arc::clone(&shared), Counting { inner: stream, shared: Arc::clone(&shared), call });
    let service = service_fn(move |request: Request<Incoming>| {
        let asking = Arc::clone(&asking);
        let mut gate = gate.subscribe();
        async move {
            let request = if request.uri().path().starts_with("/read") { whole(request).await? } else { request.map(|_| ()) };
            let host = asking.ask(call, &request);
            if request.uri().path().starts_with("/hold") {
                let _ = gate.wait_for(|open| *open).await;
            }
            let body = if request.uri().path().starts_with("/unfinished") { unfinished("beginning") } else { full(host) };
            Ok::<Response<AppBody>, hyper::Error>(Response::new(body))
        }
    });
    if http2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(counting), service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(counting), service).await;
    }
    shared.note(call, |call| call.ended = true);
}

/// Reads a request to its end.
async fn whole(request: Request<Incoming>) -> Result<Request<()>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    if let Some(trailers) = body.collect().await?.trailers() {
        head.headers.extend(trailers.clone());
    }
    Ok(Request::from_parts(head, ()))
}

impl Shared {
    fn begin(&self) -> usize {
        let mut calls = self.calls.lock().unwrap();
        calls.push(Call::default());
        calls.len() - 1
    }

    fn note(&self, call: usize, change: impl FnOnce(&mut Call)) {
        change(&mut self.calls.lock().unwrap()[call]);
    }

    /// Notes a request; gives its authority.
    fn ask(&self, call: usize, request: &Request<()>) -> String {
        let header = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        let host = request.uri().authority().map(ToString::to_string).or(header).unwrap_or_default();
        let target = request.uri().path_and_query().map_or(String::new(), ToString::to_string);
        self.asked.lock().unwrap().push(Asked { call, host: host.clone(), target, headers: request.headers().clone() });
        host
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certs = self.certs.lock().unwrap();
        certs.get(hello.server_name().unwrap_or("")).or_else(|| certs.get("")).cloned()
    }
}

/// Counts what is read as the call's application bytes.
struct Counting<S> {
    inner: S,
    shared: Arc<Shared>,
    call: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        let bytes = buffer.filled().len() - before;
        self.shared.note(self.call, |call| call.bytes += bytes);
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Takes every client: these tests are about what the sidecar takes.
#[derive(Debug)]
struct AnyClient(CryptoProvider);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
