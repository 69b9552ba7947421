//! `[[trust]]`.

use crate::config::keys::{Choice, DnsPattern, Keys};
use crate::identity::TrustDomain;
use crate::trust::{CrlMode, Settings, Source};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dev,
    File,
}

impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[("dev", Self::Dev), ("file", Self::File)];
    const NOT_BUILT: &'static [&'static str] = &["acm-pca"];
}

pub(super) fn read(root: &Keys<'_>, dev_dir: &Path) -> Vec<Option<Settings>> {
    let tables = root.tables("trust");
    if !root.has("trust") {
        root.problem("trust", "is missing", "add [[trust]] with the trust domain of [workload] id");
    }
    tables.into_iter().map(|keys| entry(keys, dev_dir)).collect()
}

fn entry(keys: Keys<'_>, dev_dir: &Path) -> Option<Settings> {
    keys.not_built(&["authority"]);
    let domain: Option<TrustDomain> = keys.required("domain", "\"prod.example\"");
    let kind = keys.or("source", Kind::Dev);
    let file: Option<PathBuf> = keys.optional("file");
    let dns_names: Vec<DnsPattern> = keys.or("dns_names", Vec::new());
    let revocation = keys.table("revocation");
    let deny_list: Option<PathBuf> = revocation.optional("deny_list");
    let (crl_mode, crls) = crls(&revocation);
    revocation.close();
    match kind {
        Kind::Dev if keys.has("file") => {
            keys.problem("file", "is of no use while source is \"dev\"", "write source = \"file\", or leave file out")
        }
        Kind::File if !keys.has("file") => {
            keys.problem("file", "is missing, and source is \"file\"", "write file = \"/path/to/roots.pem\"")
        }
        Kind::Dev | Kind::File => {}
    }
    keys.close();
    let source = match kind {
        Kind::Dev => Source::Dev(dev_dir.to_owned()),
        Kind::File => Source::File(file?),
    };
    let dns_names = dns_names.into_iter().map(|name| name.0.as_str().to_owned()).collect();
    Some(Settings { domain: domain?, source, dns_names, deny_list, crl_mode, crls })
}

fn crls(keys: &Keys<'_>) -> (CrlMode, Vec<PathBuf>) {
    let mode = keys.or("mode", CrlMode::Off);
    let crls: Vec<PathBuf> = keys.or("crl", Vec::new());
    match (mode, crls.is_empty()) {
        (CrlMode::Off, false) => keys.problem("crl", "is of no use while mode is \"off\"", "write mode = \"best_effort\" or \"require\""),
        (CrlMode::BestEffort | CrlMode::Require, true) => {
            keys.problem("crl", "is missing, and mode is not \"off\"", "write crl = [\"/path/to/list.crl\"], the files of the lists")
        }
        _ => {}
    }
    if let Some(url) = crls.iter().find(|path| path.to_string_lossy().contains("://")) {
        keys.problem("crl", format!("{:?} is a URL, which is not built yet", url.display().to_string()), "write the path of a file");
    }
    (mode, crls)
}
