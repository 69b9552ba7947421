//! What was negotiated on an authenticated channel.

/// What was negotiated on a TLS channel; names as the decision log writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `1.3` or `1.2`.
    pub version: &'static str,
    /// Such as `TLS13_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// Such as `X25519MLKEM768`.
    pub group: &'static str,
    /// `h2` or `http/1.1`; empty where none was agreed.
    pub alpn: &'static str,
    /// The server name that the client asked for.
    pub sni: Option<Box<str>>,
}
