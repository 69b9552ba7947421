//! What the libraries allow: a proxy of hyper and rustls in our shape (one thread, client certificates required, connections to the app kept)
//! and nothing else: no policy, no log, no limits, no time-outs, no metrics. It measures, and is good for nothing else.

use crate::measure::{Program, certificates};
use countersign::runtime::tasks::LocalExecutor;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::cell::RefCell;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The connections to the app that nobody uses right now.
struct Pool {
    app: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

/// The word that makes the program of a bench be this proxy instead.
const WORD: &str = "be-the-bare-proxy";

/// This program, started as the bare proxy; its certificates come from the development CA in `ca` and go to `dir`.
///
/// # Errors
/// A file cannot be written, this program's path is unknown.
pub fn program(listen: SocketAddr, app: SocketAddr, ca: &Path, dir: &Path) -> anyhow::Result<Program> {
    std::fs::create_dir_all(dir)?;
    certificates::write(ca, dir)?;
    let mut words: Vec<OsString> = vec![std::env::current_exe()?.into(), "--bench".into(), WORD.into()];
    words.extend([listen.to_string().into(), app.to_string().into(), dir.into()]);
    Ok(Program { name: "bare hyper + rustls".into(), words, address: listen, dir: dir.to_owned(), decides: false })
}

/// What to run when this program was started as the bare proxy.
pub fn asked_for() -> Option<impl Future<Output = anyhow::Result<()>>> {
    let mut words = std::env::args_os().skip_while(|word| word != WORD).skip(1);
    let address = |word: Option<OsString>| word?.to_str()?.parse::<SocketAddr>().ok();
    let (listen, app, dir) = (address(words.next())?, address(words.next())?, PathBuf::from(words.next()?));
    Some(async move { serve(listen, app, &dir).await })
}

/// Serves until the process is ended. `dir` has `server.pem`, `server.key` and `root.pem`.
///
/// # Errors
/// It cannot begin.
async fn serve(listen: SocketAddr, app: SocketAddr, dir: &Path) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(configuration(dir)?));
    let listener = TcpListener::bind(listen).await?;
    let pool = Rc::new(Pool { app, idle: RefCell::default() });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, pool) = (acceptor.clone(), Rc::clone(&pool));
        tokio::task::spawn_local(async move {
            // Whoever fails to shake hands, or ends, is no news here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request| forward(request, Rc::clone(&pool)));
            let io = TokioIo::new(stream);
            let _ = match is_http2 {
                true => http2::Builder::new(LocalExecutor).serve_connection(io, service).await,
                false => http1::Builder::new().serve_connection(io, service).await,
            };
        });
    }
}

fn configuration(dir: &Path) -> anyhow::Result<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("root.pem"))?)?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build()?;
    let chain = CertificateDer::pem_file_iter(dir.join("server.pem"))?.collect::<Result<_, _>>()?;
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(dir.join("server.key"))?)?;
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(configuration)
}

async fn forward(mut request: Request<Incoming>, pool: Rc<Pool>) -> anyhow::Result<Response<Incoming>> {
    if request.version() == Version::HTTP_2 {
        if let Some(authority) = request.uri().authority() {
            let host = HeaderValue::from_str(authority.as_str())?;
            request.headers_mut().insert(HOST, host);
        }
        *request.version_mut() = Version::HTTP_11;
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
    let mut sender = pool.take().await?;
    let response = sender.send_request(request).await;
    pool.idle.borrow_mut().push(sender);
    Ok(response?)
}

impl Pool {
    async fn take(&self) -> anyhow::Result<SendRequest<Incoming>> {
        let kept = {
            let mut idle = self.idle.borrow_mut();
            // One whose last response is still being read comes back later.
            idle.iter().rposition(SendRequest::is_ready).map(|at| idle.swap_remove(at))
        };
        if let Some(sender) = kept {
            return Ok(sender);
        }
        let stream = TcpStream::connect(self.app).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        drop(tokio::task::spawn_local(connection));
        Ok(sender)
    }
}
