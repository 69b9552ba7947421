//! The names of closed sets.

use crate::audit::OnFull;
use crate::audit::detect::{Mode, Watching};
use crate::config::keys::Choice;
use crate::credentials::SigningAlgorithm;
use crate::proxy::{IdentityHeader, OutboundProtocol};
use crate::request::{Escapes, PathParams};
use crate::telemetry::log::Format;
use crate::tls::{Cipher, Group, MinVersion, Offer};
use crate::trust::CrlMode;
use crate::upstream::Protocol;

impl Choice for Mode {
    const NAMES: &'static [(&'static str, Self)] = &[("off", Self::Off), ("advise", Self::Advise), ("act", Self::Act)];
}

impl Choice for Watching {
    const NAMES: &'static [(&'static str, Self)] = &[("off", Self::Off), ("advise", Self::Advise)];
}

impl Choice for Group {
    const NAMES: &'static [(&'static str, Self)] =
        &[("X25519MLKEM768", Self::X25519MlKem768), ("X25519", Self::X25519), ("P-256", Self::P256)];
}

impl Choice for Cipher {
    const NAMES: &'static [(&'static str, Self)] =
        &[("AES-128-GCM", Self::Aes128Gcm), ("AES-256-GCM", Self::Aes256Gcm), ("CHACHA20-POLY1305", Self::Chacha20Poly1305)];
}

impl Choice for MinVersion {
    const NAMES: &'static [(&'static str, Self)] = &[("1.3", Self::Tls13), ("1.2", Self::Tls12)];
}

impl Choice for SigningAlgorithm {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("SHA256WITHECDSA", Self::Sha256WithEcdsa),
        ("SHA384WITHECDSA", Self::Sha384WithEcdsa),
        ("SHA512WITHECDSA", Self::Sha512WithEcdsa),
        ("SHA256WITHRSA", Self::Sha256WithRsa),
        ("SHA384WITHRSA", Self::Sha384WithRsa),
        ("SHA512WITHRSA", Self::Sha512WithRsa),
    ];
}

impl Choice for PathParams {
    const NAMES: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("allow", Self::Allow)];
}

impl Choice for Escapes {
    const NAMES: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("opaque", Self::Opaque)];
}

impl Choice for IdentityHeader {
    const NAMES: &'static [(&'static str, Self)] =
        &[("x-forwarded-client-cert", Self::ForwardedClientCert), ("x-countersign-peer", Self::Peer)];
}

impl Choice for OutboundProtocol {
    const NAMES: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("http1", Self::Http1), ("h2c", Self::H2c)];
}

impl Choice for Protocol {
    const NAMES: &'static [(&'static str, Self)] = &[("http1", Self::Http1), ("h2c", Self::Http2)];
}

impl Choice for Offer {
    const NAMES: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("http1", Self::Http1), ("h2", Self::Http2)];
}

impl Choice for OnFull {
    const NAMES: &'static [(&'static str, Self)] = &[("aggregate", Self::Aggregate), ("block", Self::Block), ("sample", Self::Sample)];
}

impl Choice for Format {
    const NAMES: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

impl Choice for CrlMode {
    const NAMES: &'static [(&'static str, Self)] = &[("off", Self::Off), ("best_effort", Self::BestEffort), ("require", Self::Require)];
}
