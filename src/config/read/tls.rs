//! `[tls]`.

use crate::config::keys::{Element as _, Keys};
use crate::tls::{Cipher, Group, MinVersion, Settings};

pub(super) fn read(root: &Keys<'_>) -> Settings {
    let keys = root.table("tls");
    let default = Settings::default();
    let settings = Settings {
        groups: keys.or("groups", default.groups),
        ciphers: keys.or("ciphers", default.ciphers),
        min: keys.or("min", default.min),
        require_post_quantum: keys.or("require_post_quantum", default.require_post_quantum),
    };
    for group in settings.groups.iter().filter(|group| !Group::ALL.contains(group)) {
        keys.problem("groups", format!("has {:?}, which is not approved, and this is a FIPS build", group.show()), "leave it out");
    }
    for cipher in settings.ciphers.iter().filter(|cipher| !Cipher::ALL.contains(cipher)) {
        keys.problem("ciphers", format!("has {:?}, which is not approved, and this is a FIPS build", cipher.show()), "leave it out");
    }
    if settings.groups.is_empty() {
        keys.problem("groups", "is empty", "write at least one of X25519MLKEM768, X25519 and P-256, or leave it out");
    }
    if settings.ciphers.is_empty() {
        keys.problem("ciphers", "is empty", "write at least one of AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305, or leave it out");
    }
    if settings.require_post_quantum {
        if !settings.groups.contains(&Group::X25519MlKem768) {
            keys.problem("require_post_quantum", "is true and groups has no post-quantum one", "add \"X25519MLKEM768\" to groups");
        }
        if settings.min == MinVersion::Tls12 {
            keys.problem("require_post_quantum", "is true and min is \"1.2\", which has no post-quantum groups", "write min = \"1.3\"");
        }
    }
    keys.close();
    settings
}
