//! The crypto provider: aws-lc-rs with exactly the configured groups and cipher suites.

use super::settings::{Cipher, Group, MinVersion, Settings};
use super::state::BuildError;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use std::sync::Arc;

static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Groups and suites in the order of the settings.
pub(super) fn provider(settings: &Settings) -> Result<Arc<CryptoProvider>, BuildError> {
    let groups: Vec<_> = settings
        .groups
        .iter()
        .filter(|group| !settings.require_post_quantum || **group == Group::X25519MlKem768)
        .map(|group| kx(*group))
        .collect();
    if groups.is_empty() {
        return Err(BuildError::NoGroup { require_post_quantum: settings.require_post_quantum });
    }
    let tls12 = versions(settings).len() > 1;
    let suites: Vec<_> = settings.ciphers.iter().flat_map(|cipher| suites(*cipher, tls12)).collect();
    if suites.is_empty() {
        return Err(BuildError::NoCipher);
    }
    Ok(Arc::new(CryptoProvider { cipher_suites: suites, kx_groups: groups, ..default_provider() }))
}

/// TLS 1.2 has no post-quantum group, so where one is required it is not offered.
pub(super) fn versions(settings: &Settings) -> &'static [&'static SupportedProtocolVersion] {
    match (settings.min, settings.require_post_quantum) {
        (MinVersion::Tls12, false) => BOTH,
        _ => TLS13,
    }
}

fn kx(group: Group) -> &'static dyn SupportedKxGroup {
    match group {
        Group::X25519MlKem768 => kx_group::X25519MLKEM768,
        Group::X25519 => kx_group::X25519,
        Group::P256 => kx_group::SECP256R1,
    }
}

fn suites(cipher: Cipher, tls12: bool) -> Vec<SupportedCipherSuite> {
    let (tls13, older) = match cipher {
        Cipher::Aes128Gcm => (
            suite::TLS13_AES_128_GCM_SHA256,
            [suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
        ),
        Cipher::Aes256Gcm => (
            suite::TLS13_AES_256_GCM_SHA384,
            [suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384],
        ),
        Cipher::Chacha20Poly1305 => (
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            [suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256],
        ),
    };
    let older = older.into_iter().filter(|_| tls12);
    std::iter::once(tls13).chain(older).collect()
}
