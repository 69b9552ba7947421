//! What was negotiated on an authenticated channel.

/// What was negotiated on a TLS channel; names as the decision log writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `1.3` or `1.2`.
    pub version: &'static str,
    /// Such as `TLS13_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// In which the keys were agreed on.
    pub group: Option<Group>,
    /// `h2` or `http/1.1`; empty where none was agreed.
    pub alpn: &'static str,
    /// The server name that the client asked for.
    pub sni: Option<Box<str>>,
}

/// A key exchange group. One byte: each record of a request has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// ML-KEM-768 with X25519, post-quantum.
    X25519MlKem768,
    /// X25519.
    X25519,
    /// NIST P-256.
    P256,
}

impl Group {
    /// As the decision log writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
        }
    }
}
