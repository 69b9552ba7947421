//! What a load is for: an address, which HTTP, and the certificates of whoever asks.

use super::wallet::Wallet;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Request, Version};
use http_body_util::Empty;
use hyper::body::Bytes;
use std::net::SocketAddr;
use std::rc::Rc;

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS with prior knowledge.
    Http2,
}

/// Where requests go, and how.
#[derive(Clone)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// Which HTTP.
    pub protocol: Protocol,
    /// The name in requests and in TLS.
    pub authority: Authority,
    /// What TLS offers and believes; `None`: no TLS.
    pub wallet: Option<Rc<Wallet>>,
}

/// Requests of a load carry none.
pub type Body = Empty<Bytes>;

impl Target {
    /// A server called `localhost` that wants a certificate.
    pub fn mutual(address: SocketAddr, wallet: &Rc<Wallet>, protocol: Protocol) -> Self {
        Self { address, protocol, authority: Authority::from_static("localhost"), wallet: Some(Rc::clone(wallet)) }
    }

    /// A GET for `path`; with a nonce, the answer must carry it.
    pub fn get(&self, path: &PathAndQuery, nonce: Option<u64>) -> Request<Body> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        match self.protocol {
            Protocol::Http1 => {
                *request.uri_mut() = Uri::from(path.clone());
                // An authority is made of bytes that a field value may have.
                if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
                    request.headers_mut().insert(HOST, host);
                }
            }
            Protocol::Http2 => {
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(if self.wallet.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
                parts.authority = Some(self.authority.clone());
                parts.path_and_query = Some(path.clone());
                *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
                *request.version_mut() = Version::HTTP_2;
            }
        }
        if let Some(nonce) = nonce {
            request.headers_mut().insert(super::client::NONCE, HeaderValue::from(nonce));
        }
        request
    }
}
