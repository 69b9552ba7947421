//! Why something was not fetched.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Why something was not fetched. Trying again later may help in all cases but where it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name has no address now.
    #[error("{host}: {problem}")]
    Unresolved {
        /// The name.
        host: String,
        /// What asking for it said.
        problem: String,
    },
    /// The name leads to nothing but addresses that are not asked; it helps to change the name's records.
    #[error("{host} leads to {address}, which {refusal}: it is not asked")]
    Forbidden {
        /// The name.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// Why that is not asked.
        refusal: &'static str,
    },
    /// No address accepts a connection.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// The last one that was tried.
        address: IpAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The machine has no CA roots to verify anybody by; it helps to install them, or to name them in SSL_CERT_FILE.
    #[error("there are no CA roots on this machine to verify the server by ({0}); install them, or name a file in SSL_CERT_FILE")]
    NoRoots(String),
    /// The TLS handshake failed, such as with a certificate that no root of the machine vouches for.
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    /// A step took too long.
    #[error("{step} took longer than {} s", .limit.as_secs())]
    Timeout {
        /// Which one.
        step: &'static str,
        /// What it may take.
        limit: Duration,
    },
    /// The server wants us to ask elsewhere; it helps to write that URL, if it is right.
    #[error("the server answers {status} and points to {location:?}, and redirects are not followed")]
    Redirect {
        /// Its status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The server refuses, or has nothing.
    #[error("the server answers {0}")]
    Status(u16),
    /// The answer is encoded although nobody asked for that.
    #[error("the answer has content-encoding {0:?}, which was not asked for")]
    Encoded(String),
    /// The answer is too long.
    #[error("the answer is longer than {}", size(*.limit))]
    TooLarge {
        /// Bytes that it may have.
        limit: u64,
    },
    /// The service that keeps it does not give it to whom we are; the text says what to do.
    #[error("{said}")]
    Service {
        /// The stable label.
        reason: &'static str,
        /// What to do.
        said: String,
    },
    /// The answer ended before its time, or is no HTTP/1.1.
    #[error("the answer cannot be read: {0}")]
    Http(#[from] hyper::Error),
}

/// Bytes as operators write them.
fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

impl FetchError {
    /// The stable label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "unresolved",
            Self::Forbidden { .. } => "forbidden",
            Self::Connect { .. } => "unreachable",
            Self::NoRoots(_) | Self::Tls(_) => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Redirect { .. } => "redirect",
            Self::Status(_) => "status",
            Self::Encoded(_) | Self::Http(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Service { reason, .. } => reason,
        }
    }
}
