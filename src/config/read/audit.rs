//! `[audit]`.

use crate::audit::{Format, Settings, Signing, Sink, Users};
use crate::config::keys::{Choice, Keys, Size};
use crate::runtime::key_arn::KeyArn;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Stdout,
    File,
    None,
}

impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[("stdout", Self::Stdout), ("file", Self::File), ("none", Self::None)];
}

impl Choice for Format {
    const NAMES: &'static [(&'static str, Self)] = &[("countersign", Self::Countersign), ("ocsf", Self::Ocsf)];
}

pub(super) fn read(root: &Keys<'_>, labels: BTreeMap<String, String>) -> Settings {
    let keys = root.table("audit");
    let default = Settings::default();
    let kind = keys.or("sink", Kind::of(&default.sink));
    let dir: Option<PathBuf> = keys.optional("dir");
    match kind {
        Kind::File if !keys.has("dir") => keys.problem("dir", "is missing, and sink is \"file\"", "write dir = \"/var/log/countersign\""),
        Kind::Stdout | Kind::None if keys.has("dir") => keys.problem("dir", "is of no use", "write sink = \"file\", or leave dir out"),
        _ => {}
    }
    let settings = Settings {
        sink: kind.sink(dir),
        format: keys.or("format", default.format),
        max_bytes: keys.within("max_bytes", Size(default.max_bytes), Size(1 << 20)..=Size(1 << 50)).0,
        compress: keys.or("compress", default.compress),
        on_full: keys.or("on_full", default.on_full),
        sample: keys.within("sample", default.sample, 0.0..=1.0),
        signing: signing(&keys, kind),
        users: users(&keys),
        labels,
    };
    keys.close();
    settings
}

/// Whose signature certifies the key of each boot.
fn signing(audit: &Keys<'_>, kind: Kind) -> Option<Signing> {
    let keys = audit.table("signing");
    let (file, kms): (Option<PathBuf>, Option<KeyArn>) = (keys.optional("key_file"), keys.optional("kms_key"));
    for name in ["key_file", "kms_key"] {
        if keys.has(name) && kind == Kind::None {
            keys.problem(name, "is of no use", "write sink = \"file\" or \"stdout\", or leave it out");
        }
    }
    if keys.has("key_file") && keys.has("kms_key") {
        keys.problem("kms_key", "and key_file both sign", "write one of them");
    }
    #[cfg(not(feature = "aws"))]
    if keys.has("kms_key") {
        keys.problem("kms_key", "is left out of this build, which is one without the feature `aws`", "write key_file instead");
    }
    keys.close();
    signer(file, kms)
}

#[cfg(feature = "aws")]
fn signer(file: Option<PathBuf>, kms: Option<KeyArn>) -> Option<Signing> {
    file.map(Signing::File).or(kms.map(Signing::Kms))
}

#[cfg(not(feature = "aws"))]
fn signer(file: Option<PathBuf>, _: Option<KeyArn>) -> Option<Signing> {
    file.map(Signing::File)
}

fn users(keys: &Keys<'_>) -> Users {
    let key: Option<PathBuf> = keys.optional("hash_user_key_file");
    match (keys.or("hash_user", false), key) {
        (true, Some(path)) => Users::HashedUnder(path),
        (true, None) => Users::HashedForThisBoot,
        (false, key) => {
            if key.is_some() {
                keys.problem("hash_user_key_file", "is of no use", "write hash_user = true, or leave it out");
            }
            Users::Plain
        }
    }
}

impl Kind {
    fn of(sink: &Sink) -> Self {
        match sink {
            Sink::Stdout => Self::Stdout,
            Sink::File(_) => Self::File,
            Sink::None => Self::None,
        }
    }

    /// A missing directory is noted as a problem, so what stands in for it is never used.
    fn sink(self, dir: Option<PathBuf>) -> Sink {
        match self {
            Self::Stdout => Sink::Stdout,
            Self::File => Sink::File(dir.unwrap_or_default()),
            Self::None => Sink::None,
        }
    }
}
