//! `[inbound]` and `[outbound]`.

use crate::request::Strictness;
use crate::runtime::exposure::PrivateApp;
use crate::upstream::Protocol;
use http::HeaderName;
use http::uri::PathAndQuery;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// `[inbound]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Where peers connect; port 0 lets the kernel choose (see `countersign status`).
    pub listen: SocketAddr,
    /// Where the app listens.
    pub app: App,
    /// What the app speaks: HTTP/1.1, or HTTP/2 with prior knowledge (h2c).
    pub app_protocol: Protocol,
    /// How strictly requests are read.
    pub strictness: Strictness,
    /// The identity headers that the app gets.
    pub identity_headers: Vec<IdentityHeader>,
    /// More header names that are stripped.
    pub reserved_headers: Vec<HeaderName>,
    /// Whether `x-forwarded-for` and `x-forwarded-proto` are set from what we know.
    pub forwarded_headers: bool,
    /// Whether `/ready` waits for the app to listen on loopback only.
    pub private_app: PrivateApp,
    /// `[health] app_check`: what the app is asked for every 5 s; `None`: nothing.
    pub app_check: Option<PathAndQuery>,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443)),
            app: App::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            app_protocol: Protocol::Http1,
            strictness: Strictness::default(),
            identity_headers: vec![IdentityHeader::ForwardedClientCert, IdentityHeader::Peer],
            reserved_headers: Vec::new(),
            forwarded_headers: true,
            private_app: PrivateApp::Reported,
            app_check: None,
        }
    }
}

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum App {
    /// `http://127.0.0.1:8080`.
    Tcp(SocketAddr),
    /// `unix:/run/app.sock`.
    Unix(PathBuf),
}

/// A header that tells the app who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityHeader {
    /// `x-forwarded-client-cert`, Envoy's format.
    ForwardedClientCert,
    /// `x-countersign-peer`: the bare identity.
    Peer,
}

/// `[outbound]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Where the app connects; loopback unless `allow_remote`.
    pub listen: SocketAddr,
    /// What the app may speak.
    pub protocol: OutboundProtocol,
    /// How strictly requests are read.
    pub strictness: Strictness,
}

impl Default for Outbound {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 15001)), protocol: OutboundProtocol::Auto, strictness: Strictness::default() }
    }
}

/// What the app may speak on the outbound listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutboundProtocol {
    /// By the HTTP/2 preface, under `[timeouts] head`.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 with prior knowledge only.
    H2c,
}
