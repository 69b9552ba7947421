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

impl Group {
    /// Those of this build, best first. A FIPS build has no X25519 alone, which is not approved; with ML-KEM it is.
    #[cfg(not(feature = "fips"))]
    pub const ALL: &'static [Self] = &[Self::X25519MlKem768, Self::X25519, Self::P256];
    /// Those of this build, best first. A FIPS build has no X25519 alone, which is not approved; with ML-KEM it is.
    #[cfg(feature = "fips")]
    pub const ALL: &'static [Self] = &[Self::X25519MlKem768, Self::P256];
}

impl Cipher {
    /// Those of this build, best first. A FIPS build has no ChaCha20-Poly1305, which is not approved.
    #[cfg(not(feature = "fips"))]
    pub const ALL: &'static [Self] = &[Self::Aes128Gcm, Self::Aes256Gcm, Self::Chacha20Poly1305];
    /// Those of this build, best first. A FIPS build has no ChaCha20-Poly1305, which is not approved.
    #[cfg(feature = "fips")]
    pub const ALL: &'static [Self] = &[Self::Aes128Gcm, Self::Aes256Gcm];
}

impl Default for Settings {
    fn default() -> Self {
        Self { groups: Group::ALL.to_vec(), ciphers: Cipher::ALL.to_vec(), min: MinVersion::Tls13, require_post_quantum: false }
    }
}
