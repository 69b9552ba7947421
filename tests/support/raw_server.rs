//! HTTP/2 servers that a test speaks for, frame by frame: peers and apps that do what no library does.

use super::raw::Duplex;
use super::raw_http2::{PREFACE, RawHttp2};
use super::remote::acceptor;
use countersign::testing::pki::TestCert;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// An HTTP/2 server; dropping it ends it.
pub struct RawServer {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl RawServer {
    /// A peer that shows `cert` and takes every client.
    pub async fn peer<H, F>(cert: &TestCert, handle: H) -> Self
    where
        H: Fn(RawHttp2, usize) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(Some(acceptor(cert, &["h2"])), handle).await
    }

    /// An app that speaks h2c.
    pub async fn app<H, F>(handle: H) -> Self
    where
        H: Fn(RawHttp2, usize) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(None, handle).await
    }

    /// Calls `handle` with each connection, whose preface was read and to which nothing was sent, and with its number, from one.
    async fn start<H, F>(tls: Option<TlsAcceptor>, handle: H) -> Self
    where
        H: Fn(RawHttp2, usize) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections, handle) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default(), Arc::new(handle));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (tls, handle) = (tls.clone(), Arc::clone(&handle));
                tokio::spawn(async move {
                    let mut stream: Box<dyn Duplex> = match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            Box::new(stream)
                        }
                        None => Box::new(stream),
                    };
                    let mut preface = [0; PREFACE.len()];
                    if stream.read_exact(&mut preface).await.is_ok() {
                        assert_eq!(preface, PREFACE);
                        handle(RawHttp2::over(stream, "https"), number).await;
                    }
                });
            }
        });
        Self { address, connections, task }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
