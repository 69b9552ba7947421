//! What is asked for, as far as rules may tell it apart.

use http::Method;
use std::cmp::Reverse;
use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// A TCP connection.
    Connection,
    /// A request.
    Request {
        /// Its method.
        method: Method,
        /// Its canonical path.
        path: String,
        /// Its host.
        host: Host,
        /// Whether its content type is gRPC's; `None`: no rule here asks.
        grpc: Option<bool>,
    },
}

/// The host of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// Whatever it is: no rule here asks.
    Any,
    /// This.
    Named(String),
    /// It has none, as HTTP/1.0 allows.
    Missing,
}

impl Sought {
    /// What is shown before something else: fewer segments, then the shorter path, then what needs less to be said.
    pub(super) fn rank(&self) -> impl Ord + use<'_> {
        match self {
            Self::Connection => (0, 0, "", (0, ""), Reverse(0), "", None),
            Self::Request { method, path, host, grpc } => {
                let host = match host {
                    Host::Any => (0, ""),
                    Host::Named(host) => (1 + host.len(), host.as_str()),
                    Host::Missing => (usize::MAX, ""),
                };
                // Reading comes before what changes something.
                let is_read = usize::from(*method == Method::GET);
                (path.split('/').count(), path.len(), path.as_str(), host, Reverse(is_read), method.as_str(), *grpc)
            }
        }
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Request { method, path, host, grpc } = self else { return f.write_str("a TCP connection") };
        write!(f, "{method} {path}")?;
        match host {
            Host::Any => {}
            Host::Named(host) => write!(f, ", host {host}")?,
            Host::Missing => f.write_str(", without a host")?,
        }
        match grpc {
            Some(true) => f.write_str(", gRPC"),
            Some(false) => f.write_str(", not gRPC"),
            None => Ok(()),
        }
    }
}
