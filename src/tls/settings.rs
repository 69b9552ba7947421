//! `[tls]`.

/// What is offered and accepted in handshakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Key exchange groups, best first.
    pub groups: Vec<Group>,
    /// Cipher suites, best first.
    pub ciphers: Vec<Cipher>,
    /// The lowest version that the inbound listener accepts; towards peers it is always 1.3... 1.2 only where this says so.
    pub min: MinVersion,
    /// Refuse channels without a post-quantum group.
    pub require_post_quantum: bool,
}

/// A key exchange group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// ML-KEM-768 with X25519, post-quantum.
    X25519MlKem768,
    /// X25519.
    X25519,
    /// NIST P-256.
    P256,
}

/// A cipher suite's AEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    Chacha20Poly1305,
}

/// The lowest TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.3.
    #[default]
    Tls13,
    /// TLS 1.2.
    Tls12,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            groups: vec![Group::X25519MlKem768, Group::X25519, Group::P256],
            ciphers: vec![Cipher::Aes128Gcm, Cipher::Aes256Gcm, Cipher::Chacha20Poly1305],
            min: MinVersion::Tls13,
            require_post_quantum: false,
        }
    }
}
